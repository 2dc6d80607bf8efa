"""Graphs as lines of `kg.jsonl`, in the form of ReXKG and the original. Standard library only.

`{"doc_key", "sentences", "entities": {text: label}, "relations": [{"source_entity", "target_entity",
"type"}]}`. That form keeps one label a text; ours adds `mentions` and `edges`, from which a graph is read
back exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chexphi.graph.types import Graph, Mention, Parse


def to_row(key: str, parse: Parse) -> dict[str, Any]:
    """One line; of a text with two labels the last stands in `entities`, as in the original."""
    return {
        "doc_key": key,
        "sentences": parse.text,
        "entities": dict(mention.entity for mention in parse.mentions),
        "relations": [
            {"source_entity": head[0], "target_entity": tail[0], "type": kind}
            for head, kind, tail in sorted(parse.graph.relations)
        ],
        **plain(parse),
    }


def plain(parse: Parse) -> dict[str, Any]:
    """`mentions`, `edges` and, where there are some, `unclaimed` as lists; the text is not among them."""
    row: dict[str, Any] = {
        "mentions": _listed(parse.mentions),
        "edges": [list(edge) for edge in sorted(parse.edges)],
    }
    return row | ({"unclaimed": _listed(parse.unclaimed)} if parse.unclaimed else {})


def _listed(mentions: Sequence[Mention]) -> list[list[Any]]:
    return [[m.text, m.label, m.start, m.end, m.uncertain, m.denied] for m in mentions]


def parse_of(text: str, row: Mapping[str, Any]) -> Parse:
    """The inverse of `plain`."""
    mentions = tuple(Mention(*mention) for mention in row["mentions"])
    unclaimed = tuple(Mention(*mention) for mention in row.get("unclaimed", ()))
    return Parse(
        text, mentions, frozenset((head, kind, tail) for head, kind, tail in row["edges"]), unclaimed
    )


def from_row(row: Mapping[str, Any]) -> tuple[str, Graph]:
    """Key and graph of one line, with or without `mentions`.

    Raises:
        KeyError, TypeError, ValueError: If the line is no graph; a relation of an unknown entity is none.
    """
    key = str(row["doc_key"])
    if "mentions" in row:
        found = parse_of(row["sentences"], row).graph
        Graph.of(found.entities, found.relations)  # checks the labels
        return key, found
    labels = row["entities"]
    triples = (
        ((edge["source_entity"], labels[edge["source_entity"]]), edge["type"],
         (edge["target_entity"], labels[edge["target_entity"]]))
        for edge in row["relations"]
    )  # fmt: skip
    return key, Graph.of(labels.items(), triples)
