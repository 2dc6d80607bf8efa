"""Two sets of predictions on the same examples, compared pair by pair: `chexphi compare`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chexphi.evaluation.intervals import paired_ratios
from chexphi.evaluation.metrics import by_group, clusters, nest
from chexphi.prompts import ParseStatus
from chexphi.schema import InputError, Prediction

_FIELDS = {field.name: field for field in dataclasses.fields(Prediction)}
_REQUIRED = tuple(
    name
    for name, field in _FIELDS.items()
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
)
_SEQUENCES = tuple(name for name, field in _FIELDS.items() if str(field.type).startswith("tuple"))
_KINDS: dict[str, Any] = {
    **dict.fromkeys(("id", "question", "explanation", "generated_text", "parse_status"), str),
    **dict.fromkeys(("is_correct", "correct_substring", "opened_think"), bool),
    **dict.fromkeys(("correct_clinical", "correct_no_format_gate"), bool | None),
    **dict.fromkeys(_SEQUENCES, list),
    "extra": dict,
}


def read_predictions(path: Path | str, *, allow_torn_tail: bool = False) -> list[Prediction]:
    """Read a `predictions.jsonl`.

    Args:
        path: The file, or the run folder that holds it.
        allow_torn_tail: Leave out a last line that a killed run did not finish (for resuming).

    Fields this version does not know go into `extra`. In older files, which have no `correct_no_format_gate`,
    `is_correct` counts malformed completions too: it is read as that field, and as `is_correct` where the
    completion is well-formed.

    Raises:
        InputError: If the file is missing, a line is broken (its number is named) or an id stands twice.
    """
    path = Path(path) / "predictions.jsonl" if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise InputError(f"predictions file {path} does not exist: give the predictions.jsonl of a run")
    lines = path.read_bytes().split(b"\n")
    if lines[-1] and allow_torn_tail and _object(lines[-1]) is None:
        lines.pop()
    found = [_prediction(line, f"{path}, line {row}") for row, line in enumerate(lines, 1) if line.strip()]
    twice = len(found) - len({prediction.id for prediction in found})
    if twice:
        raise InputError(f"{path} holds {twice} lines whose id stands there already: keep one an example")
    return found


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object on a line; None if there is none."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _prediction(line: bytes, where: str) -> Prediction:
    """One line as a record."""
    row = _object(line)
    if row is None:
        raise InputError(f"{where} is no JSON object: repair or remove the line")
    if absent := [name for name in _REQUIRED if name not in row]:
        raise InputError(f"{where} has no {', '.join(absent)}: evaluate again or remove the line")
    if wrong := [name for name, kind in _KINDS.items() if name in row and not isinstance(row[name], kind)]:
        raise InputError(f"{where}: {', '.join(wrong)} has the wrong type: evaluate again or repair the line")
    unknown = {name: value for name, value in row.items() if name not in _FIELDS}
    known: dict[str, Any] = {
        name: tuple(row[name]) if name in _SEQUENCES else row[name] for name in _FIELDS if name in row
    }
    if "correct_no_format_gate" not in row:
        known["correct_no_format_gate"] = row["is_correct"]
        known["is_correct"] = row["is_correct"] and row["parse_status"] == ParseStatus.ok
    return Prediction(**{**known, "extra": {**row.get("extra", {}), **unknown}})


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact McNemar p of the discordant pairs (a fair coin); it takes examples as independent."""
    total, tail = wins + losses, min(wins, losses)
    logs = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(tail + 1)]
    return min(1.0, 2 * math.fsum(math.exp(log - total * math.log(2)) for log in logs))


def pair(a: Sequence[Prediction], b: Sequence[Prediction]) -> tuple[list[Prediction], list[Prediction]]:
    """Both sides in the order of A.

    Raises:
        InputError: If the two do not answer the same examples; the counts are given.
    """
    left, right = {p.id: p for p in a}, {p.id: p for p in b}
    if len(left) < len(a) or len(right) < len(b):
        raise InputError(
            f"an id stands twice (A {len(a) - len(left)}, B {len(b) - len(right)}): keep one each"
        )
    only_a, only_b = len(left.keys() - right.keys()), len(right.keys() - left.keys())
    if only_a or only_b or not left:
        raise InputError(
            f"the two files do not hold the same examples: {len(left.keys() & right.keys())} in both, "
            f"{only_a} only in A, {only_b} only in B: evaluate both on the same file with the same --limit"
        )
    changed = sum(
        (p.question, sorted(p.answer)) != (right[p.id].question, sorted(right[p.id].answer)) for p in a
    )
    if changed:
        raise InputError(
            f"{changed} of {len(a)} examples have another question or reference answer in B than in A: "
            "evaluate both on the same data"
        )
    return list(a), [right[p.id] for p in a]


def compare_predictions(
    a: Sequence[Prediction], b: Sequence[Prediction], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """B against A on the same examples, matched by id.

    Returns:
        `n`, `patients`, `missing_subject`; a figure of `summarize` each as `{"a", "b", "difference"
        (B - A), "low", "high", "n"}` over the examples both sides can score; `wins` (right in B only),
        `losses`, `both_right`, `both_wrong`, `mcnemar_p`; `by_kind` and `by_question_type`.

    Raises:
        InputError: If the two do not hold the same examples.
    """
    a, b = pair(a, b)
    patients, missing = clusters(a)
    found = paired_ratios(by_group(a), by_group(b), patients, seed=seed, resamples=resamples)
    right = [(p.is_correct, q.is_correct) for p, q in zip(a, b, strict=True)]
    wins, losses = right.count((False, True)), right.count((True, False))
    return {
        "n": len(a),
        "patients": len(set(patients)),
        "missing_subject": missing,
        "seed": seed,
        "resamples": resamples,
        **nest(found, "")[""],
        "wins": wins,
        "losses": losses,
        "both_right": right.count((True, True)),
        "both_wrong": right.count((False, False)),
        "mcnemar_p": mcnemar(wins, losses),
        "by_kind": nest(found, "kind"),
        "by_question_type": nest(found, "question_type"),
    }


def compare(
    a_path: Path | str, b_path: Path | str, *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Compare two `predictions.jsonl` files: `compare_predictions` of what stands in them.

    Raises:
        InputError: If a file is broken, or the two do not hold the same examples.
    """
    a, b = read_predictions(a_path), read_predictions(b_path)
    return {"a": str(a_path), "b": str(b_path), **compare_predictions(a, b, seed=seed, resamples=resamples)}
