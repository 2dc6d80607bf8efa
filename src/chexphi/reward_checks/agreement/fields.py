"""Fields of a row of judgements, each checked. No message prints a text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from chexphi.schema import InputError, is_text, shown, type_shown


def value(row: Any, name: str, location: str) -> Any:
    """The value of a field.

    Raises:
        InputError: If the row is not an object, or has no such field.
    """
    if not isinstance(row, dict):
        raise InputError(f"{location} is {type_shown(row)}: an object is needed")
    if name not in row:
        raise InputError(f'{location} has no "{name}": add it')
    return row[name]


def text(row: Any, name: str, location: str) -> str:
    """A text, which may be empty.

    Raises:
        InputError: If it is of another type.
    """
    field_value = value(row, name, location)
    if not is_text(field_value):
        raise InputError(f"{location}: {name} is {type_shown(field_value)}: write a text")
    return field_value


def label(row: Any, name: str, location: str) -> str:
    """An identifier or a category: a text that is not empty, or a whole number.

    Raises:
        InputError: If it is something else.
    """
    field_value = value(row, name, location)
    is_number = isinstance(field_value, int) and not isinstance(field_value, bool)
    if not is_number and not (is_text(field_value) and field_value.strip()):
        raise InputError(f"{location}: {name} is {type_shown(field_value)}: write a text or a whole number")
    return str(field_value)


def texts(row: Any, name: str, location: str) -> list[str]:
    """A list of texts, which may be empty.

    Raises:
        InputError: If it is something else.
    """
    field_value = value(row, name, location)
    if not isinstance(field_value, list) or not all(map(is_text, field_value)):
        raise InputError(f"{location}: {name} is not a list of texts: write one text a finding")
    return field_value


def mapping(row: Any, name: str, location: str) -> Mapping[str, Any]:
    """An object with at least one entry.

    Raises:
        InputError: If it is something else.
    """
    field_value = value(row, name, location)
    if not isinstance(field_value, dict) or not field_value:
        raise InputError(f"{location}: {name} is not an object with entries: repair the row")
    return field_value


def entries(row: Any, name: str, location: str) -> list[Any]:
    """A list with at least one entry.

    Raises:
        InputError: If it is something else.
    """
    field_value = value(row, name, location)
    if not isinstance(field_value, list) or not field_value:
        raise InputError(f"{location}: {name} is not a list with entries: repair the row")
    return field_value


def number(rating: Any, name: str, location: str) -> float:
    """A rating.

    Raises:
        InputError: If it is not a finite number.
    """
    is_number = isinstance(rating, int | float) and not isinstance(rating, bool)
    if not is_number or not math.isfinite(rating):
        text = shown(rating) if is_number else type_shown(rating)
        raise InputError(f"{location}: {name} is {text}: write a finite number")
    return float(rating)


def check_unique(ids: Iterable[tuple[str, str]]) -> None:
    """Refuse an id that two rows have. It may be a patient's, so it is not printed.

    Args:
        ids: Each id with its location.

    Raises:
        InputError: With both locations.
    """
    location_of_id: dict[str, str] = {}
    for name, location in ids:
        if name in location_of_id:
            raise InputError(f"{location} has the id of {location_of_id[name]}: make the ids unique")
        location_of_id[name] = location
