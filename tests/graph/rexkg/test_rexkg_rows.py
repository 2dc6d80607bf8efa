"""Spans, windows, pairs and batches: pure arithmetic, against plain loops."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.rexkg.approximate import approximate_rows
from chexphi.graph.rexkg.batch import batches, model_inputs
from chexphi.graph.rexkg.rows import (
    MAX_PAIRS,
    Row,
    entity_windows,
    max_word_pieces,
    pair_rows,
    pairs,
    with_markers,
)  # fmt: skip
from chexphi.graph.rexkg.seed import seed_entity_rows
from chexphi.graph.rexkg.vocabulary import Vocabulary


class Tokenizer:
    """Word `3` has three pieces, and so on; every piece has an id of its own."""

    cls_token_id, sep_token_id, pad_token_id, unk_token_id = 1, 2, 0, 3

    def __init__(self) -> None:
        self.made = 100

    def __call__(self, words: list[str], **options: object) -> dict[str, list[list[int]]]:
        ids = []
        for word in words:
            count = int(word.split("-")[0])
            ids.append(list(range(self.made, self.made + count)))
            self.made += count
        return {"input_ids": ids}


def sentence(counts: list[int], most: int | None = None):
    """Pieces of a sentence whose words have so many pieces, and the vocabulary."""
    words = [f"{count}-{place}" for place, count in enumerate(counts)]
    vocabulary = Vocabulary(Tokenizer())
    vocabulary.learn(words)
    return vocabulary.pieces(words, most), vocabulary


COUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=40)
LIMITS = st.integers(16, 80)
SPANS = st.tuples(st.integers(0, 30), st.integers(0, 7))


@given(COUNTS, LIMITS)
def test_every_span_is_judged_once_where_its_pieces_stand(counts: list[int], limit: int) -> None:
    pieces, vocabulary = sentence(counts, max_word_pieces(limit))
    seen = []
    for row, judged in entity_windows(pieces, vocabulary, limit):
        assert len(row.ids) <= limit + 2
        assert (row.ids[0], row.ids[-1]) == (1, 2)
        for (first, last), (a, b, width) in zip(judged, row.candidates, strict=True):
            assert row.ids[a : b + 1] == pieces.flat[pieces.starts[first] : pieces.starts[last + 1]]
            assert width == last - first + 1
        seen += judged
    words = range(len(counts))
    assert seen == [(a, b) for a, b in product(words, words) if a <= b < a + 8]


def test_a_window_has_context_on_both_sides() -> None:
    pieces, vocabulary = sentence([1] * 100)
    windows = list(entity_windows(pieces, vocabulary, 40))
    assert len(windows) == 5
    for row, judged in windows[1:-1]:
        assert judged[0][0] - (row.ids[1] - 100) >= 6
        assert row.ids[-2] - 100 - judged[-1][0] >= 9


def looped(counts: list[int], subject, object_, words, flat, starts) -> tuple[list[int], int, int]:
    """Markers put in word by word, as the original does."""
    ids, opens = [1], {}
    for word in range(*words):
        if word == subject[0]:
            opens["s"] = len(ids)
            ids.append(-1)
        if word == object_[0]:
            opens["o"] = len(ids)
            ids.append(-2)
        ids += flat[starts[word] : starts[word + 1]]
        if word == subject[1]:
            ids.append(-3)
        if word == object_[1]:
            ids.append(-4)
    return [*ids, 2], opens["s"], opens["o"]


def span(place: tuple[int, int], words: int) -> tuple[int, int]:
    first = place[0] % words
    return first, min(words - 1, first + place[1])


MARKS = {("a", "a"): (-1, -2, -3, -4)}
UNKNOWN = {("a", "a"): (3, 3, 3, 3)}


@given(COUNTS, SPANS, SPANS)
def test_markers_stand_where_a_loop_puts_them(counts: list[int], one, other) -> None:
    pieces, vocabulary = sentence(counts)
    subject, object_ = span(one, len(counts)), span(other, len(counts))
    whole = (0, len(counts))
    ids, s, o = with_markers(pieces, vocabulary, whole, subject, object_, MARKS["a", "a"])
    assert (list(ids), s, o) == looped(counts, subject, object_, whole, pieces.flat, pieces.starts)


@given(COUNTS, st.lists(SPANS, min_size=2, max_size=5), LIMITS)
def test_pairs_stand_in_windows_that_hold_both(counts: list[int], places, limit: int) -> None:
    pieces, vocabulary = sentence(counts, max_word_pieces(limit))
    entities = sorted({(*span(place, len(counts)), "a") for place in places})
    asked = set()
    for row, judged in pair_rows(pieces, vocabulary, entities, marks=MARKS, limit=limit):
        assert len(row.ids) <= limit + 2
        for (head, tail), (s, o) in zip(judged, row.candidates, strict=True):
            assert (row.ids[s], row.ids[o]) == (-1, -2)
            inside = entities[tail][:2], row.ids.index(-2), row.ids.index(-4)
            bare = [piece for piece in row.ids[inside[1] : inside[2]] if piece >= 0]
            assert bare == list(pieces.flat[pieces.starts[inside[0][0]] : pieces.starts[inside[0][1] + 1]])
            asked.add((head, tail))
    for head, tail in set(pairs(len(entities), None)) - asked:
        first = min(entities[head][0], entities[tail][0])
        end = max(entities[head][1], entities[tail][1]) + 1
        assert pieces.count(first, end) > limit - 4  # only what no window holds is missing


@given(COUNTS, st.lists(SPANS, min_size=2, max_size=5))
def test_without_types_both_directions_share_a_row(counts: list[int], places) -> None:
    pieces, vocabulary = sentence(counts)
    entities = sorted({(*span(place, len(counts)), "a") for place in places})
    plans = list(pair_rows(pieces, vocabulary, entities, marks=UNKNOWN, limit=10_000))
    assert len(plans) <= len(entities) * (len(entities) - 1) // 2
    for row, judged in plans:
        for (head, tail), place in zip(judged, row.candidates, strict=True):
            ids, *opens = with_markers(
                pieces, vocabulary, (0, len(counts)), entities[head][:2], entities[tail][:2], (3,) * 4
            )
            assert (row.ids, place) == (ids, tuple(opens))


@pytest.mark.parametrize("count", [0, 1, 2, 45, 46, 47, 300, 3000])
def test_pairs_of_a_sentence_are_bounded(count: int) -> None:
    found = list(pairs(count, MAX_PAIRS))
    assert found == sorted(set(found))
    assert len(found) == min(count * (count - 1), len(found)) <= MAX_PAIRS
    if count * (count - 1) <= MAX_PAIRS:
        assert len(found) == count * (count - 1)
    else:
        assert {tail - head for head, tail in found} >= {-1, 1}
        assert len(found) > MAX_PAIRS // 2


def test_the_original_cuts_spans_and_pieces_at_500() -> None:
    pieces, vocabulary = sentence([9] * 80)
    ((row, judged),) = seed_entity_rows(pieces, vocabulary)
    assert len(row.ids) == len(judged) == len(row.candidates) == 500
    assert judged == [(a, b) for a, b in product(range(80), range(80)) if a <= b < a + 8][:500]
    assert row.ids[-1] != 2
    assert max(place[0] for place in row.candidates) == max(place[1] for place in row.candidates) == 499
    assert row.candidates[0] == (1, 9, 1)


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 100))
def test_batches_keep_the_budget(lengths: list[int], budget: int) -> None:
    made = list(batches(lengths, budget))
    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[p] for p in batch) <= budget for batch in made)
    assert all(lengths[a[-1]] <= lengths[b[0]] for a, b in pairwise(made))


def test_markers_behind_the_text_look_at_it_and_at_their_own_four() -> None:
    pieces, vocabulary = sentence([1, 2, 1])
    entities = [(0, 0, "a"), (1, 1, "a"), (2, 2, "a")]
    ((row, judged),) = approximate_rows(pieces, vocabulary, entities, marks=MARKS, limit=100)
    assert judged == list(pairs(3, None))
    assert len(row.ids) == 6 + 4 * 6
    assert sorted(row.marker_positions[:4]) == [1, 1, 2, 3]
    for (s, o), (head, tail) in zip(row.candidates, judged, strict=True):
        assert (row.ids[s], row.ids[o]) == (-1, -2)
        assert (row.marker_positions[s - 6], row.marker_positions[o - 6]) == tuple(
            pieces.starts[entities[e][0]] + 1 for e in (head, tail)
        )
    short, plain = Row((1, 100, 2, 3, 3, 3, 3), marker_positions=(1, 1, 1, 1)), Row((1, 100, 101, 2))
    batch = model_inputs([row, short, plain], 0)
    assert batch["position_ids"][1].tolist() == [0, 1, 2, 1, 1, 1, 1, *[0] * 23]
    assert batch["position_ids"][2].tolist() == [0, 1, 2, 3, *[0] * 26]
    mask = batch["attention_mask"]
    assert mask.shape == (3, 1, 30, 30)
    for number, (one, text) in enumerate(((row, 6), (short, 3), (plain, 4))):
        for a, b in product(range(len(one.ids)), range(30)):
            same = a >= text and b >= text and (a - text) // 4 == (b - text) // 4
            assert bool(mask[number, 0, a, b]) == (b < len(one.ids) and (b < text or same)), (number, a, b)


@given(COUNTS, st.lists(SPANS, min_size=2, max_size=5))
def test_without_types_both_directions_share_their_markers(counts: list[int], places) -> None:
    pieces, vocabulary = sentence(counts)
    entities = sorted({(*span(place, len(counts)), "a") for place in places})
    judged = []
    for row, asked in approximate_rows(pieces, vocabulary, entities, marks=UNKNOWN, limit=10_000):
        assert len(row.ids) - row.text_length <= 4 * len(asked) // 2
        for (head, tail), at in zip(asked, row.candidates, strict=True):
            wanted = [pieces.starts[entities[end][0]] + 1 for end in (head, tail)]
            assert [row.marker_positions[place - row.text_length] for place in at] == wanted
        judged += asked
    assert sorted(judged) == list(pairs(len(entities), None))
