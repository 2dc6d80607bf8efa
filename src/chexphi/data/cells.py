"""Values of a row as other tools write them: empty cells, and whole numbers that were given a decimal point.

pandas turns a column with one empty cell into numbers with a decimal point (`10999999.0`), and writes the
empty cell as NaN, or as the text `nan` once the column is text. None of these is an answer or a patient.
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
"""Fields that name something."""
TEXTS = ("question", "explanation", "solution")
IMAGES = ("images", "image", "image_ids", "image_id")
"""Names of the films' field, in the order in which they are looked at."""
LISTS = (*IMAGES, "answer")
"""Fields that hold a list, or its only entry."""
OTHERS = ("scene", "graph", "messages")
_READ = (*NAMES, *TEXTS, *LISTS, *OTHERS)
_NUMBERED = (*NAMES, *LISTS)
PATIENT = ("subject_id", "study_id")
"""Fields in which `10.0` is a number even as text: written by `astype(str)`."""

_EMPTY = frozenset({"nan", "NaN", "NAN", "-nan", "<NA>", "NaT"})
"""What pandas and numpy write for an empty cell in a column of text; never an answer."""
_NO_NAME = frozenset({"none", "null", "na", "n/a", "#n/a"})
"""Not a name, path or sentence either, in any case; `None` may well be an answer."""
_LONGEST = 16
"""Characters beyond which a text is no mark of an empty cell, blanks around it included."""
_WHOLE = re.compile(r"(\d+)\.0+")
_EXACT = 2**53
"""From here on a float no longer tells two whole numbers apart."""


def is_nan(value: Any) -> bool:
    """Whether a value is the number NaN."""
    return (isinstance(value, float) and math.isnan(value)) or (isinstance(value, Decimal) and value.is_nan())


def is_missing(field: str, value: Any) -> bool:
    """Whether a value stands for an empty cell of a field.

    >>> is_missing("answer", "None"), is_missing("subject_id", "None")
    (False, True)
    """
    if not isinstance(value, str):
        return value is None or is_nan(value)
    if len(value) > _LONGEST:
        return False
    text = value.strip()
    return text in _EMPTY or (field != "answer" and text.lower() in _NO_NAME)


def repaired(field: str, value: Any) -> Any:
    """A value as its field may have it: a whole number without its decimal point, a text as it is.

    Raises:
        ValueError: For true and false, a number that is infinite, or so large that its last digits are lost,
            a number for a sentence, a text with NUL, and what is neither text nor number.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"field {field} holds the character NUL, which is damage: write it again")
        whole = _WHOLE.fullmatch(value.strip()) if field in PATIENT and "." in value else None
        return whole[1] if whole else value
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
    for place, value in enumerate(values, 1):
        if is_missing(field, value):
            raise ValueError(
                f"field {field} holds {shown(value)}, an empty cell, at place {place} of {len(values)}:"
                " leave it out, or write its value"
            )
    return [repaired(field, value) for value in values]


def clean(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its empty cells, whole numbers written as such; fields that nobody reads are as they are.

    Raises:
        ValueError: With the words that follow the row's place, for an infinite number, one whose digits
            are lost, or an empty cell in a list.
    """
    row = dict(raw)
    for field in _READ:
        if field not in row:
            continue
        value = row[field]
        if is_missing(field, value):
            del row[field]
        elif field in LISTS and isinstance(value, list | tuple):
            row[field] = _entries(field, value)
        elif field not in OTHERS:
            row[field] = repaired(field, value)
    return row


def repairs(raw: Mapping[str, Any]) -> list[str]:
    """Fields whose whole numbers lose a decimal point in `clean`, which has not refused the row."""
    return [field for field in _NUMBERED if field in raw and _loses_point(field, raw[field])]


def _loses_point(field: str, value: Any) -> bool:
    if isinstance(value, str):
        return field in PATIENT and "." in value and bool(_WHOLE.fullmatch(value.strip()))
    if isinstance(value, list | tuple):
        return any(not isinstance(entry, str) and _loses_point(field, entry) for entry in value)
    return isinstance(value, float | Decimal) and not is_nan(value) and value == int(value)


class Repairs:
    """Whole numbers of a data set that were stored with a decimal point and are read without it."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def note(self, raw: Mapping[str, Any], where: str) -> None:
        """Take note of a row that could be read, and of the words that name its place."""
        for field in repairs(raw):
            self._count[field] += 1
            self._first.setdefault(field, where)

    def sentences(self) -> list[str]:
        """One for each field; no value is named, it may be a patient's."""
        return [
            f"{self._first[field]}: field {field} is a whole number with a decimal point, like 12.0, and is"
            f" read as 12; rows like it: {count}"
            for field, count in self._count.items()
        ]
