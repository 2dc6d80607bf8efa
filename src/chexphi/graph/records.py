"""Graphs as lines of `kg.jsonl`, in the form of ReXKG and the original. Standard library only.

`{"doc_key", "sentences", "entities": {text: label}, "relations": [{"source_entity", "target_entity",
"type"}]}`. That form has one label per entity text. We add `mentions` and `edges`, from which the exact graph
is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chexphi.graph.types import LABELS, RELATION_TYPES, Graph, Mention, Parse


def to_row(key: str, parse: Parse) -> dict[str, Any]:
    """One line of `kg.jsonl`. `entities` has the last label of an entity with two, as in the original."""
    return {
        "doc_key": key,
        "sentences": parse.text,
        "entities": dict(mention.entity for mention in parse.mentions),
        "relations": [
            {"source_entity": head[0], "target_entity": tail[0], "type": kind}
            for head, kind, tail in sorted(parse.graph.relations)
        ],
        **parse_fields(parse),
    }


def parse_fields(parse: Parse) -> dict[str, Any]:
    """`mentions`, `edges` and, if there are any, `unclaimed` as lists. The text itself is left out."""
    row: dict[str, Any] = {
        "mentions": _mention_rows(parse.mentions),
        "edges": [list(edge) for edge in sorted(parse.edges)],
    }
    return row | ({"unclaimed": _mention_rows(parse.unclaimed)} if parse.unclaimed else {})


def _mention_rows(mentions: Sequence[Mention]) -> list[list[Any]]:
    return [[m.text, m.label, m.start, m.end, m.uncertain, m.denied] for m in mentions]


def parse_from_fields(text: str, row: Mapping[str, Any]) -> Parse:
    """The inverse of `parse_fields`.

    Raises:
        ValueError: If the row has another form. The message has no word of the text.
    """
    mentions = _mentions_from_rows(row.get("mentions"), "mentions")
    unclaimed = _mentions_from_rows(row.get("unclaimed", []), "unclaimed")
    edges = row.get("edges")
    if not isinstance(edges, list) or not all(_is_edge(edge, len(mentions)) for edge in edges):
        raise ValueError("its edges are not a list of [position, type, position] of mentions")
    return Parse(text, mentions, frozenset((head, kind, tail) for head, kind, tail in edges), unclaimed)


def _mentions_from_rows(rows: Any, name: str) -> tuple[Mention, ...]:
    if not isinstance(rows, list) or not all(map(_is_mention, rows)):
        raise ValueError(f"its {name} are not a list of [text, label, start, end, uncertain, denied]")
    return tuple(Mention(*row) for row in rows)


def _is_mention(row: Any) -> bool:
    if not isinstance(row, list) or not 4 <= len(row) <= 6:
        return False
    text, label, start, end, *flags = row
    valid_span = isinstance(start, int) and isinstance(end, int) and 0 <= start <= end
    return (
        isinstance(text, str)
        and label in LABELS
        and valid_span
        and all(isinstance(flag, bool) for flag in flags)
    )


def _is_edge(edge: Any, count: int) -> bool:
    if not isinstance(edge, list) or len(edge) != 3 or edge[1] not in RELATION_TYPES:
        return False
    return all(isinstance(position, int) and 0 <= position < count for position in (edge[0], edge[2]))


def from_row(row: Mapping[str, Any]) -> tuple[str, Graph]:
    """Key and graph of one line, with or without `mentions`.

    Raises:
        ValueError: If the line is not a graph, or a relation names an entity that is missing. The message has
            no word of the text.
    """
    key = row.get("doc_key")
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise ValueError("it has no doc_key that is a text or a number")
    if "mentions" in row:
        return str(key), parse_from_fields("", row).graph
    labels, relations = row.get("entities"), row.get("relations")
    if not isinstance(labels, dict) or not all(label in LABELS for label in labels.values()):
        raise ValueError(f"it has no entities with labels of {', '.join(LABELS)}")
    if not isinstance(relations, list) or not all(_is_relation(edge, labels) for edge in relations):
        raise ValueError("it has no relations of source_entity, target_entity and type between its entities")
    triples = (
        ((edge["source_entity"], labels[edge["source_entity"]]), edge["type"],
         (edge["target_entity"], labels[edge["target_entity"]]))
        for edge in relations
    )  # fmt: skip
    return str(key), Graph.of(labels.items(), triples)


def _is_relation(edge: Any, labels: Mapping[str, Any]) -> bool:
    if not isinstance(edge, dict) or edge.get("type") not in RELATION_TYPES:
        return False
    ends = (edge.get("source_entity"), edge.get("target_entity"))
    return all(isinstance(end, str) and end in labels for end in ends)
