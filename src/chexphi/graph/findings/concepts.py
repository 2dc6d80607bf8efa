"""Concepts of the ontology, read from the tables of a TOML file. Standard library only."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

from chexphi.files import similar_names
from chexphi.graph.findings.records import Significance
from chexphi.schema import InputError, shown

LEVELS: tuple[Significance, ...] = get_args(Significance)
"""Most important first."""
DEGREES = ("1", "2", "3", "4")
"""As keys of `by_degree`: trace, small or mild, moderate, large or severe."""


@dataclass(frozen=True, slots=True)
class Concept:
    """A kind of finding."""

    name: str
    terms: tuple[str, ...] = ()
    """Phrases that name it. Their words may stand in any order, with others between them."""
    normal: tuple[str, ...] = ()
    """Phrases that deny it: `lung clear`."""
    under: tuple[str, ...] = ()
    """Concepts that it is a kind of, or a sign of."""
    sign: bool = False
    """Is a sign of them, and not a kind: a text that names both means one finding."""
    alike: tuple[str, ...] = ()
    """Concepts that radiologists use for the same picture."""
    alike_for: tuple[str, ...] = ()
    """Words of an indication with which those of `alike` count nearly as this one."""
    goes_with: tuple[str, ...] = ()
    """Concepts that it is often a part of: named beside one that the reference has, it costs little."""
    significance: Significance = "minor"
    by_degree: Mapping[float, Significance] = field(default_factory=dict)
    """Degree -> significance, where it differs."""
    malpositioned: Significance | None = None
    """Significance of a device that lies in a wrong place."""
    family: bool = False
    """Names a whole region. Denying it denies all that is under it, and it shares no credit."""
    chronic: bool = False
    """Is old by its nature, so that `no acute abnormality` does not deny it."""
    unzoned: bool = False
    """Where it lies says nothing beside its name and side; so for all that is under it."""
    good_sites: frozenset[str] = frozenset()
    bad_sites: frozenset[str] = frozenset()
    bad_tip_sites: frozenset[str] = frozenset()
    """Where the tip should not lie, and the device may pass: a line in the jugular vein."""
    good_distance_mm: tuple[float, float] | None = None
    """Of a tip above the carina."""
    source: str = "our choice"


def is_text_list(value: Any) -> bool:
    """Whether a value is a list of texts, none of them blank."""
    return isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value)


def _is_range(value: Any) -> bool:
    numbers = isinstance(value, list) and len(value) == 2 and all(type(end) in (int, float) for end in value)
    return bool(numbers and 0 <= value[0] <= value[1])


def _is_level_of_degree(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= set(DEGREES)
        and all(level in LEVELS for level in value.values())
    )


class _Kind(NamedTuple):
    """What a key of a concept may hold."""

    is_right: Callable[[Any], bool]
    advice: str
    convert: Callable[[Any], Any] = lambda value: value


_TEXTS = _Kind(is_text_list, 'a list of texts that are not empty, as in ["one", "two"]', tuple)
_PHRASES = _TEXTS._replace(is_right=lambda value: bool(value) and is_text_list(value))
_WORDS = _TEXTS._replace(convert=frozenset)
_LEVEL = _Kind(LEVELS.__contains__, f"one of {', '.join(LEVELS)}")
_SWITCH = _Kind(lambda value: isinstance(value, bool), "true or false")
_KINDS = {
    "terms": _PHRASES,
    "normal": _PHRASES,
    "under": _TEXTS,
    "alike": _TEXTS,
    "alike_for": _TEXTS,
    "good_sites": _WORDS,
    "bad_sites": _WORDS,
    "bad_tip_sites": _WORDS,
    "goes_with": _TEXTS,
    "significance": _LEVEL,
    "malpositioned": _LEVEL,
    "family": _SWITCH,
    "sign": _SWITCH,
    "chronic": _SWITCH,
    "unzoned": _SWITCH,
    "by_degree": _Kind(
        _is_level_of_degree,
        f'degrees from 1 to 4, each with one of {", ".join(LEVELS)}, as in {{2 = "actionable"}}',
        lambda value: {float(degree): level for degree, level in value.items()},
    ),
    "good_distance_mm": _Kind(_is_range, "the shortest and the longest distance, as in [20, 70]", tuple),
    "source": _Kind(lambda value: isinstance(value, str) and bool(value.strip()), "a text"),
}
assert _KINDS.keys() == {entry.name for entry in dataclasses.fields(Concept)} - {"name"}, "one kind a field"


def read_toml(content: bytes, source: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Args:
        content: Its bytes.
        source: Where it is from, for messages.

    Raises:
        InputError: If it is not UTF-8 or not TOML.
    """
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{source} is not UTF-8: save it in that encoding") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not TOML ({error}): correct it") from None
    except (RecursionError, ValueError):  # thousands of brackets; an integer with thousands of digits
        raise InputError(
            f"{source} is not TOML that can be read: its values are too long or too deep"
        ) from None


def read_toml_file(path: Path) -> dict[str, Any]:
    """The tables of a TOML file of the user.

    Raises:
        InputError: If it cannot be read, or as `read_toml`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}){similar_names(path)}: name a TOML file of concepts"
        ) from None
    return read_toml(content, str(path))


def concepts_of(tables: Mapping[str, Any], source: str) -> dict[str, Concept]:
    """The concepts of one file, by name.

    Args:
        tables: The tables of the file, by the concept's name.
        source: The file, for messages.

    Raises:
        InputError: If a concept is not a table, has an unknown key, or a value of a wrong kind.
    """
    return {name: _concept(name, table, f"{source}: concept {name}") for name, table in tables.items()}


def _concept(name: str, table: Any, location: str) -> Concept:
    if not isinstance(table, dict):
        raise InputError(f"{location} is {shown(table)}: write it as a table, [{name}]")
    values = {}
    for key, value in table.items():
        if key not in _KINDS:
            raise InputError(f"{location} has the unknown key {shown(key)}: use {', '.join(sorted(_KINDS))}")
        kind = _KINDS[key]
        if not kind.is_right(value):
            raise InputError(f"{location} has {key} {shown(value)}: give {kind.advice}")
        values[key] = kind.convert(value)
    return Concept(name, **values)
