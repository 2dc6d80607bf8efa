"""`--rewards` with spaces, commas or repeated means the same in every verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.reward_checks import probe
from chexphi.training import grpo

ROW = {
    "id": "1",
    "completion": "<think>The heart is enlarged.</think><answer>yes</answer>",
    "solution": "<think>The heart is enlarged.</think><answer>yes</answer>",
}
SPELLINGS = (
    ["--rewards", "external_r1v_acc", "format"],
    ["--rewards", "external_r1v_acc,format"],
    ["--rewards=external_r1v_acc,format"],
    ["--rewards", "external_r1v_acc", "--rewards", "format"],
)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    return path


def figures(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("words", SPELLINGS)
def test_every_spelling_scores_the_same_rewards(rows: Path, words: list[str]) -> None:
    for argv in ([str(rows), *words], [*words, str(rows)]):
        assert figures("rewards", "score", *argv)["mean"].keys() == {"external_r1v_acc", "format", "total"}
    assert grpo.parse(["--model=m", "--data=d", *words])[0].rewards == ["external_r1v_acc", "format"]


def test_files_of_settings_are_words_of_the_list_too(rows: Path, tmp_path: Path) -> None:
    for name, text in (("one", "rewards: external_kg_jac"), ("two", "rewards: format, external_r1v_acc")):
        (tmp_path / f"{name}.yaml").write_text(text)
    one, two = str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")
    found = figures("rewards", "score", str(rows), "--rewards", one, two)
    assert found["mean"].keys() == {"format", "external_r1v_acc", "total"}


def test_a_word_that_is_no_reward_stays_an_argument(rows: Path) -> None:
    done = CliRunner().invoke(app, ["rewards", "score", str(rows), "--rewards", "format", "fromat"])
    assert done.exit_code == 2
    assert "fromat" in done.output


def test_the_shipped_configurations_of_the_original_are_those_that_it_has() -> None:
    names = probe.configurations((), compat="original")
    assert names.keys() == probe.SHIPPED.keys() - {"product", "gated", "clinical"}
    assert {setup.fields.compat for setup in names.values()} == {"original"}
    assert probe.configurations((), compat=None).keys() == probe.SHIPPED.keys()


GATED = ["--rewards", "external_r1v_acc,external_kg_jac,format", "--combine", "gated"]


@pytest.mark.parametrize(
    "words",
    [
        ["--gated", "external_kg_jac", "format"],
        ["--gated", "external_kg_jac,format"],
        ["--gated=external_kg_jac,format"],
        ["--gated", "external_kg_jac", "--gated", "format"],
        [],
    ],
)
def test_every_spelling_closes_the_same_rewards(words: list[str], rows: Path) -> None:
    rows.write_text(json.dumps(ROW | {"completion": ROW["completion"].replace("yes", "no")}) + "\n")
    assert figures("rewards", "score", *GATED, *words, str(rows))["mean"]["total"] == 0
    one = figures("rewards", "score", str(rows), *GATED, "--gated", "format")
    assert one["mean"]["total"] == 1
    recipe = grpo.parse(["--model=m", "--data=d", *GATED, *words])[0]
    assert recipe.gated in ([], ["external_kg_jac", "format"])


def test_the_help_says_a_default_or_none() -> None:
    shown = " ".join(CliRunner().invoke(app, ["rewards", "score", "--help"]).output.split())
    assert "--gated" in shown
    assert "MISSING" not in shown
