"""Settings from YAML and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chexphi import config
from chexphi.runs import Resume
from chexphi.schema import InputError


@dataclass
class Recipe:
    """A recipe."""

    model: str = ""
    limit: int | None = None
    learning_rate: float = 1e-4
    rewards: list[str] = field(default_factory=lambda: ["a"])
    overwrite: bool = False
    resume: Resume = False


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
        ("- a", [], "does not hold a mapping"),
        ("a: [", [], "not valid YAML"),
        ("limit: 3", ["--limits", "4"], "did you mean 'limit'"),
        ("limit: 3", ["--limit", "many"], "limit"),
        ("resume: perhaps", [], "resume is 'perhaps'"),
        ("limit: 3", ["--resume", "perhaps"], "perhaps"),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path: Path, yaml: str, flags: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse(tmp_path, yaml, *flags)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("yaml", "flags", "expected"),
    [
        ("limit: 3", [], False),
        ("limit: 3", ["--resume"], True),
        ("limit: 3", ["--resume", "true"], True),
        ("limit: 3", ["--resume=auto"], "auto"),
        ("limit: 3", ["--resume", "--limit", "4"], True),
        ("resume: true", [], True),
        ("resume: auto", [], "auto"),
        ("resume: auto", ["--resume=false"], False),
    ],
)
def test_resume_is_yes_no_or_auto(tmp_path: Path, yaml: str, flags: list[str], expected: Resume) -> None:
    assert parse(tmp_path, yaml, *flags).resume is expected


def test_a_later_file_goes_over_an_earlier_one_and_flags_over_both(tmp_path: Path) -> None:
    for name, text in (
        ("kg", "limit: 3\nlearning_rate: 6e-5\nrewards: [a, b]\n"),
        ("over", "rewards: [c]\n"),
    ):
        (tmp_path / f"{name}.yaml").write_text(text)
    kg, over = str(tmp_path / "kg.yaml"), str(tmp_path / "over.yaml")

    def read(*argv: str) -> Recipe:
        return config.parse(argv, Recipe, prog="chexphi sft")[0]

    assert read("--config", kg, "--config", over) == Recipe(limit=3, learning_rate=6e-5, rewards=["c"])
    assert read("--config", over, "--model", "m", f"--config={kg}").rewards == ["a", "b"]
    assert read("--limit=4", "--config", kg, "--config", over).limit == 4
    (tmp_path / "over.yaml").write_text("rewardz: [c]\n")
    with pytest.raises(InputError, match=r"over\.yaml: unknown key 'rewardz': did you mean 'rewards'"):
        read("--config", kg, "--config", over)


def test_a_missing_file_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml does not exist: check the path after --config"):
        config.parse(["--config", str(tmp_path / "nowhere.yaml")], Recipe, prog="chexphi sft")
    for name in ("dapo", "gspo"):
        (tmp_path / f"{name}.yaml").touch()
    for name, hint in (("dapoo", r"has dapo\.yaml$"), ("x", r"has dapo\.yaml, gspo\.yaml$")):
        with pytest.raises(InputError, match=rf"{name}\.yaml does not exist: .* {hint}"):
            config.parse(["--config", str(tmp_path / f"{name}.yaml")], Recipe, prog="chexphi sft")
    for argv in (["--config"], ["--config", "--limit", "3"]):
        with pytest.raises(InputError, match="needs a file name"):
            config.parse(argv, Recipe, prog="chexphi sft")


def test_two_files_behind_one_flag_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"more\.yaml"):
        parse(tmp_path, "limit: 3\n", "more.yaml")
