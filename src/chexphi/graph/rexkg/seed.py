"""The cuts and the graph form of the original, for `compat="original"`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from chexphi.graph.rexkg.rows import Entity, MarkTable, Pair, Plan, Row, grouped, marked, pairs, spans
from chexphi.graph.rexkg.vocabulary import Pieces, Vocabulary
from chexphi.graph.types import Graph

ENTITY_LIMIT = 500
"""Both pieces of a sentence and, by a mix-up, its spans (`ReXKG/entity/models.py`)."""
RELATION_LIMIT = 256
"""Pieces, markers included (`utils/get_knowledge_graph.py`)."""


def seed_entity_rows(pieces: Pieces, vocabulary: Vocabulary) -> Iterator[Plan]:
    """One row a sentence; ends of spans behind the cut are moved to the last piece."""
    judged = list(islice(spans(len(pieces)), ENTITY_LIMIT))
    last = ENTITY_LIMIT - 1
    places: list[tuple[int, ...]] = [
        (min(pieces.starts[a] + 1, last), min(pieces.starts[b + 1], last), b - a + 1) for a, b in judged
    ]
    yield Row((vocabulary.cls, *pieces.flat, vocabulary.sep)[:ENTITY_LIMIT], places), judged


def seed_pair_rows(
    pieces: Pieces, vocabulary: Vocabulary, entities: Sequence[Entity], marks: MarkTable
) -> Iterator[Plan]:
    """All ordered pairs; a subject or object behind the cut is read at [CLS]."""

    def placed() -> Iterator[tuple[Pair, tuple[int, ...], int, int]]:
        whole = (0, len(pieces))
        for head, tail in pairs(len(entities), None):
            subject, object_ = entities[head], entities[tail]
            ids, opens, o_opens = marked(
                pieces, vocabulary, whole, subject[:2], object_[:2], marks[subject[2], object_[2]]
            )
            opens, o_opens = (at if at < RELATION_LIMIT else 0 for at in (opens, o_opens))
            yield (head, tail), ids[:RELATION_LIMIT], opens, o_opens

    yield from grouped(placed())


def sentence_dict(
    key: str, words: Sequence[str], entities: Sequence[Entity], edges: Sequence[tuple[int, str, int]]
) -> dict[str, Any]:
    """A sentence as the original writes it before it merges them: places are words, ends included."""
    return {
        "doc_key": key,
        "tokens": list(words),
        "predicted_ner": [list(entity) for entity in entities],
        "predicted_relations": [
            [*entities[head][:2], *entities[tail][:2], kind] for head, kind, tail in edges
        ],
    }


def merge(key: str, text: str, sentences: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The graph of a text: the last label of a text wins and stands where its first mention stood.

    A text without a sentence comes back as it is, with an empty graph.
    """
    graph: dict[str, Any] = {"sentences": "", "entities": {}, "relations": [], "doc_key": key}
    for sentence in sentences:
        words = sentence["tokens"]
        graph["sentences"] += " " + " ".join(words)
        for first, last, label in sentence["predicted_ner"]:
            graph["entities"][" ".join(words[first : last + 1])] = label
        for first, last, o_first, o_last, kind in sentence["predicted_relations"]:
            source, target = " ".join(words[first : last + 1]), " ".join(words[o_first : o_last + 1])
            graph["relations"].append({"source_entity": source, "target_entity": target, "type": kind})
    return graph if sentences else graph | {"sentences": text}


def to_graph(row: dict[str, Any]) -> Graph:
    """The same as sets; both ends of a relation have the label that won."""
    labels = row["entities"]
    ends = ((r["source_entity"], r["type"], r["target_entity"]) for r in row["relations"])
    return Graph.of(
        labels.items(), [((head, labels[head]), kind, (tail, labels[tail])) for head, kind, tail in ends]
    )
