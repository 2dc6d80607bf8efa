"""What the two networks read: the spans and pairs of a sentence, as rows of pieces. Pure Python.

A sentence that is too long for a network is cut into windows of whole words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from chexphi.graph.rexkg.vocabulary import Marks, Pieces, Vocabulary
from chexphi.graph.types import LABELS

Span = tuple[int, int]
"""First and last word."""
Entity = tuple[int, int, str]
"""First and last word, label."""
Pair = tuple[int, int]
"""Subject and object: positions in the entities of a sentence."""
MarkTable = Mapping[tuple[str, str], Marks]
"""(label of the subject, label of the object) -> ids of their four markers."""
MAX_WIDTH = 8
"""Words that a span may have (`ReXKG/get_entity_relation.py`)."""
MAX_PIECES = 256
"""Pieces of a row with [CLS] and [SEP], as in the training of the published relation model."""
MAX_PAIRS = 2048
"""Ordered pairs of one sentence. Real sentences have far fewer; a text without full stops must not take
quadratic time."""
_FINDINGS = ("disorder_present", "disorder_notpresent")
_DEVICES = ("devices_present", "devices_notpresent")
RELATED = frozenset(
    (head, tail)
    for heads, tails in (
        (("concept", "size"), LABELS),  # modify
        (("anatomy",), ("anatomy",)),
        (_FINDINGS, ("anatomy", *_FINDINGS)),  # located_at, suggestive_of
        (_DEVICES, ("anatomy",)),
        (("procedures",), ("anatomy", *_DEVICES)),
    )
    for head in heads
    for tail in tails
)
"""(subject, object): labels between which the scheme allows a relation (arXiv 2408.14397). In reports these
are six pairs of ten. The networks may still find relations elsewhere, so only an option skips those pairs."""


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence of pieces, and the spans or pairs in it that a network labels."""

    ids: tuple[int, ...]
    candidates: list[tuple[int, ...]] = field(default_factory=list)
    """(first piece, last piece, width in words) of a span; (start of subject, start of object) of a pair."""
    marker_positions: tuple[int, ...] = ()
    """Positions of the markers that follow the text, in groups of four (approximate mode)."""

    @property
    def text_length(self) -> int:
        """How many ids come before the markers that follow the text."""
        return len(self.ids) - len(self.marker_positions)


CandidateRow = tuple[Row, list[tuple[int, int]]]
"""A row, and the span (in words) or the pair (of entities) that each of its candidates is."""


def spans(word_count: int, start: int = 0, end: int | None = None) -> Iterator[Span]:
    """Spans whose first word is one of the words [start, end), in order of first, then last word."""
    for first_word in range(start, word_count if end is None else end):
        for last_word in range(first_word, min(word_count, first_word + MAX_WIDTH)):
            yield first_word, last_word


def max_word_pieces(limit: int) -> int:
    """How many pieces a word may have, so that the widest span fits into half a window."""
    return max(1, limit // (2 * MAX_WIDTH))


def entity_windows(pieces: Pieces, vocabulary: Vocabulary, limit: int) -> Iterator[CandidateRow]:
    """Rows of at most `limit` pieces, plus [CLS] and [SEP]. Each span is a candidate of one row.

    A window has the spans that start in its core, which is at most half of it. The rest is context.
    """
    word_count, core = len(pieces), 0
    while core < word_count:
        end = word_count if pieces.count(0, word_count) <= limit else core + 1
        while end < word_count and pieces.count(core, end + 1) <= limit // 2:
            end += 1
        window = widen(pieces, core, min(word_count, end + MAX_WIDTH - 1), limit)
        window_start, window_end = (pieces.starts[word] for word in window)
        core_spans = list(spans(word_count, core, end))
        ids = (vocabulary.cls, *pieces.flat[window_start:window_end], vocabulary.sep)
        shift = 1 - window_start
        candidates: list[tuple[int, ...]] = [
            (pieces.starts[a] + shift, pieces.starts[b + 1] - 1 + shift, b - a + 1) for a, b in core_spans
        ]
        yield Row(ids, candidates), core_spans
        core = end


def widen(pieces: Pieces, inner_start: int, inner_end: int, limit: int) -> tuple[int, int]:
    """The words [inner_start, inner_end) with as much context as fits, in turn on the side that has less."""
    start, end, word_count = inner_start, inner_end, len(pieces)
    while start > 0 or end < word_count:
        less_before = pieces.count(start, inner_start) <= pieces.count(inner_end, end)
        grow_start = start > 0 and (less_before or end == word_count)
        wider = (start - 1, end) if grow_start else (start, min(word_count, end + 1))
        if wider == (start, end) or pieces.count(*wider) > limit:
            break
        start, end = wider
    return start, end


def with_markers(
    pieces: Pieces, vocabulary: Vocabulary, words: Span, subject: Span, object_: Span, marks: Marks
) -> tuple[tuple[int, ...], int, int]:
    """The words [start, end) of a sentence with markers around the subject and the object.

    If both start at the same word, the subject's marker comes first. So it does if both end at the same word.

    Returns:
        Ids, position of the marker that starts the subject, position of the one that starts the object.
    """
    insertions = sorted(
        (
            (subject[0], 0, pieces.starts[subject[0]]),
            (object_[0], 1, pieces.starts[object_[0]]),
            (subject[1], 2, pieces.starts[subject[1] + 1]),
            (object_[1], 3, pieces.starts[object_[1] + 1]),
        )
    )
    ids, next_piece = [vocabulary.cls], pieces.starts[words[0]]
    marker_positions = [0, 0, 0, 0]
    for _, number, piece in insertions:
        ids += pieces.flat[next_piece:piece]
        marker_positions[number], next_piece = len(ids), piece
        ids.append(marks[number])
    ids += pieces.flat[next_piece : pieces.starts[words[1]]]
    ids.append(vocabulary.sep)
    return tuple(ids), marker_positions[0], marker_positions[1]


def pair_rows(
    pieces: Pieces,
    vocabulary: Vocabulary,
    entities: Sequence[Entity],
    chosen_pairs: Sequence[Pair] | None = None,
    *,
    marks: MarkTable,
    limit: int,
) -> Iterator[CandidateRow]:
    """Rows with one ordered pair each, of at most `limit` pieces plus [CLS] and [SEP].

    Pairs whose labels have no markers are left out. A long sentence is cut to a window around the pair. A
    pair that does not fit into a window is left out, too.

    Args:
        pieces: The pieces of the sentence.
        vocabulary: The vocabulary that made them.
        entities: The entities of the sentence.
        chosen_pairs: The pairs to make rows for; None: all.
        marks: The markers by the labels of subject and object.
        limit: How many pieces a row may have.
    """
    marked_pairs = []
    for head, tail in pairs(len(entities), MAX_PAIRS) if chosen_pairs is None else chosen_pairs:
        subject, object_ = entities[head], entities[tail]
        if (subject[2], object_[2]) not in marks:
            continue
        words = _pair_window(pieces, subject[:2], object_[:2], limit - 4)
        if words is not None:
            row = with_markers(
                pieces, vocabulary, words, subject[:2], object_[:2], marks[subject[2], object_[2]]
            )
            marked_pairs.append(((head, tail), *row))
    yield from merge_rows(marked_pairs)


def merge_rows(marked_pairs: Iterable[tuple[Pair, tuple[int, ...], int, int]]) -> Iterator[CandidateRow]:
    """One row for all pairs with the same ids: both directions, if the markers do not tell the labels."""
    row_of_ids: dict[tuple[int, ...], CandidateRow] = {}
    for pair, ids, subject, object_ in marked_pairs:
        row, row_pairs = row_of_ids.setdefault(ids, (Row(ids), []))
        row.candidates.append((subject, object_))
        row_pairs.append(pair)
    yield from row_of_ids.values()


def _pair_window(pieces: Pieces, subject: Span, object_: Span, max_pieces: int) -> Span | None:
    """The words [start, end) around a pair, or None if its ends are too far apart."""
    start, end = min(subject[0], object_[0]), max(subject[1], object_[1]) + 1
    if pieces.count(0, len(pieces)) <= max_pieces:
        return 0, len(pieces)
    return widen(pieces, start, end, max_pieces) if pieces.count(start, end) <= max_pieces else None


def pairs(count: int, max_pairs: int | None) -> Iterator[Pair]:
    """Ordered pairs of `count` entities, both directions, in order of subject, then object.

    If there are more than `max_pairs`, an entity is only paired with its nearest neighbours in the text, and
    pairs end when `max_pairs` is reached.
    """
    if max_pairs is None or count * (count - 1) <= max_pairs:
        yield from permutations(range(count), 2)
        return
    reach, pair_count = max(1, max_pairs // (2 * count)), 0
    for subject in range(count):
        for object_ in range(max(0, subject - reach), min(count, subject + reach + 1)):
            if pair_count == max_pairs:
                return
            if subject != object_:
                pair_count += 1
                yield subject, object_
