"""Intervals of shares: honest at the ends, wider where patients agree, about as often right as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.statistics.intervals import paired_ratios, ratios
from chexphi.statistics.ratio import Ratio, cluster_index
from chexphi.statistics.shares import difference_bounds, effective_size, share_bounds, wilson


@pytest.mark.parametrize(
    ("right", "of", "expected"),
    [  # scipy.stats.binomtest(right, of).proportion_ci(method="wilson")
        (6, 6, (0.609666, 1.000000)),
        (0, 8, (0.000000, 0.324408)),
        (5, 6, (0.436497, 0.969947)),
        (39, 40, (0.871186, 0.995573)),
        (50, 100, (0.403832, 0.596168)),
    ],
)
def test_one_question_a_patient_is_wilsons_own(right: int, of: int, expected: tuple[float, float]) -> None:
    found = ratios({"x": Ratio.mean([1.0] * right + [0.0] * (of - right))}, list(range(of)))["x"]
    assert found is not None
    assert (found["low"], found["high"]) == pytest.approx(expected, abs=1e-6)


def roots(value: float, size: float) -> list[float]:
    """Where |value - p| is 1.96 standard errors at p itself: the definition of the score interval."""
    z = 1.959963984540054
    return sorted(float(p.real) for p in np.roots([1 + z * z / size, -2 * value - z * z / size, value**2]))


@given(st.floats(0, 1), st.floats(0.5, 1e6))
def test_wilson_solves_its_equation_and_holds_its_value(value: float, size: float) -> None:
    low, high = wilson(value, size)
    assert 0 <= low <= value <= high <= 1
    assert low < high
    assert (low, high) == pytest.approx(roots(value, size), abs=1e-6)


rows = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), min_size=2, max_size=60)


@given(rows)
def test_by_patient_is_never_narrower_than_by_example(answers: list[tuple[str, bool]]) -> None:
    figure = Ratio.mean([float(right) for _, right in answers])
    by_patient = share_bounds(figure, cluster_index([patient for patient, _ in answers])[0])
    by_example = share_bounds(figure, np.arange(len(answers)))
    assert by_example is not None
    if len({patient for patient, _ in answers}) < 2:
        assert by_patient is None
    else:
        assert by_patient is not None
        assert by_patient[0] <= by_example[0] + 1e-12
        assert by_patient[1] >= by_example[1] - 1e-12
        assert by_patient[0] <= figure.numerator.mean() <= by_patient[1]
        assert by_patient[1] > by_patient[0]


def test_patients_that_agree_in_themselves_count_as_one_answer_each() -> None:
    values = np.repeat([1.0] * 30 + [0.0] * 10, 5)
    clusters = np.repeat(np.arange(40), 5)
    assert effective_size(Ratio.mean(values), clusters) == pytest.approx(40, rel=0.03)
    assert effective_size(Ratio.mean(values), np.arange(200)) == pytest.approx(200)
    assert effective_size(Ratio.mean(np.ones(200)), clusters) == pytest.approx(40)  # nothing varies


def test_one_wrong_answer_is_no_proof_that_patients_disagree_in_themselves() -> None:
    """499 of 500 by 100 patients is not far surer than 500 of 500."""
    clusters, values = np.repeat(np.arange(100), 5), np.ones(500)
    all_right = wilson(1.0, effective_size(Ratio.mean(values), clusters))
    values[7] = 0.0
    but_one = share_bounds(Ratio.mean(values), clusters)
    assert but_one is not None
    assert but_one[0] < all_right[0] + 0.02
    assert effective_size(Ratio.mean(values), clusters) == pytest.approx(500 / 3, rel=0.02)


def test_counts_of_unequal_weight_are_one_ratio() -> None:
    """A micro F1 of three patients who are all right: fewer answers than patients, for one weighs most."""
    figure = Ratio(np.array([8.0, 2.0, 4.0, np.nan, 0.0]), np.array([8.0, 2.0, 4.0, 3.0, 0.0]))
    found = ratios({"f1": figure}, ["p", "q", "r", "s", "t"])["f1"]
    assert found == {
        "value": 1.0,
        "low": pytest.approx(wilson(1.0, 14**2 / (8**2 + 2**2 + 4**2))[0]),
        "high": 1.0,
        "n": 3,
    }


@pytest.mark.parametrize(
    ("values", "clusters"),
    [([], []), ([None, None], ["p", "q"]), ([1.0, None], ["p", "q"]), ([1.0, 1.0], ["p", "p"])],
)
def test_no_example_or_one_patient_has_no_interval(values: list[float | None], clusters: list[str]) -> None:
    found = ratios({"x": Ratio.mean(values)}, clusters)["x"]
    assert found is None or (found["low"], found["high"]) == (None, None)


def test_a_mean_that_never_varies_has_no_interval() -> None:
    found = ratios({"words": Ratio.mean([12.0] * 9)}, list(range(9)))["words"]
    assert found == {"value": 12.0, "low": None, "high": None, "n": 9}


pairs = st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), min_size=2, max_size=50)


@given(pairs)
def test_a_difference_holds_its_value_and_turns_its_sign(answers: list[tuple[int, bool, bool]]) -> None:
    index, number = cluster_index([patient for patient, _, _ in answers])
    a, b = (Ratio.mean([float(row[side]) for row in answers]) for side in (1, 2))
    forth, back = difference_bounds(a, b, index), difference_bounds(b, a, index)
    if number < 2:
        assert forth is back is None
        return
    assert forth is not None
    assert back is not None
    assert -1 <= forth[0] <= b.numerator.mean() - a.numerator.mean() <= forth[1] <= 1
    assert forth[0] < forth[1]
    assert forth == pytest.approx((-back[1], -back[0]))


def test_no_difference_in_any_of_six_is_not_none_at_all() -> None:
    same = {"x": Ratio.mean([1.0] * 6)}
    found = paired_ratios(same, same, list(range(6)))["x"]
    assert found is not None
    assert (found["low"], found["high"]) == pytest.approx((-0.390334, 0.390334), abs=1e-6)


def test_a_large_difference_is_as_the_bootstrap_has_it() -> None:
    rng = np.random.default_rng(8)
    a = rng.integers(0, 2, size=3000).astype(float)
    b = np.where(rng.random(3000) < 0.2, 1.0, a)
    clusters = [i // 3 for i in range(3000)]
    shares = paired_ratios({"x": Ratio.mean(a)}, {"x": Ratio.mean(b)}, clusters)["x"]
    means = paired_ratios({"x": Ratio.mean(a + 1)}, {"x": Ratio.mean(b + 1)}, clusters, resamples=4000)["x"]
    assert shares is not None
    assert means is not None
    assert (shares["low"], shares["high"]) == pytest.approx((means["low"], means["high"]), abs=0.0015)


@pytest.mark.parametrize("agreement", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("truth", [0.5, 0.9, 0.98])
def test_intervals_cover_the_truth_about_as_often_as_they_say(truth: float, agreement: float) -> None:
    """40 patients with 1 to 5 questions, who agree in themselves not at all, some, or wholly."""
    rng, covered, rounds = np.random.default_rng(5), 0, 400
    for _ in range(rounds):
        sizes = rng.integers(1, 6, size=40)
        scale = (1 - agreement) / agreement if agreement else math.inf
        if agreement == 0:
            rates = np.full(40, truth)
        elif agreement == 1:
            rates = (rng.random(40) < truth).astype(float)
        else:
            rates = rng.beta(truth * scale, (1 - truth) * scale, size=40)
        values = rng.binomial(1, np.repeat(rates, sizes)).astype(float)
        bounds = share_bounds(Ratio.mean(values), np.repeat(np.arange(40), sizes))
        assert bounds is not None
        covered += bounds[0] <= truth <= bounds[1]
    assert covered / rounds > 0.92
