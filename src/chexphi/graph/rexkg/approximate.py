"""PURE's approximation: one row has many pairs of a sentence, with their markers after the text.

A marker has the position of the piece that it marks. It attends to the text and to the other three markers of
its pair. The text attends only to itself (arXiv 2010.12812, section 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from chexphi.graph.rexkg.rows import (
    MAX_PAIRS,
    CandidateRow,
    Entity,
    MarkTable,
    Pair,
    Row,
    pair_rows,
    pairs,
)
from chexphi.graph.rexkg.vocabulary import Pieces, Vocabulary

Mark = tuple[int, int]
"""Piece id and position of a marker."""
Group = tuple[tuple[Mark, ...], list[tuple[Pair, Mark, Mark]]]
"""Four markers, and the pairs they stand for, each with the markers that start its subject and its object."""
GROUPS_PER_ROW = 64
"""Groups of four markers in one row. Attention grows with the square of a row (our choice)."""


def approximate_rows(
    pieces: Pieces, vocabulary: Vocabulary, entities: Sequence[Entity], *, marks: MarkTable, limit: int
) -> Iterator[CandidateRow]:
    """Rows with all pairs of a sentence whose labels have markers. The pairs share one copy of the text.

    A sentence longer than `limit` pieces gets the exact rows, one pair at a time.
    """
    if len(pieces.flat) > limit:
        yield from pair_rows(pieces, vocabulary, entities, marks=marks, limit=limit)
        return
    pairs_of_marks: dict[tuple[Mark, ...], list[tuple[Pair, Mark, Mark]]] = {}
    for head, tail in pairs(len(entities), MAX_PAIRS):
        subject, object_ = entities[head], entities[tail]
        if (subject[2], object_[2]) not in marks:
            continue
        subject_start, object_start, subject_end, object_end = marks[subject[2], object_[2]]
        subject_mark = subject_start, pieces.starts[subject[0]] + 1
        object_mark = object_start, pieces.starts[object_[0]] + 1
        end_marks = (
            (subject_end, pieces.starts[subject[1] + 1]),
            (object_end, pieces.starts[object_[1] + 1]),
        )
        # where markers do not tell labels, both directions of a pair have the same four
        group_marks = tuple(sorted((subject_mark, object_mark, *end_marks)))
        pairs_of_marks.setdefault(group_marks, []).append(((head, tail), subject_mark, object_mark))
    remaining = iter(pairs_of_marks.items())
    while row_groups := list(islice(remaining, GROUPS_PER_ROW)):
        yield _row((vocabulary.cls, *pieces.flat, vocabulary.sep), row_groups)


def _row(text_ids: tuple[int, ...], groups: Sequence[Group]) -> CandidateRow:
    marks = [mark for group_marks, _ in groups for mark in group_marks]
    row = Row(
        (*text_ids, *(piece for piece, _ in marks)),
        marker_positions=tuple(position for _, position in marks),
    )
    row_pairs = []
    starts = range(len(text_ids), len(row.ids), 4)
    for start, (group_marks, group_pairs) in zip(starts, groups, strict=True):
        for pair, subject_mark, object_mark in group_pairs:
            row.candidates.append(
                (start + group_marks.index(subject_mark), start + group_marks.index(object_mark))
            )
            row_pairs.append(pair)
    return row, row_pairs
