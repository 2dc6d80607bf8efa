"""Values of settings, from YAML or another file of a user, converted to the types of their fields."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Sequence
from typing import Any

import pydantic

from chexphi import yaml_files
from chexphi.schema import InputError, shown

MAX_NAME = 100
"""Characters of an unknown key that are compared with the known ones."""


def fields_of(kinds: Sequence[type]) -> dict[str, Any]:
    """The types of all fields of dataclasses, by name."""
    hints: dict[str, Any] = {}
    for kind in kinds:
        types = typing.get_type_hints(kind)
        hints.update({field.name: types[field.name] for field in dataclasses.fields(kind) if field.init})
    return hints


def check_values(values: dict[str, Any], kinds: Sequence[type], source: str) -> dict[str, Any]:
    """Convert each value to its field's type: "yes" is a text in YAML, and true in a field of true or false.

    Raises:
        InputError: For an unknown key (with the most similar known one) or a value of another type.
    """
    hints = fields_of(kinds)
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            similar = difflib.get_close_matches(str(key)[:MAX_NAME], hints, n=1)
            hint = f"did you mean {similar[0]!r}?" if similar else "see `--help` for the known ones"
            raise InputError(f"{source}: unknown key {shown(key)}: {hint}")
        checked[key] = _converted(key, value, hints[key], source)
    return checked


def _converted(key: str, value: Any, hint: Any, source: str) -> Any:
    options = _options(hint)
    name = getattr(hint, "__name__", None) if not typing.get_args(hint) else str(hint).replace("typing.", "")
    message = f"{source}: {key} is {shown(value)}, which is not {name or hint}: give a value of that type"
    if isinstance(value, bool) and bool not in options and not options & {Any, object, str, dict}:
        raise InputError(message)
    if _takes_numbers(options) and any(not _is_number(text) for text in _texts(value)):
        raise InputError(message)
    try:
        return pydantic.TypeAdapter(hint).validate_python(value)
    except pydantic.ValidationError:
        raise InputError(message) from None
    except pydantic.PydanticSchemaGenerationError:
        return value


def _options(hint: Any) -> set[Any]:
    """A type and all types that it is made of: `list[float] | None` has float among them."""
    return {hint}.union(*map(_options, typing.get_args(hint)))


def _takes_numbers(options: set[Any]) -> bool:
    """Whether a field holds numbers, or a list of them, and no texts."""
    return bool(options & {int, float}) and not options & {str, bool}


def _is_number(text: str) -> bool:
    """Whether a text is a number as JSON writes it: not `010`, `1_000` or `0x1F`."""
    return yaml_files.FLOAT.fullmatch(text.strip()) is not None


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]
