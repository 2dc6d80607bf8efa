"""`--help` of verbs with options that typer reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.cli.recipe_command import RecipeCommand


def verbs(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of each verb and group below a command, and of it; not the verbs with a recipe."""
    if not isinstance(command, RecipeCommand):
        yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from verbs(below, *words, name)


VERBS = [*verbs(typer.main.get_command(app))]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_switch_is_shown_as_a_flag(words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "300"}).output
    assert "--help" in text
    assert "bool" not in text
    for wrong in ("(default True)", "(default False)", "(default default)", "default: default"):
        assert wrong not in text
    assert ("The original is the public code of CheXPO-v2" in text) is ("the original" in text)


def test_settings_of_rewards_have_the_headings_of_a_recipe() -> None:
    text = CliRunner().invoke(app, ["rewards", "score", "--help"]).output
    headings = ("─ Options ─", "─ Answer reward ─", "─ Graph reward ─", "─ Rewards ─")
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
