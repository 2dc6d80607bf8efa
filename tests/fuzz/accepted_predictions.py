"""Predictions: an accepted file has the lines that json finds, and counts that add up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.trial import WrongError

from chexphi.evaluation.compare import compare_predictions, read_predictions
from chexphi.evaluation.summary import summarize
from chexphi.schema import Prediction


@dataclass(frozen=True)
class Summed:
    """What evaluation makes of a file."""

    predictions: list[Prediction]
    summary: dict[str, Any]
    compared: dict[str, Any]


def prepare(folder: Path) -> None:
    """Sum up a good file."""
    good = Prediction("1", (), "Is it new?", ("yes",), "", "yes", False, True, "no_answer")
    file = folder / "good.jsonl"
    file.write_text(json.dumps(good.to_dict()) + "\n")
    judge(file, use(file))


def use(file: Path) -> Summed:
    """Read a file, sum it up and compare it with itself."""
    found = read_predictions(file)
    few: Any = {"resamples": 20}
    return Summed(found, summarize(found, **few), compare_predictions(found, found, **few))


def judge(file: Path, summed: Summed) -> None:
    """Compare with a count of the lines.

    Raises:
        WrongError: For the first difference.
    """
    lines = [line for line in file.read_bytes().split(b"\n") if line.strip()]
    rows = [json.loads(line, object_pairs_hook=_object) for line in lines]
    for row, prediction in zip(rows, summed.predictions, strict=True):
        for name in ("id", "question", "generated_text", "explanation", "parse_status"):
            if row[name] != getattr(prediction, name):
                raise WrongError(f"{name} is not what the line says")
        if tuple(row["answer"]) != prediction.answer or not all(isinstance(a, str) for a in row["answer"]):
            raise WrongError("answer is not what the line says, or no text")
    summary, compared = summed.summary, summed.compared
    if summary["n"] != len(rows) or sum(summary["parse_status"].values()) != len(rows):
        raise WrongError(f"{len(rows)} lines, {summary['n']} predictions, statuses {summary['parse_status']}")
    outcomes = [compared[name] for name in ("wins", "losses", "both_right", "both_wrong")]
    if outcomes[:2] != [0, 0] or sum(outcomes) != len(rows):
        raise WrongError(f"compared with themselves {len(rows)} predictions give {outcomes}")
    right = sum(prediction.is_correct for prediction in summed.predictions)
    if abs(summary["accuracy"]["value"] - right / len(rows)) > 1e-9:
        raise WrongError(
            f"{right} of {len(rows)} are right, and the accuracy is {summary['accuracy']['value']}"
        )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise WrongError("an object with a key twice was accepted")
    return dict(pairs)
