"""Values of a row as other tools write them: empty cells, and whole numbers that were given a decimal point.

In a column with one empty cell pandas gives numbers a decimal point (`10999999.0`). It writes the empty cell
as NaN, or as the text `nan` once the column is text. None of these is an answer or a patient.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from chexphi.schema import shown, type_shown

NAMES = ("id", "subject_id", "study_id", "split", "kind", "semantic_type", "question_type", "answer_type")
"""Fields that hold an identifier or a category."""
TEXTS = ("question", "explanation", "solution")
IMAGES = ("images", "image", "image_ids", "image_id")
"""Names of the films' field; the first one with a value counts."""
LISTS = (*IMAGES, "answer")
"""Fields that hold a list, or the only entry of one."""
NESTED_FIELDS = ("scene", "graph", "messages")
_FIELDS_READ = (*NAMES, *TEXTS, *LISTS, *NESTED_FIELDS)
_FIELDS_WITH_NUMBERS = (*NAMES, *LISTS)
PATIENT = ("subject_id", "study_id")
"""Fields in which even the text `10.0` is the number 10: `astype(str)` writes it."""

_EMPTY = frozenset({"nan", "NaN", "NAN", "-nan", "<NA>", "NaT"})
"""What pandas and numpy write for an empty cell in a column of text; never an answer."""
_NO_NAME = frozenset({"none", "null", "na", "n/a", "#n/a"})
"""In upper or lower case these are not a name, path or sentence either; `None` may be an answer."""
_MAX_EMPTY_CHARACTERS = 16
"""Longest text, with blanks around it, that can be the mark of an empty cell."""
_WHOLE_NUMBER = re.compile(r"(\d+)\.0+")
_EXACT = 2**53
"""From here on a float no longer tells two whole numbers apart."""


def is_nan(value: Any) -> bool:
    """Whether a value is the number NaN."""
    return (isinstance(value, float) and math.isnan(value)) or (isinstance(value, Decimal) and value.is_nan())


def is_missing(field: str, value: Any) -> bool:
    """Whether a value marks an empty cell of a field.

    >>> is_missing("answer", "None"), is_missing("subject_id", "None")
    (False, True)
    """
    if not isinstance(value, str):
        return value is None or is_nan(value)
    if len(value) > _MAX_EMPTY_CHARACTERS:
        return False
    text = value.strip()
    return text in _EMPTY or (field != "answer" and text.lower() in _NO_NAME)


def repaired(field: str, value: Any) -> Any:
    """The value in a type that its field allows: whole numbers lose their decimal point, texts do not change.

    Raises:
        ValueError: For true and false, an infinite number, one so large that its last digits are lost, a
            number in place of a sentence, a text with NUL, and a value that is neither text nor number.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"field {field} holds the character NUL, which is damage: write it again")
        whole_number = _WHOLE_NUMBER.fullmatch(value.strip()) if field in PATIENT and "." in value else None
        return whole_number[1] if whole_number else value
    if field in IMAGES and isinstance(value, Mapping | list | bytes):  # `foreign_forms` knows them
        return value
    if field in TEXTS or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"field {field} is {type_shown(value)}: write it as text")
    return value if isinstance(value, int) else _without_point(field, value)


def _without_point(field: str, value: float | Decimal) -> Any:
    if math.isinf(value):
        raise ValueError(f"field {field} is {value}, which is not a value: correct it")
    if isinstance(value, float) and abs(value) >= _EXACT:
        raise ValueError(
            f"field {field} is a number with a decimal point whose last digits are lost:"
            " write it as text where it comes from"
        )
    return int(value) if value == int(value) else value


def _entries(field: str, values: list[Any] | tuple[Any, ...]) -> list[Any]:
    for position, value in enumerate(values, 1):
        if is_missing(field, value):
            raise ValueError(
                f"field {field} holds {shown(value)}, an empty cell, at place {position} of {len(values)}:"
                " leave it out, or write its value"
            )
    return [repaired(field, value) for value in values]


def clean(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its empty cells, with whole numbers as integers; fields that are not read do not change.

    Raises:
        ValueError: For an infinite number, one whose digits are lost, or an empty cell in a list; the words
            follow the row's location.
    """
    row = dict(raw)
    for field in _FIELDS_READ:
        if field not in row:
            continue
        value = row[field]
        if is_missing(field, value):
            del row[field]
        elif field in LISTS and isinstance(value, list | tuple):
            row[field] = _entries(field, value)
        elif field not in NESTED_FIELDS:
            row[field] = repaired(field, value)
    return row


def repairs(raw: Mapping[str, Any]) -> list[str]:
    """Fields whose whole numbers lose a decimal point in `clean`; for rows that `clean` accepts."""
    return [field for field in _FIELDS_WITH_NUMBERS if field in raw and _loses_point(field, raw[field])]


def _loses_point(field: str, value: Any) -> bool:
    if isinstance(value, str):
        return field in PATIENT and "." in value and bool(_WHOLE_NUMBER.fullmatch(value.strip()))
    if isinstance(value, list | tuple):
        return any(not isinstance(entry, str) and _loses_point(field, entry) for entry in value)
    return isinstance(value, float | Decimal) and not is_nan(value) and value == int(value)


class Repairs:
    """Counts whole numbers of a dataset that are stored with a decimal point and read without it."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._first_location: dict[str, str] = {}

    def note(self, raw: Mapping[str, Any], location: str) -> None:
        """Count a valid row, and remember the first location for each field."""
        for field in repairs(raw):
            self._count[field] += 1
            self._first_location.setdefault(field, location)

    def sentences(self) -> list[str]:
        """A warning for each field; it shows no value, which may be a patient's."""
        return [
            f"{self._first_location[field]}: field {field} is a whole number with a decimal point, like 12.0,"
            f" and is read as 12; rows like it: {count}"
            for field, count in self._count.items()
        ]
