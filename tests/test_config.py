"""Settings from YAML and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chexphi import config
from chexphi.schema import InputError


@dataclass
class Recipe:
    """A recipe."""

    model: str = ""
    limit: int | None = None
    learning_rate: float = 1e-4
    rewards: list[str] = field(default_factory=lambda: ["a"])
    overwrite: bool = False


def parse(tmp_path: Path, yaml: str, *flags: str) -> Recipe:
    file = tmp_path / "run.yaml"
    file.write_text(yaml)
    return config.parse(["--config", str(file), *flags], Recipe, prog="chexphi sft")[0]


def test_flags_override_yaml_in_every_spelling(tmp_path: Path) -> None:
    yaml = "learning_rate: 6e-5\nlimit: 3\n"
    assert parse(tmp_path, yaml) == Recipe(learning_rate=6e-5, limit=3)  # YAML reads 6e-5 as text
    for flags in (["--learning-rate", "1e-3"], ["--learning_rate=1e-3"], ["--learning-rate=1e-3"]):
        assert parse(tmp_path, yaml, *flags).learning_rate == 1e-3
    assert parse(tmp_path, yaml, "--rewards", "a", "b", "--overwrite").rewards == ["a", "b"]


@pytest.mark.parametrize(
    ("yaml", "flags", "message"),
    [
        ("learning_rate: true", [], "learning_rate is True"),
        ("learning_rate: fast", [], "learning_rate is 'fast'"),
        ("limit: 1.5", [], "limit is 1.5"),
        ("limit: true", [], "limit is True"),
        ("model: 3", [], "model is 3"),
        ("rewards: a", [], "rewards is 'a'"),
        ("learning_rat: 1", [], "did you mean 'learning_rate'"),
        ("- a", [], "no mapping"),
        ("a: [", [], "no valid YAML"),
        ("limit: 3", ["--limits", "4"], "did you mean 'limit'"),
        ("limit: 3", ["--limit", "many"], "limit"),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path: Path, yaml: str, flags: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse(tmp_path, yaml, *flags)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml does not exist"):
        config.parse(["--config", str(tmp_path / "nowhere.yaml")], Recipe, prog="chexphi sft")
    with pytest.raises(InputError, match="needs a file name"):
        config.parse(["--config"], Recipe, prog="chexphi sft")
