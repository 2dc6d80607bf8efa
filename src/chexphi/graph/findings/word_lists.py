"""The lists of words of the ontology: words that mean the same, and words that tell a quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chexphi.graph.findings.concepts import DEGREES, is_text_list
from chexphi.schema import InputError, shown

WORDS = "words"
"""The file of these lists, and the table of a user's file that adds to them."""
Lists = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Table -> value or word -> the words that mean it."""
_HALVES = ("1.5", "2.5", "3.5")
VALUES: Mapping[str, tuple[str, ...] | None] = {
    "same": None,
    "side": ("left", "right"),
    "both_sides": ("words",),
    "zone": ("upper", "middle", "lower", "central"),
    "degree": tuple(sorted((*DEGREES, *_HALVES))),
    "count": tuple(map(str, range(1, 10))),
    "change": ("new", "increased", "decreased", "unchanged", "resolved"),
    "time": ("acute", "chronic"),
    "doubt": ("words",),
    "position": ("good", "bad"),
}
"""Table -> the values that it may have; None where it may have any word."""


def word_lists(tables: Any, location: str) -> Lists:
    """The lists of words in the tables of a TOML file.

    Args:
        tables: Table -> value -> list of words. `docs/clinical.md` names the tables.
        location: The file, for messages.

    Raises:
        InputError: If there is an unknown table or value, or a list that is not one of single words.
    """
    if not isinstance(tables, dict):
        raise InputError(f"{location} is {shown(tables)}: write it as tables, as in [{WORDS}.same]")
    return {name: _table(name, table, location) for name, table in tables.items()}


def _table(name: str, table: Any, location: str) -> dict[str, tuple[str, ...]]:
    if name not in VALUES:
        raise InputError(f"{location} has the unknown table {shown(name)}: use {', '.join(VALUES)}")
    if not isinstance(table, dict):
        raise InputError(f"{location} has {name} {shown(table)}: give a table of lists")
    allowed_values = VALUES[name]
    for value, words in table.items():
        if allowed_values and value not in allowed_values:
            example = f', as in {WORDS} = ["one", "two"]' if allowed_values == (WORDS,) else ""
            raise InputError(
                f"{location} has the key {shown(value)} in {name}: use {', '.join(allowed_values)}{example}"
            )
        if not words or not is_text_list(words) or any(len(word.split()) > 1 for word in words):
            raise InputError(
                f"{location} has {shown(words)} for {shown(value)} in {name}: give a list of single words"
            )
    return {value: tuple(words) for value, words in table.items()}


def extended(lists: Lists, additions: Lists) -> Lists:
    """The lists with the words of others added."""
    return {
        name: {
            value: (*table.get(value, ()), *additions.get(name, {}).get(value, ()))
            for value in dict.fromkeys((*table, *additions.get(name, {})))
        }
        for name, table in lists.items()
    }
