"""The random numbers of tokens: SplitMix64 by its published values, and a property of every row."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chexphi.models.rollout.numbers import _STEP, RowNumbers, _mixed, number_of_id

MASK = 2**64 - 1
KEYS = st.tuples(st.integers(0, 2**55), st.integers(0, 2**31))


def split_mix(state: int) -> int:
    """One step of SplitMix64 on Python's integers."""
    bits = (state + 0x9E3779B97F4A7C15) & MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def test_the_mixer_is_split_mix() -> None:
    first = _mixed(torch.tensor([0]) + _STEP)
    assert int(first) & MASK == 0xE220A8397B1DCDAF  # the first value of the published generator at seed 0
    states = torch.randint(-(2**63), 2**63 - 1, (100,))
    assert [int(bits) & MASK for bits in _mixed(states + _STEP)] == [split_mix(int(s) & MASK) for s in states]


@given(st.integers(0, 2**32 - 1), st.lists(KEYS, min_size=1, max_size=5, unique=True), st.integers(0, 500))
def test_a_number_depends_on_seed_row_and_position_alone(seed: int, keys: list, position: int) -> None:
    positions = torch.tensor([[position, position + 1]]).expand(len(keys), -1)
    together = RowNumbers.of(seed, keys).at(positions, 3)
    for row, key in enumerate(keys):
        alone = RowNumbers.of(seed, [key]).at(torch.tensor([[position]]), 2)
        assert torch.equal(alone[0, 0], together[row, 0, :2])
    assert together.unique().numel() == together.numel()
    assert ((together >= 0) & (together < 1)).all()
    others = RowNumbers.of(seed + 1, keys).at(torch.tensor([[position]]).expand(len(keys), -1))
    assert not set(others.flatten().tolist()) & set(together.flatten().tolist())


def test_numbers_are_even_and_rows_know_nothing_of_each_other() -> None:
    rows = [(number_of_id(f"example-{row}"), sample) for row in range(500) for sample in range(4)]
    units = RowNumbers.of(3, rows).at(torch.arange(32).expand(len(rows), -1), 2).flatten(1)
    counts = torch.histc(units, 100, 0, 1)
    expected = units.numel() / 100
    assert float(((counts - expected) ** 2 / expected).sum()) < 160  # chi-square, 99 degrees: p > 0.0001
    rows_alike = torch.corrcoef(units[:50]).fill_diagonal_(0).abs().max()
    assert rows_alike < 0.6  # of 64 values; 1,225 pairs
    assert units.unique().numel() == units.numel()


def test_an_id_has_one_number() -> None:
    assert number_of_id("a") == number_of_id("a") != number_of_id("b")
    assert 0 <= number_of_id("\ud800") < 2**56
    with pytest.raises(AttributeError):
        number_of_id(3)  # type: ignore[arg-type]
