"""Evaluation and mining of questions that share films: the records of every row read, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chexphi.evaluation import answering, evaluate, passes
from chexphi.mining import score
from chexphi.models.families.phi4 import Phi4MultimodalForCausalLM
from chexphi.models.question_batches import films_together, unfinished_batches
from chexphi.models.shared_prompts import common_prefix, read_prompts
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.schema import Example

FILMS = ("a", "b", "a", "c", "ba", "b", "a", "a", "ba", "c", "b", "ba", "a")
"""The films of each question; `ba` is two of them."""
QUESTIONS = ("Is it new?", "Where is it?", "Is there an opacity?", "Is it right?")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions about three films, of four crops each, in no order."""
    folder = tmp_path_factory.mktemp("films")
    for seed, name in enumerate("abc"):
        pixels = np.random.default_rng(seed).integers(0, 256, (128, 128), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    rows = [
        {
            "id": f"q{number}",
            "images": [f"{name}.png" for name in names],
            "question": QUESTIONS[number % 4],
            "answer": ["yes" if number % 3 else "no"],
            "explanation": "<think>The heart is enlarged.</think><answer>yes</answer>",
            "question_type": "presence",
            "subject_id": f"s{names}",
        }
        for number, names in enumerate(FILMS)
    ]
    (folder / "data.json").write_text(json.dumps(rows))
    return folder / "data.json"


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of every batch that is read, whether rows shared a prefix; small prompts are shared too."""
    seen: list[bool] = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        found = prefixes(*args, **kwargs)
        seen.append(found is not None)
        return found

    prefixes = read_prompts.find_prefixes
    monkeypatch.setattr(common_prefix, "MIN_SAVED_TOKENS", 1)
    monkeypatch.setattr(read_prompts, "find_prefixes", noted)
    return seen


def every_row(monkeypatch: pytest.MonkeyPatch, stage: Any) -> None:
    """From here on the stage reads every row, in batches of the data's order."""
    monkeypatch.setattr(Phi4MultimodalForCausalLM, "prompt_sharing", SharedPrompts("off"))
    monkeypatch.setattr(passes if stage is evaluate else stage, "films_together", list)


def run(stage: Any, model: Path, data: Path, out: Path, *flags: object) -> list[dict[str, Any]]:
    """The records of a run."""
    argv = ["--model", model, "--data", data, "--out", out, "--max_new_tokens", 6, "--batch_size", 5]
    stage.main(stage.parse([str(word) for word in [*argv, "--dynamic_hd", 4, *flags]]))
    name = "predictions.jsonl" if stage is evaluate else "scored.jsonl"
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def same(found: Any, expected: Any) -> bool:
    """Numbers to 1e-5, all else exactly."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float):
        return bool(found == pytest.approx(expected, abs=1e-5))
    return bool(found == expected)


@pytest.mark.parametrize(
    ("stage", "flags", "batches"),
    [
        (evaluate, ("--tokens", "true"), [True, True, True]),
        (evaluate, ("--answer_samples", "2"), None),
        (score, ("--samples", "1"), [True, True, True]),
        (score, ("--samples", "3"), None),
    ],
    ids=["evaluate", "answer probabilities", "mine, greedy", "mine, drawn"],
)
def test_records_are_those_of_every_row_read(
    tiny_model_dir: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared: list[bool],
    stage: Any,
    flags: tuple[str, ...],
    batches: list[bool] | None,
) -> None:
    """Greedy batches are made of questions about a film; drawn ones, whose samples would change, are not."""
    found = run(stage, tiny_model_dir, data, tmp_path / "shared", *flags)
    assert shared == batches if batches else any(shared)
    every_row(monkeypatch, stage)
    expected = run(stage, tiny_model_dir, data, tmp_path / "plain", *flags)
    assert [row["id"] for row in found] == [f"q{number}" for number in range(len(FILMS))]
    assert same(found, expected)
    assert len({json.dumps(row.get("generated_text", row.get("confidence"))) for row in found}) > 3


@pytest.mark.parametrize("flags", [(), ("--answer_samples", "2")])
def test_an_evaluation_killed_between_batches_goes_on(
    tiny_model_dir: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared: list[bool],
    flags: tuple[str, ...],
) -> None:
    """Killed, the records stand as they came; in the end the file is that of an unbroken run."""
    whole = run(evaluate, tiny_model_dir, data, tmp_path / "whole", *flags)
    make_prediction: Callable[..., Any] = answering.make_prediction
    calls: list[str] = []

    def dying(example: Example, *args: Any, **kwargs: Any) -> Any:
        if len(calls) == 8:
            raise KeyboardInterrupt
        calls.append(example.id)
        return make_prediction(example, *args, **kwargs)

    monkeypatch.setattr(answering, "make_prediction", dying)
    with pytest.raises(KeyboardInterrupt):
        run(evaluate, tiny_model_dir, data, tmp_path / "killed", *flags)
    monkeypatch.setattr(answering, "make_prediction", make_prediction)
    written = (tmp_path / "killed" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in written] == calls
    assert calls != sorted(calls, key=lambda name: int(name[1:]))  # questions about one film are together
    assert run(evaluate, tiny_model_dir, data, tmp_path / "killed", *flags, "--resume", "true") == whole
    files = [tmp_path / name / "summary.json" for name in ("whole", "killed")]
    assert files[0].read_text() == files[1].read_text()


def test_films_together_keeps_all_and_the_order_within() -> None:
    examples = [Example(str(i), tuple(names), "?", ("yes",)) for i, names in enumerate([*FILMS, ""])]
    order = [int(example.id) for example in films_together(examples)]
    assert order == [0, 2, 6, 7, 12, 1, 5, 10, 3, 9, 4, 8, 11, 13]
    (batch,) = unfinished_batches(films_together(examples), {str(i) for i in order[5:]}, 5)
    assert [int(example.id) for example in batch] == order[:5]
