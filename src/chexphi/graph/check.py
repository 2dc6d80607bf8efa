"""Checks that a value from a file is a graph in the form of `Graph.to_dict`. Standard library only."""

from __future__ import annotations

from typing import Any

from chexphi.graph.types import LABELS, RELATION_TYPES, SIDES
from chexphi.schema import is_text, shown, type_shown

_LABELS = frozenset(LABELS)
_RELATION_TYPES = frozenset(RELATION_TYPES)
_SIDES = frozenset(SIDES)
KEYS = ("entities", "relations", "uncertain", "sides")
"""Keys of a graph's object; the last two may be missing."""


def check_graph(graph: Any) -> None:
    """Refuse what `Graph.from_dict` cannot read, or would read as something else.

    Raises:
        ValueError: The message follows the name of the field in a sentence. It has no text of an entity.
    """
    if not isinstance(graph, dict):
        raise ValueError(f"is {type_shown(graph)}: write an object of entities and relations")
    for key in KEYS:
        rows = graph.get(key)
        if rows is None and key in KEYS[2:]:
            continue
        if not isinstance(rows, list):
            raise ValueError(f"has {key} that are {type_shown(rows)}: write a list")
        is_valid, form = _ROW_FORMS[key]
        for number, row in enumerate(rows, 1):
            if not (isinstance(row, list | tuple) and is_valid(row)):
                which_row = f"at place {number} of {len(rows)}{_unknown_name(key, row)}"
                raise ValueError(f"has {key} of another form {which_row}: write {form}")


def _is_entity(row: Any) -> bool:
    return len(row) == 2 and isinstance(row[0], str) and _is_label(row[1]) and is_text(row[0])


def _is_relation(row: Any) -> bool:
    return (
        len(row) == 5
        and isinstance(row[2], str)
        and row[2] in _RELATION_TYPES
        and _is_entity(row[:2])
        and _is_entity(row[3:])
    )


def _is_side(row: Any) -> bool:
    return len(row) == 3 and isinstance(row[2], str) and row[2] in _SIDES and _is_entity(row[:2])


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and value in _LABELS


_ENTITY_FORM = f"[text, label] with a label of {', '.join(LABELS)}"
_ROW_FORMS = {
    "entities": (_is_entity, _ENTITY_FORM),
    "relations": (
        _is_relation,
        f"[text, label, type, text, label] with a type of {', '.join(RELATION_TYPES)}",
    ),
    "uncertain": (_is_entity, _ENTITY_FORM),
    "sides": (_is_side, "[text, label, side] with left or right"),
}


def _unknown_name(key: str, row: Any) -> str:
    """Names the label or type of a row if it is unknown; else empty."""
    if key in ("entities", "uncertain") and isinstance(row, list | tuple) and len(row) == 2:
        return f" (label {shown(row[1])})" if not _is_label(row[1]) else ""
    if key == "relations" and isinstance(row, list | tuple) and len(row) == 5 and isinstance(row[2], str):
        return f" (type {shown(row[2])})" if row[2] not in _RELATION_TYPES else ""
    return ""
