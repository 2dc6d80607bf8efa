"""Whether what a file holds is a graph in the form of `Graph.to_dict`. Standard library only."""

from __future__ import annotations

from typing import Any

from chexphi.graph.types import LABELS, RELATION_TYPES, SIDES
from chexphi.schema import is_text, shown, type_shown

_LABELS = frozenset(LABELS)
_TYPES = frozenset(RELATION_TYPES)
_SIDES = frozenset(SIDES)
KEYS = ("entities", "relations", "uncertain", "sides")
"""What a graph's object holds; the last two may be missing."""


def check_graph(graph: Any) -> None:
    """Refuse what `Graph.from_dict` cannot read, or would read as something else.

    Raises:
        ValueError: With words that follow the name of the field; no text of an entity is among them.
    """
    if not isinstance(graph, dict):
        raise ValueError(f"is {type_shown(graph)}: write an object of entities and relations")
    for key in KEYS:
        rows = graph.get(key)
        if rows is None and key in KEYS[2:]:
            continue
        if not isinstance(rows, list):
            raise ValueError(f"has {key} that are {type_shown(rows)}: write a list")
        fits, form = _FORMS[key]
        for place, row in enumerate(rows, 1):
            if not (isinstance(row, list | tuple) and fits(row)):
                where = f"at place {place} of {len(rows)}{_unknown(key, row)}"
                raise ValueError(f"has {key} of another form {where}: write {form}")


def _entity(row: Any) -> bool:
    return len(row) == 2 and isinstance(row[0], str) and _is_label(row[1]) and is_text(row[0])


def _relation(row: Any) -> bool:
    return (
        len(row) == 5
        and isinstance(row[2], str)
        and row[2] in _TYPES
        and _entity(row[:2])
        and _entity(row[3:])
    )


def _side(row: Any) -> bool:
    return len(row) == 3 and isinstance(row[2], str) and row[2] in _SIDES and _entity(row[:2])


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and value in _LABELS


_PAIR = f"[text, label] with a label of {', '.join(LABELS)}"
_FORMS = {
    "entities": (_entity, _PAIR),
    "relations": (_relation, f"[text, label, type, text, label] with a type of {', '.join(RELATION_TYPES)}"),
    "uncertain": (_entity, _PAIR),
    "sides": (_side, "[text, label, side] with left or right"),
}


def _unknown(key: str, row: Any) -> str:
    """The label or type that is unknown, where that is what is wrong."""
    if key in ("entities", "uncertain") and isinstance(row, list | tuple) and len(row) == 2:
        return f" (label {shown(row[1])})" if not _is_label(row[1]) else ""
    if key == "relations" and isinstance(row, list | tuple) and len(row) == 5 and isinstance(row[2], str):
        return f" (type {shown(row[2])})" if row[2] not in _TYPES else ""
    return ""
