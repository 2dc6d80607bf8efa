"""Values of settings, from YAML or another file of a user, converted to the types of their fields."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

import pydantic

from chexphi import yaml_files
from chexphi.schema import InputError, shown

MAX_NAME = 100
"""Characters of an unknown key that are compared with the known ones."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a dataclass of settings."""

    name: str
    hint: Any
    """Its type, resolved."""
    default: Any
    """`dataclasses.MISSING` if a value has to be given."""
    metadata: Mapping[str, Any]
    """`help`, and for some `choices`, `group`, and argparse's `nargs` and `const`."""


@functools.cache  # a sweep checks thousands of values, and TRL's configs have a hundred fields
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def described_fields(kinds: Sequence[type]) -> dict[str, Field]:
    """The fields of dataclasses, by name, in their order."""
    described: dict[str, Field] = {}
    for kind in kinds:
        hints = _hints(kind)
        for field in (field for field in dataclasses.fields(kind) if field.init):
            default = field.default if field.default_factory is MISSING else field.default_factory()
            described[field.name] = Field(field.name, hints[field.name], default, field.metadata)
    return described


def fields_of(kinds: Sequence[type]) -> dict[str, Any]:
    """The types of all fields of dataclasses, by name."""
    return {name: field.hint for name, field in described_fields(kinds).items()}


def members(hint: Any) -> list[Any]:
    """The types that a type is made of, without None: `int | None` has int alone."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return [kind for kind in (typing.get_args(hint) if is_union else (hint,)) if kind is not type(None)]


def listed(text: str) -> list[str]:
    """The values of a text in a list: divided at its commas, unless the whole text names a file or folder.

    >>> listed("a, b"), listed("a"), listed("")
    (['a', 'b'], ['a'], [])
    """
    if "," not in text or os.path.exists(text):
        return [text] if text else []
    return [part.strip() for part in text.split(",") if part.strip()]


def check_values(values: dict[str, Any], kinds: Sequence[type], source: str) -> dict[str, Any]:
    """Convert each value to its field's type: "yes" is a text in YAML, and true in a field of true or false.

    A text in a field of lists is `listed`.

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
    kinds = members(hint)
    if isinstance(value, str) and str not in kinds and any(typing.get_origin(kind) is list for kind in kinds):
        value = listed(value)
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
