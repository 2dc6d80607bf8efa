"""Rows that no reward can score: found before training, or skipped in it, and never printed."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chexphi.data.read import read_examples, write_examples
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.rewards import by_name
from chexphi.schema import Example, InputError
from chexphi.training import completions, grpo, grpo_checks
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.preflight import unscorable
from chexphi.training.unscored_rows import RewardWatch

FLAGS = [
    "--learning_rate=1e-3", "--per_device_train_batch_size=4", "--num_generations=2", "--save_strategy=no",
    "--max_completion_length=6", "--max_steps=3", "--disable_tqdm=true", "--trainable=all",
]  # fmt: skip
WITH_GRAPH = "<think>There is a pleural effusion.</think><answer>yes</answer>"
WITHOUT = "<think>As asked, so it is zqword.</think><answer>yes</answer>"


def example(name: str, explanation: str, *answer: str) -> Example:
    return Example(id=name, images=(), question="What is seen?", answer=answer, explanation=explanation)


EXAMPLES = [
    example("graph and answer", WITH_GRAPH, "yes"),
    example("answer alone", WITHOUT, "yes"),
    example("graph alone", "<think>There is a pleural effusion.</think>", ""),
    example("neither", "<think>As asked, so it is.</think>", ""),
    example("nothing", "", ""),
]


def test_an_example_without_reasoning_has_no_graph() -> None:
    recipe, args = grpo.parse(["--per_device_train_batch_size=4", "--num_generations=2", "--bf16=false"])
    with pytest.raises(InputError) as refused:
        grpo_checks.check_examples(recipe, args, EXAMPLES)
    assert str(refused.value) == (
        "grpo: example nothing has no reasoning for external_kg_jac: add it or drop the reward"
    )
    grpo_checks.check_examples(dataclasses.replace(recipe, rewards=["external_r1v_acc"]), args, EXAMPLES)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rewards": ["external_kg_jac"]}, ["answer alone", "neither", "nothing"]),
        ({"rewards": ["external_r1v_acc"]}, ["graph alone", "neither", "nothing"]),
        ({"rewards": ["external_r1v_acc", "external_kg_jac"]}, ["neither", "nothing"]),
        ({"rewards": ["external_kg_jac", "external_r1v_acc"], "combine": "product"}, ["neither", "nothing"]),
        ({"rewards": ["external_kg_jac"], "empty": "one"}, []),  # two empty graphs are equal
        ({"rewards": ["external_kg_jac", "format"]}, []),
        ({"rewards": ["external_kg_jac", "soft_overlong"]}, []),
        ({"rewards": ["external_kg_jac"], "compat": "original"}, []),
        ({"rewards": ["external_kg_jac", "mine:own"]}, []),  # known once it is asked
    ],
)
def test_what_is_known_before_training(changes: dict[str, Any], expected: list[str]) -> None:
    found = unscorable.find(GRPORecipe(**changes), LexiconExtractor(), EXAMPLES)
    assert [example.id for example in found] == expected


@pytest.mark.parametrize("empty", ["skip", "one", "zero"])
@pytest.mark.parametrize("name", ["external_kg_jac", "external_r1v_acc"])
@pytest.mark.parametrize("completion", ["", "lorem ipsum", WITH_GRAPH, WITHOUT])
def test_no_completion_is_worth_anything_where_an_empty_one_is_not(
    name: str, completion: str, empty: str
) -> None:
    """So that it is enough to ask for one."""
    recipe = GRPORecipe(rewards=[name], empty=empty)
    left_out = {e.id for e in unscorable.find(recipe, LexiconExtractor(), EXAMPLES)}
    (reward,) = by_name.open_rewards(recipe, LexiconExtractor())
    values = reward(
        completions=[completion] * len(EXAMPLES),
        solution=[e.explanation for e in EXAMPLES],
        answer=[list(e.answer) for e in EXAMPLES],
        id=[e.id for e in EXAMPLES],
    )
    assert {e.id for e, value in zip(EXAMPLES, values, strict=True) if value is None} == left_out


@pytest.mark.parametrize(
    ("choice", "examples", "expected"),
    [
        ("refuse", EXAMPLES, "grpo: 3 of 5 examples can be scored by none .* the first is answer alone: "),
        ("leave_out", EXAMPLES[1:2], "grpo: 1 of 1 examples can be scored by none"),
    ],
)
def test_they_are_refused_by_id(choice: str, examples: list[Example], expected: str) -> None:
    recipe = GRPORecipe(rewards=["external_kg_jac"], unscorable=choice)
    with pytest.raises(InputError, match=expected) as caught:
        unscorable.leave_out(recipe, LexiconExtractor(), examples, {})
    assert "zqword" not in str(caught.value)


def test_another_choice_is_refused() -> None:
    with pytest.raises(InputError, match="grpo: unscorable is 'drop': use leave_out or refuse"):
        unscorable.check(GRPORecipe(unscorable="drop"))


def reward(*values: float | None) -> Callable[..., list[float | None]]:
    def function(completions: list[str], **columns: Any) -> list[float | None]:
        return list(values)

    return function


@pytest.mark.parametrize(
    ("columns", "handed_over", "unscored"),
    [
        ([[None, 1.0, None]], [[0.0, 1.0, 0.0]], [True, False, True]),
        ([[None, None], [1.0, None]], [[None, None], [1.0, 0.0]], [False, True]),
        ([[None], [None], [None]], [[None], [None], [0.0]], [True]),
        ([[2.0], [None], [None]], [[2.0], [None], [None]], [False]),
        ([[1.0, 2.0]], [[1.0, 2.0]], [False, False]),
    ],
)
def test_trl_never_gets_a_row_without_a_number(
    columns: list[list[float | None]], handed_over: list[list[float | None]], unscored: list[bool]
) -> None:
    watch = RewardWatch([reward(*values) for values in columns])
    for _ in range(2):  # the second batch forgets the first
        found = [function(completions=[""] * len(unscored)) for function in watch.functions]
        assert found == handed_over
        assert watch.unscored == unscored
    assert all(any(value is not None for value in values) for values in zip(*found, strict=True))
    assert [function.__name__ for function in watch.functions] == ["function"] * len(columns)


@pytest.fixture
def mixed(pool: Path) -> Path:
    """The pool, of which every third example has a reasoning without a graph."""
    file = pool.with_name("mixed.json")
    changed = [
        dataclasses.replace(example, explanation=WITHOUT) if number % 3 == 0 else example
        for number, example in enumerate(read_examples(pool))
    ]
    write_examples(file, changed)
    return file


def run(model: Path, data: Path, out: Path, *flags: str) -> Path:
    return grpo.main(
        *grpo.parse(["--model", str(model), "--data", str(data), "--out", str(out), *FLAGS, *flags])
    )


def test_a_run_leaves_them_out_and_counts_them(
    tiny_model_dir: Path, mixed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = run(tiny_model_dir, mixed, tmp_path / "run", "--rewards", "external_kg_jac", "--max_steps=8")
    ids = [example.id for number, example in enumerate(read_examples(mixed)) if number % 3 == 0]
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["unscorable"], manifest["examples"]) == (ids, 24 - len(ids))
    assert f"left out: {len(ids)} examples that no reward can score" in (out / "train.log").read_text()
    rows = list(completions.read(out / "completions.jsonl"))
    assert rows
    assert not {row.id for row in rows} & {*ids}
    assert "zqword" not in caplog.text
    with pytest.raises(InputError, match=f"{len(ids)} of 24 examples can be scored by none"):
        run(tiny_model_dir, mixed, tmp_path / "no", "--rewards", "external_kg_jac", "--unscorable=refuse")
    assert not (tmp_path / "no").exists()


def seldom(completions: list[Any], solution: list[str], **_: Any) -> list[float | None]:
    """A reward of the user's, which has a value for some references only."""
    return [None if "zqword" in text else 0.1 * place for place, text in enumerate(solution)]


@pytest.mark.parametrize("flags", [[], ["--dynamic_sample=true"], ["--steps_per_generation=4"]])
def test_a_row_that_a_reward_of_the_users_leaves_out_is_skipped(
    tiny_model_dir: Path, mixed: Path, tmp_path: Path, flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    out = run(
        tiny_model_dir,
        mixed,
        tmp_path / "run",
        "--rewards",
        "test_unscorable:seldom",
        *flags,
        "--max_steps=6",
    )
    left_out = {e.id for e in read_examples(mixed) if "zqword" in e.explanation}
    rows = list(completions.read(out / "completions.jsonl"))
    skipped = [row for row in rows if row.rewards["test_unscorable:seldom"] is None]
    assert skipped
    assert {row.id for row in rows} & left_out == {row.id for row in skipped}
    assert all(row.advantage == 0 for row in skipped)
    said = capfd.readouterr()
    assert "zqword" not in said.out + said.err
    assert (out / "train.log").read_text().count("no reward has a value for row ") == 1


def test_or_it_stops_the_run(tiny_model_dir: Path, mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no reward has a value for row \S+: remove it from the data"):
        run(tiny_model_dir, mixed, tmp_path / "run", "--rewards", "test_unscorable:seldom",
            "--unscorable=refuse", "--max_steps=6")  # fmt: skip


def test_the_log_of_trl_is_what_would_have_had_the_row(
    tiny_model_dir: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Without the watch it prints it: the tests above can fail."""

    def checked(
        self: RewardWatch, function: Any, values: list[float | None], columns: Any
    ) -> list[float | None]:
        self.unscored = [False] * len(values)
        return values

    monkeypatch.setattr(RewardWatch, "checked", checked)
    with caplog.at_level(logging.WARNING):
        run(tiny_model_dir, mixed, tmp_path / "run", "--rewards", "test_unscorable:seldom", "--max_steps=6")
    assert "All reward functions returned None" in caplog.text
    assert "zqword" in caplog.text
