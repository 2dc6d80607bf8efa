"""Data files: an accepted one has exactly the rows that json or pyarrow finds, with their texts."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from fuzz.trial import RefusedError, WrongError

from chexphi.data.check import check
from chexphi.data.read import read_examples, write_examples
from chexphi.graph.types import Graph
from chexphi.schema import Example, InputError

NAMED = ("id", "subject_id", "study_id", "split", "semantic_type", "question_type", "answer_type")
FILMS = ("images", "image", "image_ids", "image_id")
EMPTY = {"", "nan", "-nan", "<na>", "nat", "none", "null", "na", "n/a", "#n/a"}
"""Texts that other programs write for an empty cell."""
GOOD = Example("1", (), "Is it new?", ("yes",), "<think>The heart is big.</think><answer>yes</answer>")
_IMAGE_MARK = re.compile(r"<image>|<\|image_\d+\|>", re.IGNORECASE)
_WHOLE = re.compile(r"(\d+)\.0+")


@dataclass(frozen=True)
class Read:
    """What the readers made of a file."""

    examples: list[Example]
    counted: dict[str, Any]


def prepare(folder: Path) -> None:
    """Read a good file of each form."""
    for suffix in (".json", ".jsonl", ".parquet"):
        file = folder / f"good{suffix}"
        write_examples(file, [GOOD])
        judge(file, use(file))


def use(file: Path) -> Read:
    """Read a file in both ways; `data check` must find a problem where a run would."""
    try:
        counted = check(file)
    except InputError as error:
        counted = {"problem_count": 1, "problems": [str(error)], "warnings": []}
    try:
        examples = read_examples(file)
    except InputError as error:
        if not counted["problem_count"]:
            raise AssertionError("data check finds nothing wrong, and a run refuses the file") from error
        raise RefusedError(str(error), *counted["problems"], *counted["warnings"]) from None
    return Read(examples, counted)


def judge(file: Path, read: Read) -> None:
    """Compare with what the library finds in the file.

    Raises:
        WrongError: For the first difference.
    """
    rows = _rows(file)
    if read.counted["problem_count"] or not len(rows) == read.counted["rows"] == len(read.examples):
        raise WrongError(
            f"{len(rows)} rows in the file, {len(read.examples)} read, {read.counted['rows']} checked with"
            f" {read.counted['problem_count']} problems"
        )
    for number, (row, example) in enumerate(zip(rows, read.examples, strict=True), 1):
        for field, wanted, found in _pairs(row, example):
            if wanted != found:
                raise WrongError(f"row {number}, {field}: {found!r} was read for {wanted!r}"[:300])
        _writable(example, number)
    again = file.with_name("again.jsonl")
    write_examples(again, read.examples)
    if read_examples(again, image_root=file.parent) != read.examples:
        raise WrongError("written and read again the examples are others")


def _rows(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(file, partitioning=None)
        table.validate(full=True)
        return list(table.to_pylist())
    text = file.read_bytes().decode("utf-8-sig")  # a carriage return between two values is a blank
    texts = [line for line in text.split("\n") if line.strip()] if file.suffix == ".jsonl" else [text]
    values = [json.loads(part, object_pairs_hook=_object) for part in texts]
    return list(values[0]) if file.suffix == ".json" else values


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise WrongError("an object with a key twice was accepted")
    return dict(pairs)


def _pairs(row: dict[str, Any], example: Example) -> list[tuple[str, Any, Any]]:
    """What each field should be beside what was read; a field that is nowhere in the row is left out."""
    found = [(name, _name(name, row[name]), getattr(example, name)) for name in NAMED if _given(row, name)]
    question = _first(row, "question") or _turn(row, "user")
    if question and not (isinstance(question, str) and _IMAGE_MARK.search(question)):
        found.append(("question", _plain(question), example.question))
    if explanation := _first(row, "explanation", "solution") or _turn(row, "assistant"):
        found.append(("explanation", _plain(explanation), example.explanation))
    if labels := [_plain(label) for label in _list(row.get("answer")) if not _empty(label, "answer")]:
        found.append(("answer", tuple(labels), example.answer))
    if (films := _first(row, *FILMS)) is not None:
        names = [_plain(film) for film in _list(films)]
        read = [ref if ref in names else ref.rsplit(".", 1)[0] for ref in example.images]
        found.append(("images", names, read))
    return found + [_object_pair(row, example, name) for name in ("graph", "scene") if _given(row, name)]


def _object_pair(row: dict[str, Any], example: Example, name: str) -> tuple[str, Any, Any]:
    """A graph or a scene as text, which Parquet keeps as JSON."""
    given, got = row[name], getattr(example, name)
    given = json.loads(given) if isinstance(given, str) else given
    got = list(got) if isinstance(got, tuple) else got
    if isinstance(given, dict):  # a key of another row, which Parquet gives to all
        given = {key: value for key, value in given.items() if value is not None or key in got}
    return name, json.dumps(given, sort_keys=True), json.dumps(got, sort_keys=True)


def _given(row: dict[str, Any], name: str) -> bool:
    return not _empty(row.get(name))


def _first(row: dict[str, Any], *names: str) -> Any:
    """The value of the first of these fields that has one."""
    return next((row[name] for name in names if _given(row, name)), None)


def _turn(row: dict[str, Any], role: str) -> Any:
    """What the first turn of a role says, where that is a plain text."""
    turns = row.get("messages")
    said = (
        [turn.get("content") for turn in turns if turn.get("role") == role] if isinstance(turns, list) else []
    )
    return said[0] if said and isinstance(said[0], str) and not _empty(said[0]) else None


def _name(field: str, value: Any) -> str | None:
    """A name as text; pandas gives a patient's number a decimal point, as text too."""
    text = _plain(value)
    whole = _WHOLE.fullmatch(text or "")
    return whole[1] if whole and field in ("subject_id", "study_id") else text


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _empty(value: Any, field: str = "") -> bool:
    if isinstance(value, str):
        text = value.strip()
        return (
            text.lower() in EMPTY
            if field != "answer"
            else text in ("", "nan", "NaN", "NAN", "-nan", "<NA>", "NaT")
        )
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def _plain(value: Any) -> str | None:
    """The text that a cell plainly means; None where it has no such text, and must be refused."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return str(int(value)) if value == int(value) else str(value)
    return None


def _writable(example: Example, number: int) -> None:
    """What later stages do with an example: its texts are written as UTF-8, its graph is compared."""
    texts = (example.id, example.question, *example.answer, example.explanation, *example.images)
    for text in texts:
        if "\0" in text or any(0xD800 <= ord(letter) < 0xE000 for letter in text):
            raise WrongError(f"row {number} has a text with NUL or half a character")
    if example.graph is not None:
        try:
            Graph.from_dict(example.graph)
        except Exception as error:
            raise WrongError(
                f"row {number}: a graph that cannot be read was accepted: {error!r}"[:300]
            ) from None
