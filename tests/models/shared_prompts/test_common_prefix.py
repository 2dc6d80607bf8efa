"""Which rows are found to begin alike: hard cases by hand, and properties of whatever is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.models.shared_prompts import common_prefix
from chexphi.models.shared_prompts.common_prefix import (
    MIN_SAVED_TOKENS,
    Prefixes,
    common_prefixes,
    saves_enough,
)

A, B = list(range(1000, 1400)), list(range(2000, 2400))
"""Two beginnings of 400 tokens; a film ends at 300."""


def found(rows: list[list[int]], films: list[tuple[int, ...]], end: int = 300) -> Prefixes | None:
    ends = [end if own else 0 for own in films]
    return common_prefixes([np.array(row) for row in rows], films, ends)


@pytest.mark.parametrize(
    ("rows", "films", "expected"),
    [
        # three questions about a film
        ([[*A, 1, 2], [*A, 3], [*A, 1, 4, 5]], [(0,)] * 3, Prefixes([0], [400], [0, 0, 0])),
        # one question is the beginning of another: its last token is left to the rest
        ([A, [*A, 1], [*A, 1, 2]], [(0,)] * 3, Prefixes([0], [399], [0, 0, 0])),
        ([A, A, A], [(0,)] * 3, Prefixes([0], [399], [0, 0, 0])),
        # the same text, other films, or the same in another order
        ([[*A, 1]] * 3, [(0,), (1,), (2,)], None),
        ([[*A, 1]] * 4, [(0, 1), (1, 0), (0, 1), (1, 0)], Prefixes([0, 1], [400, 400], [0, 1, 0, 1])),
        # torn apart, and a row of a film of its own: it leaves the rest of each row as much as the others
        (
            [[*A, 1, 2], B + [1] * 5, [*A, 3], B + [2] * 5, [*B, 7]],
            [(0,), (1,), (0,), (1,), (2,)],
            Prefixes([0, 1, 4], [400, 400, 396], [0, 1, 0, 1, 2]),
        ),
        # no films: what begins alike is shared, what does not is left
        ([[*A, 1], [*A, 2], [*A, 3]], [()] * 3, Prefixes([0], [400], [0, 0, 0])),
        ([[*A, 1], [*B, 2], [*A, 3]], [()] * 3, None),
        # they part before the film ends (text before it), or within the first half
        ([A[:200] + B, A[:200] + A, A + B], [(0,)] * 3, None),
        ([A + B + A, A + A + B, A + B], [(0,)] * 3, None),
        # too little
        ([A[:310]], [(0,)], None),
        ([[*A[:310], 1], [*A[:310], 2]], [(0,)] * 2, None),
        ([[1], [1], [1]], [()] * 3, None),
        ([A[:300]] * 4, [(0,)] * 4, None),  # a film without a token behind it
    ],
)
def test_hard_cases(rows: list[list[int]], films: list[tuple[int, ...]], expected: Prefixes | None) -> None:
    assert found(rows, films) == expected


def test_a_long_row_of_its_own_film_does_not_lose_it() -> None:
    """Its film ends behind where the rest of the others begins: the prefix goes up to the film's end."""
    rows = [[*A, 1], [*A, 2], [*A, 3], B[:398] + [5] * 2]
    ids = [np.array(row) for row in rows]
    assert common_prefixes(ids, [(0,), (0,), (0,), (1,)], [300, 300, 300, 399]) == Prefixes(
        [0, 3], [400, 399], [0, 0, 0, 1]
    )


@pytest.mark.parametrize(
    ("plain", "shared", "worth"),
    [
        (1000, 1000 - MIN_SAVED_TOKENS, True),
        (1000, 1001 - MIN_SAVED_TOKENS, False),
        (80_000, 69_999, True),
        (80_000, 70_001, False),
    ],
)
def test_what_is_worth_a_second_forward(plain: int, shared: int, worth: bool) -> None:
    assert saves_enough(plain, shared) == worth


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 6), st.lists(st.integers(0, 2), max_size=6)),
        min_size=1,
        max_size=8,
    )
)
def test_a_prefix_is_in_each_of_its_rows_with_all_films(rows: list[tuple[int, int, list[int]]]) -> None:
    """Rows (film, tokens of it, question); tokens of different films are alike, as placeholders are."""
    ids = [np.array([9] * size + text, dtype=np.int64) for _, size, text in rows]
    films = [(film,) if size else () for film, size, _ in rows]
    ends = [size for _, size, _ in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common_prefix, "MIN_SAVED_TOKENS", 1)
        prefixes = common_prefixes(ids, films, ends)
    if prefixes is None:
        return
    first, lengths, place = prefixes
    assert len(first) == len(lengths) == len(set(place)) < len(ids)
    assert [place[row] for row in first] == list(range(len(first)))
    for row, number in enumerate(place):
        start, length = first[number], lengths[number]
        assert films[row] == films[start]
        assert ends[row] <= length < len(ids[row])
        assert length > 0
        assert ids[row][:length].tolist() == ids[start][:length].tolist()
    before, behind = prefixes.widths(ids)
    assert len(first) * before + len(ids) * behind < len(ids) * max(map(len, ids))
