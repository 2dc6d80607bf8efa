"""Read `predictions.jsonl` for `compare`, `report` and `evaluate --resume`.

Everything that the figures and the report use is checked here. A file that was cut, edited or written by
another tool is refused with one sentence that names its line.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chexphi.files import similar_names
from chexphi.graph.check import check_graph
from chexphi.graph.clinical.sums import FIGURES
from chexphi.graph.consistency.verdict import VERDICTS
from chexphi.number_text import counted
from chexphi.prompts import ParseStatus
from chexphi.runs import jsonl
from chexphi.schema import PREDICTION_EXTRA, InputError, Prediction, is_text

_FIELDS = {field.name: field for field in dataclasses.fields(Prediction)}
PRESENT = ("reference", "predicted")
"""The keys of `present_findings`."""
_REQUIRED = tuple(
    name
    for name, field in _FIELDS.items()
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
)
_TOP_LEVEL = tuple(name for name in _FIELDS if name not in PREDICTION_EXTRA)
_SEQUENCES = tuple(name for name, field in _FIELDS.items() if str(field.type).startswith("tuple"))

Check = Callable[[Any], bool]


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_measure(maximum: float) -> Check:
    """A number up to `maximum`, or NaN: the log-probability under a policy that diverged."""

    def check(value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and not value > maximum

    return check


def _list_of(has_item_type: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(has_item_type, value))


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_graph(value: Any) -> bool:
    try:
        check_graph(value)
    except ValueError:
        return False
    return True


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_count, value))


def _are_figures(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == set(FIGURES) and all(map(_is_number, value.values()))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _are_chances(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_text, value)) and all(map(_is_share, value.values()))


def _are_findings(value: Any) -> bool:
    are_texts = _list_of(is_text)
    return isinstance(value, dict) and set(value) == set(PRESENT) and all(map(are_texts, value.values()))


def _is_name(value: Any) -> bool:
    return is_text(value) or (isinstance(value, int) and not isinstance(value, bool))


_TEXT = ("a text", is_text)
_TEXTS = ("a list of texts", _list_of(is_text))
_GRAPH = ("a graph or null", _or_null(_is_graph))
_FLAG = ("true or false", _is_flag)
_FLAG_OR_NULL = ("true, false or null", _or_null(_is_flag))
_ROUNDING = 1e-3
_CHECKS: dict[str, tuple[str, Check]] = {
    **dict.fromkeys(("id", "question", "explanation", "generated_text", "parse_status"), _TEXT),
    **dict.fromkeys(("image_ids", "answer", "image_paths", "generated_tokens"), _TEXTS),
    **dict.fromkeys(("is_correct", "correct_substring", "opened_think"), _FLAG),
    **dict.fromkeys(("correct_clinical", "correct_no_format_gate"), _FLAG_OR_NULL),
    **dict.fromkeys(("graph_reference", "graph_predicted"), _GRAPH),
    "token_ids": ("a list of whole numbers", _list_of(_is_count)),
    "token_logprobs": ("a list of numbers up to 0", _list_of(_is_measure(_ROUNDING))),
    "token_probabilities": ("a list of numbers up to 1", _list_of(_is_measure(1 + _ROUNDING))),
    "extra": ("an object", lambda value: isinstance(value, dict)),
}
"""Field of a line -> its type, for messages, and whether a value has that type."""
_EXTRA_CHECKS: dict[str, tuple[str, Check]] = {
    **dict.fromkeys(("kind", "question_type", "semantic_type", "predicted_answer", "film_control"), _TEXT),
    "subject_id": ("a text or a number", _is_name),
    "reasoning_words": ("a whole number", _is_count),
    "scene_counts": ("a list of three whole numbers", _are_counts),
    "clinical": (f"an object with the numbers {', '.join(FIGURES)}", _are_figures),
    "consistency": (f"one of {', '.join(VERDICTS)}", VERDICTS.__contains__),
    "answer_probabilities": ("an object of numbers from 0 to 1", _are_chances),
    "present_findings": (f"an object with the lists of texts {', '.join(PRESENT)}", _are_findings),
}
"""Known key of `extra` -> its type and whether a value has it; each may be missing or null."""


def read_predictions(path: str | os.PathLike[str], *, allow_torn_tail: bool = False) -> list[Prediction]:
    """Read a `predictions.jsonl`.

    Args:
        path: The file, or the run folder that holds it.
        allow_torn_tail: Leave out a last line that a killed run did not finish.

    A key that is not a field goes into `extra`. Older files have no `correct_no_format_gate`, and their
    `is_correct` counts malformed completions too: its value is read as `correct_no_format_gate`, and
    `is_correct` is then false for a malformed completion.

    Raises:
        InputError: If the file is missing, an id occurs twice, or a line is broken or has a value of another
            type. The message names line and field.
    """
    path = Path(path) / "predictions.jsonl" if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise InputError(
            f"predictions file {path} does not exist{similar_names(path)}: give the predictions.jsonl of a "
            "run"
        )
    rows = jsonl.rows_with_location(path, nan=True, growing=allow_torn_tail, skip_blank=True)
    predictions = [_prediction(row, location) for location, row in rows]
    twice = len(predictions) - len({prediction.id for prediction in predictions})
    if twice:
        raise InputError(
            f"{path} holds {counted(twice, 'line')} with an id that is there already: keep one line "
            "for each example"
        )
    return predictions


def check_first(path: Path) -> None:
    """Refuse a file whose first line is not a prediction; a file without a whole line is one that begins.

    Raises:
        InputError: As `read_predictions`, for the first line alone.
    """
    for location, row in jsonl.rows_with_location(path, nan=True, growing=True, skip_blank=True):
        _prediction(row, location)
        return


def _prediction(row: Mapping[str, Any], location: str) -> Prediction:
    """One line as a record.

    Raises:
        InputError: For a field that is missing, or of another type.
    """
    if absent := [name for name in _REQUIRED if name not in row]:
        raise InputError(f"{location} has no {', '.join(absent)}: evaluate again or remove the line")
    _check_types(row, _CHECKS, location)
    unknown_keys = {name: value for name, value in row.items() if name not in _TOP_LEVEL}
    extra = {**row.get("extra", {}), **unknown_keys}
    in_extra = {name: extra.pop(name) for name in PREDICTION_EXTRA if name in extra}
    in_extra = {name: value for name, value in in_extra.items() if value is not None}
    _check_types(in_extra, _EXTRA_CHECKS, location)
    if not row["id"] or not row["answer"]:
        raise InputError(f"{location} has an empty id or answer: evaluate again or remove the line")
    fields = {name: row[name] for name in _TOP_LEVEL if name in row} | in_extra
    fields |= {name: tuple(fields[name]) for name in _SEQUENCES if name in fields}
    if "correct_no_format_gate" not in row:
        fields["correct_no_format_gate"] = row["is_correct"]
        fields["is_correct"] = row["is_correct"] and row["parse_status"] == ParseStatus.ok
    return Prediction(**{**fields, "extra": extra})


def _check_types(row: Mapping[str, Any], checks: Mapping[str, tuple[str, Check]], location: str) -> None:
    """Refuse values of another type.

    Raises:
        InputError: For the first of them.
    """
    for name, (type_name, has_type) in checks.items():
        if name in row and not has_type(row[name]):
            raise InputError(f"{location}: {name} is not {type_name}: evaluate again or repair the line")
