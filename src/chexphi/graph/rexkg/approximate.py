"""PURE's approximation: many pairs of a sentence in one row, their markers behind the text.

A marker has the position of the piece that it stands at and looks at the text and at the other three of
its pair; the text looks at itself alone (arXiv 2010.12812, section 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from chexphi.graph.rexkg.rows import (
    MOST_PAIRS,
    Entity,
    MarkTable,
    Pair,
    Plan,
    Row,
    pair_rows,
    pairs,
)
from chexphi.graph.rexkg.vocabulary import Pieces, Vocabulary

Mark = tuple[int, int]
"""Piece and position."""
GROUPS = 64
"""Pairs of one row: attention grows with the square of a row (our choice)."""


def approximate_rows(
    pieces: Pieces, vocabulary: Vocabulary, entities: Sequence[Entity], *, marks: MarkTable, limit: int
) -> Iterator[Plan]:
    """All pairs of a sentence whose labels have marks, behind one copy of it.

    A sentence longer than `limit` is judged exactly.
    """
    if len(pieces.flat) > limit:
        yield from pair_rows(pieces, vocabulary, entities, marks=marks, limit=limit)
        return
    groups: dict[tuple[Mark, ...], list[tuple[Pair, Mark, Mark]]] = {}
    for head, tail in pairs(len(entities), MOST_PAIRS):
        (first, last, label), (o_first, o_last, o_label) = entities[head], entities[tail]
        if (label, o_label) not in marks:
            continue
        opens, o_opens, closes, o_closes = marks[label, o_label]
        subject, object_ = (opens, pieces.starts[first] + 1), (o_opens, pieces.starts[o_first] + 1)
        ends = (closes, pieces.starts[last + 1]), (o_closes, pieces.starts[o_last + 1])
        four = tuple(sorted((subject, object_, *ends)))  # the same in both directions without labels
        groups.setdefault(four, []).append(((head, tail), subject, object_))
    todo = iter(groups.items())
    while some := list(islice(todo, GROUPS)):
        yield _row((vocabulary.cls, *pieces.flat, vocabulary.sep), some)


def _row(text: tuple[int, ...], groups: list[tuple[tuple[Mark, ...], list[tuple[Pair, Mark, Mark]]]]) -> Plan:
    markers = [mark for four, _ in groups for mark in four]
    row = Row(
        (*text, *(piece for piece, _ in markers)),
        behind=tuple(position for _, position in markers),
    )
    asked = []
    for start, (four, judged) in zip(range(len(text), len(row.ids), 4), groups, strict=True):
        for pair, subject, object_ in judged:
            row.places.append((start + four.index(subject), start + four.index(object_)))
            asked.append(pair)
    return row, asked
