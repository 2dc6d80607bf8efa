"""Limits and graph form of the original, for `compat="original"`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from chexphi.graph.rexkg.rows import (
    CandidateRow,
    Entity,
    MarkTable,
    Pair,
    Row,
    merge_rows,
    pairs,
    spans,
    with_markers,
)
from chexphi.graph.rexkg.vocabulary import Pieces, Vocabulary
from chexphi.graph.types import Graph

ENTITY_LIMIT = 500
"""Limit of the pieces of a sentence and, by a mistake of the original, of its spans
(`ReXKG/entity/models.py`)."""
RELATION_LIMIT = 256
"""Pieces of a row, with markers (`utils/get_knowledge_graph.py`)."""


def seed_entity_rows(pieces: Pieces, vocabulary: Vocabulary) -> Iterator[CandidateRow]:
    """One row per sentence. The ends of spans after the limit are moved to the last piece."""
    row_spans = list(islice(spans(len(pieces)), ENTITY_LIMIT))
    last_piece = ENTITY_LIMIT - 1
    candidates: list[tuple[int, ...]] = [
        (min(pieces.starts[a] + 1, last_piece), min(pieces.starts[b + 1], last_piece), b - a + 1)
        for a, b in row_spans
    ]
    yield Row((vocabulary.cls, *pieces.flat, vocabulary.sep)[:ENTITY_LIMIT], candidates), row_spans


def seed_pair_rows(
    pieces: Pieces, vocabulary: Vocabulary, entities: Sequence[Entity], marks: MarkTable
) -> Iterator[CandidateRow]:
    """Rows of all ordered pairs. A subject or object that starts after the limit is read at [CLS]."""

    def marked_pairs() -> Iterator[tuple[Pair, tuple[int, ...], int, int]]:
        all_words = (0, len(pieces))
        for head, tail in pairs(len(entities), None):
            subject, object_ = entities[head], entities[tail]
            ids, subject_start, object_start = with_markers(
                pieces, vocabulary, all_words, subject[:2], object_[:2], marks[subject[2], object_[2]]
            )
            starts = [start if start < RELATION_LIMIT else 0 for start in (subject_start, object_start)]
            yield (head, tail), ids[:RELATION_LIMIT], starts[0], starts[1]

    yield from merge_rows(marked_pairs())


def sentence_dict(
    key: str, words: Sequence[str], entities: Sequence[Entity], edges: Sequence[tuple[int, str, int]]
) -> dict[str, Any]:
    """The graph of a sentence in the form of the original. Positions are first and last word."""
    return {
        "doc_key": key,
        "tokens": list(words),
        "predicted_ner": [list(entity) for entity in entities],
        "predicted_relations": [
            [*entities[head][:2], *entities[tail][:2], kind] for head, kind, tail in edges
        ],
    }


def merge(key: str, text: str, sentences: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The graph of a text from those of its sentences, in the form of the original.

    An entity has the last of its labels, at the position of its first mention. A text without a sentence is
    returned as it is, with an empty graph.
    """
    graph: dict[str, Any] = {"sentences": "", "entities": {}, "relations": [], "doc_key": key}
    for sentence in sentences:
        words = sentence["tokens"]
        graph["sentences"] += " " + " ".join(words)
        for a, b, label in sentence["predicted_ner"]:
            graph["entities"][" ".join(words[a : b + 1])] = label
        for a, b, c, d, kind in sentence["predicted_relations"]:
            source, target = " ".join(words[a : b + 1]), " ".join(words[c : d + 1])
            graph["relations"].append({"source_entity": source, "target_entity": target, "type": kind})
    return graph if sentences else graph | {"sentences": text}


def to_graph(row: dict[str, Any]) -> Graph:
    """A graph in the form of the original as sets. The ends of a relation have the labels of `entities`."""
    labels = row["entities"]
    relations = [
        ((edge["source_entity"], labels[edge["source_entity"]]), edge["type"],
         (edge["target_entity"], labels[edge["target_entity"]]))
        for edge in row["relations"]
    ]  # fmt: skip
    return Graph.of(labels.items(), relations)
