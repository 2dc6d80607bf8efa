"""The assignment of the greatest total, against all permutations."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.clinical.assignment import best_assignment

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 5))


@st.composite
def gain_tables(draw: st.DrawFn) -> list[list[float]]:
    rows, columns = draw(SIZES)
    gain = st.integers(0, 8).map(lambda eighths: eighths / 8)
    return draw(st.lists(st.lists(gain, min_size=columns, max_size=columns), min_size=rows, max_size=rows))


def total_of_best_permutation(gains: list[list[float]]) -> float:
    """By trying each: the independent answer."""
    if len(gains) > len(gains[0]):
        gains = [list(column) for column in zip(*gains, strict=True)]
    columns = range(len(gains[0]))
    return max(
        sum(row[at] for row, at in zip(gains, chosen, strict=True))
        for chosen in itertools.permutations(columns, len(gains))
    )


@given(gain_tables())
def test_no_other_assignment_has_a_greater_total(gains: list[list[float]]) -> None:
    pairs = best_assignment(gains)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(gains[row][column] > 0 for row, column in pairs)
    assert sum(gains[row][column] for row, column in pairs) == total_of_best_permutation(gains)


def test_a_table_without_rows_or_columns_has_no_pairs() -> None:
    assert best_assignment([]) == best_assignment([[], []]) == []
