"""Which sizes serve a call, and which rows move when few are left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.models.rollout.static_sizes import (
    MOST_TOKENS,
    Sizes,
    drafts_taken,
    moves,
    rows_read,
    slots_of,
)


@given(wanted=st.integers(0, 40), rows=st.integers(1, 600))
def test_a_forward_reads_a_power_of_two_of_tokens(wanted: int, rows: int) -> None:
    drafts = drafts_taken(wanted, rows)
    tokens = 1 + drafts
    assert 0 <= drafts <= wanted
    assert tokens & (tokens - 1) == 0
    assert tokens == 1 or rows * tokens <= MOST_TOKENS
    assert 2 * tokens > 1 + wanted or 2 * rows * tokens > MOST_TOKENS  # no more would do


@given(st.data())
def test_live_rows_move_to_the_front(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 40))
    live_places = data.draw(st.permutations(range(rows)))
    live = np.array(live_places[: data.draw(st.integers(1, rows))])
    count = rows_read(len(live), rows)
    assert len(live) <= count <= rows
    assert count == rows or 2 * len(live) <= rows
    sources, targets = moves(live, count)
    held = np.arange(rows)
    held[targets] = held[sources]
    assert set(live) <= set(held[:count])
    assert len(set(held[:count])) == count  # rows that have ended fill the rest, each once


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_each_row_has_a_slot_of_its_prompt(prompts: list[int]) -> None:
    slots, size = slots_of(np.array(prompts))
    assert len(set(slots)) == len(prompts)
    assert (slots // size == prompts).all()
    assert size & (size - 1) == 0


@pytest.mark.parametrize(
    ("length", "new_tokens", "columns"), [(1, 1, (128, 128)), (128, 120, (128, 128)), (129, 121, (256, 256))]
)
def test_columns_are_multiples(length: int, new_tokens: int, columns: tuple[int, int]) -> None:
    sizes = Sizes.of(8, 2, length, new_tokens, most_drafts=8)
    assert (sizes.prompt_columns, sizes.own_columns) == columns
    assert sizes.tokens == 8


def test_larger_buffers_serve_smaller_calls() -> None:
    large, small = Sizes.of(8, 2, 300, 100, 7), Sizes.of(8, 2, 200, 250, 3)
    both = large.widened(small)
    assert both == Sizes(8, 2, 384, 256, 8)
    assert both.widened(small) == both
    assert not large.same_rows(Sizes.of(4, 2, 300, 100, 7))
