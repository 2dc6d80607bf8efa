"""Settings from YAML and the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chexphi import config
from chexphi.ranges import COUNT
from chexphi.runs.run_folder import Resume
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
    numbers: list[float] | None = None
    level: str = field(default="a", metadata={"choices": ["a", "b"]})
    settings: dict[str, Any] = field(default_factory=dict)
    trackers: str | list[str] = "none"


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
        ("rewards: 3", [], "rewards is 3"),
        ("numbers: fast", [], "numbers is 'fast'"),
        ("limit: 3", ["--numbers", "1,x"], "'1,x' is not a list of numbers"),
        ("limit: 3", ["--no_limit"], "unknown flag --no_limit: did you mean --limit"),
        ("level: c", [], "level is 'c': use one of a, b"),
        ("limit: 3", ["--level", "c"], "level is 'c': use one of a, b"),
        ("limit: 3", ["--settings", "[1]"], "is not a mapping: write JSON"),
        ("limit: 3", ["--settings", "{a: 1}"], "is not JSON"),
        ("learning_rat: 1", [], "did you mean 'learning_rate'"),
        ("- a", [], "does not hold a mapping"),
        ("a: [", [], "not valid YAML"),
        ("limit: 3", ["--limits", "4"], "^sft: unknown flag --limits: did you mean --limit"),
        (
            "limit: 3",
            ["--limit", "many"],
            "^sft: --limit: 'many' is not a whole number .see `chexphi sft --help`",
        ),
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


@pytest.mark.parametrize(
    ("yaml", "flags"),
    [
        ("limit: 3", ["--rewards", "a", "b:c"]),
        ("limit: 3", ["--rewards", "a,b:c"]),
        ("limit: 3", ["--rewards=a, b:c,"]),
        ("limit: 3", ["--rewards", "a", "--limit", "4", "--rewards", "b:c"]),
        ("rewards: [a, 'b:c']", []),
        ("rewards: a, b:c", []),
        ("rewards: [z]", ["--rewards", "a,b:c"]),
    ],
)
def test_a_list_has_one_meaning_in_every_spelling(tmp_path: Path, yaml: str, flags: list[str]) -> None:
    assert parse(tmp_path, yaml, *flags).rewards == ["a", "b:c"]


def test_numbers_of_a_list_in_every_spelling(tmp_path: Path) -> None:
    for flags in (["--numbers", "1", "2.5"], ["--numbers=1,2.5"], ["--numbers", "1", "--numbers", "2.5"]):
        assert parse(tmp_path, "limit: 3", *flags).numbers == [1.0, 2.5]
    assert parse(tmp_path, "numbers: 1, 2.5").numbers == [1.0, 2.5]


def test_a_comma_in_the_name_of_a_file_that_exists_divides_nothing(tmp_path: Path) -> None:
    file, missing = tmp_path / "a,b.json", tmp_path / "c,d.json"
    file.touch()
    assert parse(tmp_path, "limit: 3", "--rewards", str(file)).rewards == [str(file)]
    assert parse(tmp_path, f"rewards: {file}").rewards == [str(file)]
    assert parse(tmp_path, f"rewards: ['{missing}']").rewards == [str(missing)]
    assert parse(tmp_path, "limit: 3", "--rewards", str(missing)).rewards == [str(tmp_path / "c"), "d.json"]


def test_one_word_is_a_text_and_several_a_list_where_a_field_takes_both(tmp_path: Path) -> None:
    assert parse(tmp_path, "limit: 3", "--trackers", "wandb").trackers == "wandb"
    assert parse(tmp_path, "limit: 3", "--trackers", "wandb", "mlflow").trackers == ["wandb", "mlflow"]


def test_a_mapping_on_the_command_line_is_json(tmp_path: Path) -> None:
    read = parse(tmp_path, "settings: {b: 2}", "--settings", '{"a": [1, null]}')
    assert read.settings == {"a": [1, None]}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--overwrite"], True),
        (["--overwrite", "on"], True),
        (["--overwrite=F"], False),
        (["--no_overwrite"], False),
        (["--no-overwrite"], False),
        (["--overwrite", "--limit", "4"], True),
    ],
)
def test_a_field_of_true_or_false_as_a_flag(tmp_path: Path, flags: list[str], expected: bool) -> None:
    assert parse(tmp_path, "overwrite: true", *flags).overwrite is expected


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
    with pytest.raises(InputError, match=r"nowhere\.yaml does not exist: check its path"):
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


@pytest.mark.parametrize(
    "value",
    ["010", "1_000", "0x1F", "1:30", "0b1", "'010'", "1e", "--1", "2026-11-30", "yes", ".inf.", "1 000"],
)
@pytest.mark.parametrize("name", ["limit", "learning_rate", "numbers"])
def test_a_number_is_read_as_json_reads_it_or_not_at_all(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(
        InputError, match=f"{name} is .*, which is not (int|float|list).*: give a value of that"
    ):
        parse(
            tmp_path, f"{name}: {value}" if name != "numbers" else f"numbers: [1, '{value.strip(chr(39))}']"
        )


@pytest.mark.parametrize(
    ("value", "number"),
    [("6e-5", 6e-5), ("1e5", 1e5), ("'1e-3'", 1e-3), ("1", 1.0), ("-0.5", -0.5), ("1E2", 100.0)],
)
def test_a_number_is_read_with_or_without_quotes(tmp_path: Path, value: str, number: float) -> None:
    read = parse(tmp_path, f"learning_rate: {value}\nnumbers: [{value}]")
    assert (read.learning_rate, read.numbers) == (number, [number])


@pytest.mark.parametrize(
    ("word", "expected"),
    [(word, True) for word in ("true", "True", "yes", "on", "YES", "1", "'true'")]
    + [(word, False) for word in ("false", "FALSE", "no", "Off", "0", "'no'")],
)
def test_a_field_that_is_true_or_false_takes_the_words_that_users_write(
    tmp_path: Path, word: str, expected: bool
) -> None:
    assert parse(tmp_path, f"overwrite: {word}").overwrite is expected
    assert parse(tmp_path, f"resume: {word}").resume is expected


def test_a_text_keeps_the_words_that_other_readers_take_for_true(tmp_path: Path) -> None:
    assert [parse(tmp_path, f"model: {word}").model for word in ("no", "Yes", "on")] == ["no", "Yes", "on"]


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999", "'nan'", "inf", "NaN"])
def test_no_number_is_infinite_or_not_a_number(tmp_path: Path, value: str) -> None:
    for name in ("learning_rate", "numbers"):
        with pytest.raises(InputError, match=rf"{name} is \[?'?-?(nan|inf|NaN|1e999)'?\]?"):
            parse(tmp_path, f"{name}: {value}" if name != "numbers" else f"numbers: [{value}]")
    with pytest.raises(InputError, match="learning_rate is nan: use a finite number"):
        config.parse(["--learning_rate", "nan"], Recipe, prog="chexphi sft")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda file: file.write_bytes("model: Größe".encode("latin-1")), "is not UTF-8"),
        (lambda file: file.write_bytes("model: a".encode("utf-16")), "is not UTF-8"),
        (lambda file: file.mkdir(), "is not a file: check the path"),
        (lambda file: file.write_text("x" * 100_000 + ": 1"), "has more than 50,000 bytes"),
        (lambda file: file.write_text("x" * 1_000 + ": 1"), "unknown key a text of 1000 characters"),
        (
            lambda file: file.write_text("limit: " + "x" * 40_000),
            "limit is a text of 40000 characters, which is not",
        ),
        (lambda file: file.write_text("limit: [" + "1," * 999 + "1]"), "limit is a list of 3000 characters"),
        (
            lambda file: file.write_text("level: " + "x" * 40_000),
            "level is a text of 40000 characters: use one of a",
        ),
    ],
)
def test_a_file_that_is_no_settings_is_one_short_sentence(
    tmp_path: Path, write: Callable[[Path], Any], message: str
) -> None:
    write(tmp_path / "run.yaml")
    with pytest.raises(InputError, match=message) as refused:
        config.parse(["--config", str(tmp_path / "run.yaml")], Recipe, prog="chexphi sft")
    assert len(str(refused.value)) < 600


def test_long_words_on_the_command_line_are_cut() -> None:
    for words in (["--limit", "x" * 99_000], ["--" + "x" * 99_000, "1"], ["--level", "x" * 99_000]):
        with pytest.raises(InputError) as refused:
            config.parse(words, Recipe, prog="chexphi sft")
        assert len(str(refused.value)) < 600


def test_a_range_is_held_against_what_came_out_of_files_and_flags(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("limit: 0\n")
    words, allowed = ["--config", str(tmp_path / "run.yaml")], {"limit": COUNT}
    with pytest.raises(InputError, match=r"^sft: limit is 0: use at least 1$"):
        config.parse(words, Recipe, prog="chexphi sft", number_ranges=allowed)
    assert (
        config.parse([*words, "--limit", "2"], Recipe, prog="chexphi sft", number_ranges=allowed)[0].limit
        == 2
    )
