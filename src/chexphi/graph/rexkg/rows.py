"""What the two models read: spans and pairs of a sentence as rows of pieces. Pure Python.

A sentence that is longer than a model reads is cut into windows of whole words.
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
WIDEST = 8
"""Words of a span (`ReXKG/get_entity_relation.py`)."""
MOST_PIECES = 256
"""Pieces of a row, [CLS] and [SEP] included: what the relation model was trained with."""
MOST_PAIRS = 2048
"""Ordered pairs of one sentence; real ones stay far below, a run-on text must not take quadratic time."""


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
"""(subject, object): labels that the scheme has a relation for (arXiv 2408.14397); six pairs of ten in
reports. The networks may answer otherwise, so only an option leaves the others out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence, and the places in it that are judged."""

    ids: tuple[int, ...]
    places: list[tuple[int, ...]] = field(default_factory=list)
    behind: tuple[int, ...] = ()
    """Positions of the markers that stand behind the text, in groups of four (approximate mode)."""

    @property
    def text(self) -> int:
        """Ids before the markers behind the text."""
        return len(self.ids) - len(self.behind)


Plan = tuple[Row, list[tuple[int, int]]]
"""A row, and which span or pair each of its places is."""


def spans(words: int, first: int = 0, end: int | None = None) -> Iterator[Span]:
    """Spans that start at the words from `first` up to `end`, in order of first, then last word."""
    for start in range(first, words if end is None else end):
        for last in range(start, min(words, start + WIDEST)):
            yield start, last


def longest_word(limit: int) -> int:
    """Pieces a word may have so that half a window and the widest span fit into one."""
    return max(1, limit // (2 * WIDEST))


def entity_windows(pieces: Pieces, vocabulary: Vocabulary, limit: int) -> Iterator[Plan]:
    """Rows of at most `limit` pieces and [CLS], [SEP]; each span stands in one of them.

    A window judges the spans that start in its core, at most half of it; the rest is context.
    """
    words, core = len(pieces), 0
    while core < words:
        end = words if pieces.count(0, words) <= limit else core + 1
        while end < words and pieces.count(core, end + 1) <= limit // 2:
            end += 1
        left, right = widen(pieces, core, min(words, end + WIDEST - 1), limit)
        judged = list(spans(words, core, end))
        ids = (vocabulary.cls, *pieces.flat[pieces.starts[left] : pieces.starts[right]], vocabulary.sep)
        shift = 1 - pieces.starts[left]
        places: list[tuple[int, ...]] = [
            (pieces.starts[a] + shift, pieces.starts[b + 1] - 1 + shift, b - a + 1) for a, b in judged
        ]
        yield Row(ids, places), judged
        core = end


def widen(pieces: Pieces, left: int, right: int, limit: int) -> tuple[int, int]:
    """Words [left, right) with as much context as fits, first to the side that has less of it."""
    words, first, end = len(pieces), left, right
    while left > 0 or right < words:
        to_left = pieces.count(left, first) <= pieces.count(end, right) if right < words else True
        wider = (left - 1, right) if left > 0 and to_left else (left, min(words, right + 1))
        if wider == (left, right) or pieces.count(*wider) > limit:
            break
        left, right = wider
    return left, right


def marked(
    pieces: Pieces, vocabulary: Vocabulary, words: Span, subject: Span, object_: Span, marks: Marks
) -> tuple[tuple[int, ...], int, int]:
    """The words [first, end) with markers around both entities: ids, and where the subject and object open.

    Where both start at one word the subject's marker comes first, where both end there too.
    """
    inserted = sorted(
        (
            (subject[0], 0, pieces.starts[subject[0]]),
            (object_[0], 1, pieces.starts[object_[0]]),
            (subject[1], 2, pieces.starts[subject[1] + 1]),
            (object_[1], 3, pieces.starts[object_[1] + 1]),
        )
    )
    ids, done = [vocabulary.cls], pieces.starts[words[0]]
    opens = [0, 0, 0, 0]
    for _, kind, at in inserted:
        ids += pieces.flat[done:at]
        opens[kind], done = len(ids), at
        ids.append(marks[kind])
    ids += pieces.flat[done : pieces.starts[words[1]]]
    ids.append(vocabulary.sep)
    return tuple(ids), opens[0], opens[1]


def pair_rows(
    pieces: Pieces,
    vocabulary: Vocabulary,
    entities: Sequence[Entity],
    asked: Sequence[Pair] | None = None,
    *,
    marks: MarkTable,
    limit: int,
) -> Iterator[Plan]:
    """Each ordered pair (of those `asked`), in a row of at most `limit` pieces and [CLS], [SEP].

    Pairs whose labels have no marks are left out.

    A long sentence is cut to the window around the pair; a pair that no window holds is not judged.
    """
    placed = []
    for head, tail in pairs(len(entities), MOST_PAIRS) if asked is None else asked:
        subject, object_ = entities[head], entities[tail]
        if (subject[2], object_[2]) not in marks:
            continue
        words = _pair_window(pieces, subject[:2], object_[:2], limit - 4)
        if words is not None:
            row = marked(pieces, vocabulary, words, subject[:2], object_[:2], marks[subject[2], object_[2]])
            placed.append(((head, tail), *row))
    yield from grouped(placed)


def grouped(placed: Iterable[tuple[Pair, tuple[int, ...], int, int]]) -> Iterator[Plan]:
    """Pairs whose pieces are the same in one row: both directions, where the markers do not tell labels."""
    plans: dict[tuple[int, ...], Plan] = {}
    for pair, ids, subject, object_ in placed:
        row, asked = plans.setdefault(ids, (Row(ids), []))
        row.places.append((subject, object_))
        asked.append(pair)
    yield from plans.values()


def _pair_window(pieces: Pieces, subject: Span, object_: Span, room: int) -> Span | None:
    """Words [first, end) around a pair; None where it is too far apart."""
    first, end = min(subject[0], object_[0]), max(subject[1], object_[1]) + 1
    if pieces.count(0, len(pieces)) <= room:
        return 0, len(pieces)
    return widen(pieces, first, end, room) if pieces.count(first, end) <= room else None


def pairs(count: int, most: int | None) -> Iterator[Pair]:
    """Ordered pairs of so many entities, both directions, in order of subject then object.

    Where they would be more than `most`, an entity is paired with its nearest neighbours in the order of
    the text alone, and with none once `most` is reached.
    """
    if most is None or count * (count - 1) <= most:
        yield from permutations(range(count), 2)
        return
    reach, made = max(1, most // (2 * count)), 0
    for subject in range(count):
        for object_ in range(max(0, subject - reach), min(count, subject + reach + 1)):
            if made == most:
                return
            if subject != object_:
                made += 1
                yield subject, object_
