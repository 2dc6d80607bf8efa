"""Totals of several rewards, against the arithmetic written out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.rewards import Scheme
from chexphi.rewards.combine import ACCURACY, COMBINES, GRAPH, weighted_sum
from chexphi.rewards.settings import RewardFields, check_settings
from chexphi.schema import InputError

BOTH = (ACCURACY, GRAPH)


@pytest.mark.parametrize(
    ("combine", "weights", "gate", "gate_at", "acc", "kg", "total"),
    [
        ("sum", (), "", 1.0, 1.0, 0.5, 1.5),
        ("sum", (2.0, 1.0), "", 1.0, 1.0, 0.5, 2.5),
        ("sum", (), "", 1.0, 1.0, None, 1.0),
        ("sum", (), "", 1.0, None, None, None),
        ("product", (), "", 1.0, 1.0, 0.25, 0.25),
        ("product", (1.0, 0.5), "", 1.0, 1.0, 0.25, 0.5),
        ("product", (), "", 1.0, 0.0, 1.0, 0.0),
        ("product", (), "", 1.0, None, 0.25, 0.25),  # what cannot be scored is no factor
        ("product", (0.0, 1.0), "", 1.0, 0.0, 0.25, 0.25),  # a weight of 0 takes a factor out
        ("gated", (), "", 1.0, 1.0, 0.25, 1.25),
        ("gated", (), "", 1.0, 0.0, 1.0, 0.0),  # right reasoning, wrong answer
        ("gated", (), "", 1.0, 0.5, 1.0, 0.5),  # with match f1: half right is not right
        ("gated", (2.0, 3.0), "", 0.5, 0.5, 1.0, 4.0),
        ("gated", (), "", 1.0, None, 1.0, 1.0),  # nothing to be right about
        ("gated", (), GRAPH, 0.5, 1.0, 0.4, 0.4),  # the reverse: the answer counts with good reasoning only
        ("gated", (), GRAPH, 0.5, 1.0, 0.5, 1.5),
        ("gated", (), GRAPH, 0.5, 1.0, None, 1.0),
    ],
)
def test_totals(
    combine, weights, gate, gate_at, acc: float | None, kg: float | None, total: float | None
) -> None:
    found = Scheme(BOTH, weights, combine, gate, gate_at).total({ACCURACY: acc, GRAPH: kg})
    assert found == (None if total is None else pytest.approx(total))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("names", [("repetition", *BOTH), (*BOTH, "repetition")])
def test_a_penalty_is_added_to_whatever_the_others_make(combine, names: tuple[str, ...]) -> None:
    weights = tuple(0.5 if name == "repetition" else 1.0 for name in names)
    for acc, kg in ((1.0, 0.5), (0.0, 0.5), (None, 0.5), (1.0, None)):
        plain = Scheme(BOTH, (1.0, 1.0), combine).total({ACCURACY: acc, GRAPH: kg})
        found = Scheme(names, weights, combine).total({ACCURACY: acc, GRAPH: kg, "repetition": -0.4})
        assert found == pytest.approx((plain or 0.0) - 0.2)
    assert Scheme(names, weights, combine).total({ACCURACY: None, GRAPH: None, "repetition": -1.0}) == -0.5


UNIT = st.floats(0, 1)


@given(UNIT, UNIT, UNIT, st.sampled_from(COMBINES))
def test_a_better_part_never_lowers_the_total(a: float, b: float, kg: float, combine) -> None:
    low, high = sorted((a, b))
    for gate in BOTH:
        scheme = Scheme(BOTH, (2.0, 0.5), combine, gate, 0.5)
        for one, other in (BOTH, BOTH[::-1]):
            totals = [scheme.total({one: value, other: kg}) for value in (low, high)]
            assert totals[0] is not None
            assert totals[1] is not None
            assert totals[0] <= totals[1] + 1e-12
    best = {"sum": 2.5, "product": 1.0, "gated": 2.5}[combine]
    assert Scheme(BOTH, (2.0, 0.5), combine).total({ACCURACY: 1.0, GRAPH: 1.0}) == best


@given(st.lists(st.none() | st.floats(-1, 1), min_size=5, max_size=5), st.lists(UNIT, min_size=5, max_size=5))
def test_a_sum_is_to_the_last_bit_what_the_trainer_logs(
    values: list[float | None], weights: list[float]
) -> None:
    names = (*BOTH, "format", "repetition", "soft_overlong")
    total = Scheme(names, tuple(weights)).total(dict(zip(names, values, strict=True)))
    logged = [math.nan if value is None else value for value in values]
    assert total == (None if values == [None] * 5 else weighted_sum(logged, weights))


def test_a_product_takes_no_negative_factor() -> None:
    with pytest.raises(ValueError, match=r"mine is -0\.5"):
        Scheme((ACCURACY, "mine"), (), "product").total({ACCURACY: 1.0, "mine": -0.5})


@pytest.mark.parametrize(
    ("changes", "weights", "message"),
    [
        ({"rewards": ["external_kg_jack"]}, None, "'external_kg_jack': did you mean external_kg_jac"),
        ({"rewards": ["formt"]}, None, "did you mean format"),
        ({"rewards": []}, None, "name each reward once"),
        ({"rewards": ["format", "format"]}, None, "once"),
        ({}, [1.0], "reward_weights has 1 value for 2 rewards"),
        ({}, [1.0, math.nan], r"reward_weights is \[1\.0, nan\]: use a finite number"),
        ({"combine": "product"}, [1.0, -1.0], r"reward_weights is \[1\.0, -1\.0\]: in a product"),
        ({"combine": "times"}, None, "combine is 'times': use sum, product, gated"),
        ({"combine": "product", "rewards": [ACCURACY, "repetition"]}, None, "name two rewards"),
        ({"combine": "gated", "gate": "format"}, None, "gate is 'format'"),
        ({"combine": "gated", "gate_at": 0.0}, None, r"gate_at is 0\.0"),
        (
            {"combine": "gated", "gated": ["format"]},
            None,
            f"gated names 'format': use {GRAPH}, or leave gated out",
        ),
        (
            {"combine": "gated", "gated": [ACCURACY]},
            None,
            f"gated names {ACCURACY!r}: use {GRAPH}, or leave gated out",
        ),
        ({"gated": [GRAPH]}, None, "with combine sum: set it to gated"),
        ({"combine": "gated", "compat": "original"}, None, "compat original works with combine sum only"),
        (
            {"measure": "clinical", "compat": "original"},
            None,
            "grpo: compat original has no measure clinical",
        ),
        ({"ontology": "mine.toml"}, None, "ontology is 'mine.toml', which only measure clinical uses"),
        ({"ontology": "gone.toml", "measure": "clinical"}, None, "gone.toml"),
        ({"empty": "none"}, None, "empty is 'none'"),
        (
            {"measure": "clinical", "empty": "one"},
            None,
            "empty is 'one', which measure clinical does not use",
        ),
        (
            {"measure": "clinical", "contradictions": "ignore"},
            None,
            "grpo: contradictions is 'ignore', which measure clinical does not use: leave contradictions out",
        ),
        ({"soft_overlong_share": 0.0}, None, "soft_overlong_share"),
    ],
)
def test_bad_settings_are_refused_in_words(changes: dict, weights, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_settings(RewardFields(**changes), weights, source="grpo")


def test_good_settings_pass() -> None:
    check_settings(RewardFields(), [1.0, -1.0])
    check_settings(RewardFields(combine="gated", gate=GRAPH, gate_at=0.5, rewards=["repetition", *BOTH]))
    check_settings(RewardFields(rewards=["my.module:reward", "radeval:bleu"]))


@pytest.mark.parametrize(
    ("verdict", "total"),
    [(1.0, 2 * 1.0 + 0.4 + 0.5), (0.5, 2 * 1.0 + 0.4 + 0.25), (0.0, 0.4)],  # entails, silent, contradicts
)
def test_a_gate_may_close_the_answer_alone(verdict: float, total: float) -> None:
    scheme = Scheme(
        (ACCURACY, GRAPH, "consistency"), (2.0, 1.0, 0.5), "gated", "consistency", 0.5, gated=(ACCURACY,)
    )
    values = {ACCURACY: 1.0, GRAPH: 0.4, "consistency": verdict}
    assert scheme.total(values) == pytest.approx(total)
    assert scheme.closed(values) == ({ACCURACY} if verdict == 0 else frozenset())
