"""Which groups a step trains on and which prompts are drawn: tables and properties, no model."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chexphi.schema import InputError
from chexphi.training.dynamic_sampling import spread_rule
from chexphi.training.dynamic_sampling.spread_rule import Batch, PromptDraws, PromptOutcomes, Rule

NAN = math.nan
ORIGINAL = spread_rule.make_rule(4, original=True)


@pytest.mark.parametrize(
    ("rewards", "per_reward", "expected"),
    [
        ([[1.0], [1.0], [1.0]], False, 0.0),
        ([[0.1, 0.2], [0.1, 0.2]], False, 0.0),  # no dust of rounding
        ([[1.0, 0.0], [0.0, 1.0]], False, 0.0),  # equal totals
        ([[1.0, 0.0], [0.0, 1.0]], True, 2**-0.5),  # but each reward spreads
        ([[1.0, NAN], [0.0, NAN]], False, 2**-0.5),  # a reward that does not apply counts nothing
        ([[NAN, NAN], [1.0, NAN], [0.0, NAN]], False, 2**-0.5),  # a row without rewards is left out
        ([[NAN, NAN], [NAN, NAN]], False, 0.0),
        ([[NAN, NAN], [1.0, 1.0]], False, 0.0),  # one completion alone is no spread
        ([[NAN, 1.0], [1.0, NAN]], True, 0.0),
    ],
)
def test_spread(rewards: list[list[float]], per_reward: bool, expected: float) -> None:
    weights = [1.0] * len(rewards[0])
    assert spread_rule.reward_spread(rewards, weights, per_reward=per_reward) == pytest.approx(
        expected, abs=1e-12
    )


@given(st.lists(st.lists(st.floats(-5, 5), min_size=2, max_size=2), min_size=2, max_size=9))
def test_spread_is_torchs_standard_deviation_of_totals(rewards: list[list[float]]) -> None:
    totals = torch.tensor(rewards, dtype=torch.float64) @ torch.tensor([1.0, 0.5], dtype=torch.float64)
    assert spread_rule.reward_spread(rewards, [1.0, 0.5]) == pytest.approx(totals.std().item(), abs=1e-9)


@pytest.mark.parametrize(
    ("spreads", "size", "rule", "groups", "trained"),
    [
        ([0.3, 0.4], 2, Rule(), (0, 1), (True, True)),  # nothing to replace
        ([0.3, 0.0, 0.0, 0.2], 2, Rule(), (0, 3), (True, True)),
        ([0.3, 0.0, 0.5, 0.2], 2, Rule(), (0, 2), (True, True)),  # first come, the last is left over
        ([0.0, 0.3, 0.0, 0.0], 2, Rule(), (1, 0), (True, False)),  # still short
        ([0.0, 0.0, 0.0], 2, Rule(), (0, 1), (False, False)),
        ([0.05, 0.05, 0.07], 2, Rule(), (0, 1), (True, True)),
        (
            [0.05, 0.06, 0.07],
            2,
            ORIGINAL,
            (0, 1),
            (True, True),
        ),  # 0.06 must be exceeded: its own batch
        ([0.05, 0.07, 0.07], 2, ORIGINAL, (1, 2), (True, True)),
        ([1e-9, 0.3], 2, Rule(), (1, 0), (True, False)),  # dust is no spread
        ([math.nan, 0.3], 2, Rule(), (1, 0), (True, False)),
    ],
)
def test_choice(
    spreads: list[float], size: int, rule: Rule, groups: tuple[int, ...], trained: tuple[bool, ...]
) -> None:
    assert spread_rule.choose_batch(spreads, size, rule) == Batch(groups, trained)


@given(
    st.lists(st.sampled_from([0.0, 0.05, 0.06, 0.3, 1.0]), min_size=1, max_size=12),
    st.integers(1, 6),
    st.booleans(),
)
def test_a_batch_is_whole_and_trains_on_what_spreads(spreads: list[float], size: int, original: bool) -> None:
    size, rule = min(size, len(spreads)), spread_rule.make_rule(4, original=original)
    batch = spread_rule.choose_batch(spreads, size, rule)
    assert len(batch.groups) == len(batch.trained) == len(set(batch.groups)) == size
    good = sum(value > rule.threshold for value in spreads)
    more = spread_rule.groups_to_sample(spreads, size, rule)
    assert (more == 0) == (good >= size)
    assert more >= min(size, size - good)
    assert more <= size
    if good >= size or not original:
        pairs = zip(batch.groups, batch.trained, strict=True)
        assert all((spreads[group] > rule.threshold) == trained for group, trained in pairs)
        assert sum(batch.trained) == min(size, good)
    else:
        assert batch == Batch(tuple(range(size)), (True,) * size)


@pytest.mark.parametrize(
    ("spreads", "size", "rule", "expected"),
    [
        ([1.0, 1.0, 0.0, 1.0], 4, Rule(), 2),  # three of four spread: one more may not
        ([1.0, 0.0, 0.0, 0.0], 4, Rule(), 4),  # twelve, but never more than a batch
        ([0.0] * 4, 4, Rule(), 4),
        ([1.0, 0.0, 0.0, 1.0, 1.0], 4, Rule(), 2),
        ([1.0, 1.0, 1.0, 0.0], 4, ORIGINAL, 4),
        ([1.0] * 4, 4, ORIGINAL, 0),
    ],
)
def test_how_many_are_drawn(spreads: list[float], size: int, rule: Rule, expected: int) -> None:
    assert spread_rule.groups_to_sample(spreads, size, rule) == expected


@given(st.integers(1, 9), st.integers(0, 5), st.data())
def test_draws_go_on_after_a_checkpoint_and_pass_over_all(prompts: int, seed: int, data: Any) -> None:
    calls = st.tuples(st.integers(0, 6), st.sets(st.integers(0, prompts - 1)))
    steps = data.draw(st.lists(calls, min_size=1, max_size=6))
    stop = data.draw(st.integers(0, len(steps)))
    draws, again = PromptDraws(prompts, seed), PromptDraws(prompts, seed)
    found = [draws.take(number, tried) for number, tried in steps]
    for number, tried in steps[:stop]:
        again.take(number, tried)
    resumed = PromptDraws(prompts, seed, again.draws_taken)
    assert [resumed.take(number, tried) for number, tried in steps[stop:]] == found[stop:]
    for (number, tried), drawn in zip(steps, found, strict=True):
        assert len(drawn) == len(set(drawn)) == min(number, prompts - len(tried))
        assert tried.isdisjoint(drawn)
    whole = PromptDraws(prompts, seed).take(prompts, set())
    assert sorted(whole) == list(range(prompts))


def test_passes_differ() -> None:
    draws = PromptDraws(20, 3)
    assert draws.take(20, set()) != draws.take(20, set())


def test_prompts_that_never_spread() -> None:
    outcomes = PromptOutcomes()
    for id, spread, reward in [("a", False, 1.0), ("b", False, 0.0), ("a", True, 0.5), ("c", False, 2.0)] * 2:
        outcomes.add(id, spread, reward)
    assert outcomes.never_spread() == [
        {"id": "b", "groups": 2, "mean_reward": 0.0},
        {"id": "c", "groups": 2, "mean_reward": 2.0},
    ]


@pytest.mark.parametrize(
    ("prompts", "rounds", "examples", "message"),
    [
        (2, 0, 20, "max_resample_times is 0"),
        (2, 4, 2, "needs other prompts than the 2"),
        (2, 1, 3, None),
        (4, 1, 4, "needs other prompts than the 4"),
    ],
)
def test_settings(prompts: int, rounds: int, examples: int, message: str | None) -> None:
    if message is None:
        spread_rule.check(prompts, rounds, examples)
        return
    with pytest.raises(InputError, match=message):
        spread_rule.check(prompts, rounds, examples)
