"""The vectorised bootstrap against a plain loop, score intervals against other computations, hard cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chexphi.statistics import intervals
from chexphi.statistics.intervals import paired_ratios, ratios
from chexphi.statistics.ratio import Ratio


def data(patients: int = 30, seed: int = 3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Of a figure that may exceed 1; some take no part, several rows a patient, unordered."""
    rng = np.random.default_rng(seed)
    denominator = rng.integers(0, 5, size=4 * patients).astype(float)
    numerator = rng.binomial(denominator.astype(int), 0.4).astype(float) + rng.integers(
        0, 3, size=4 * patients
    )
    numerator[::9] = np.nan
    return numerator, denominator, [f"p{i}" for i in rng.permutation(np.arange(4 * patients) % patients)]


def loop(numerator: np.ndarray, denominator: np.ndarray, clusters: list[str], *, seed: int, resamples: int):
    """The same bootstrap, one patient and one example at a time."""
    names = list(dict.fromkeys(clusters))
    rows = {name: [i for i, cluster in enumerate(clusters) if cluster == name] for name in names}
    values = []
    for counts in np.concatenate(list(intervals.draws(len(names), seed=seed, resamples=resamples))):
        top = bottom = 0.0
        for name, times in zip(names, counts, strict=True):
            for i in rows[name]:
                if not (math.isnan(numerator[i]) or math.isnan(denominator[i])):
                    top += times * numerator[i]
                    bottom += times * denominator[i]
        if bottom:
            values.append(top / bottom)
    return np.array(values)


def test_ratio_and_its_interval_equal_a_plain_loop() -> None:
    numerator, denominator, clusters = data()
    found = ratios({"x": Ratio(numerator, denominator)}, clusters, seed=5, resamples=200)["x"]
    expected = loop(numerator, denominator, clusters, seed=5, resamples=200)
    valid = ~np.isnan(numerator)
    assert found is not None
    assert found["value"] == pytest.approx(numerator[valid].sum() / denominator[valid].sum())
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])))
    assert found["n"] == (denominator[valid] > 0).sum()


def test_paired_interval_equals_the_difference_of_two_loops_with_the_same_draws() -> None:
    numerator, denominator, clusters = data()
    other = numerator + np.sqrt(denominator)
    found = paired_ratios(
        {"x": Ratio(numerator, denominator)},
        {"x": Ratio(other, denominator)},
        clusters,
        seed=2,
        resamples=150,
    )["x"]
    before = loop(numerator, denominator, clusters, seed=2, resamples=150)
    after = loop(other, denominator, clusters, seed=2, resamples=150)
    assert found is not None
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.quantile(after - before, [0.025, 0.975])))
    assert found["difference"] == pytest.approx(found["b"] - found["a"])


def test_paired_figures_use_only_examples_that_both_sides_can_score() -> None:
    a, b = Ratio.mean([1.0, None, 0.0, 1.0]), Ratio.mean([1.0, 1.0, 1.0, None])
    found = paired_ratios({"x": a}, {"x": b}, ["p", "q", "r", "s"])["x"]
    assert found is not None
    assert (found["a"], found["b"], found["n"]) == (0.5, 1.0, 2)


@pytest.mark.parametrize("cells", [1, 70, 1000])  # one row a block, a few, all at once
def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr(intervals, "CELLS", cells)
    blocks = list(intervals.draws(7, seed=0, resamples=25))
    drawn = np.concatenate(blocks)
    assert drawn.shape == (25, 7)
    assert (drawn.sum(axis=1) == 7).all()
    monkeypatch.undo()
    assert (drawn == np.concatenate(list(intervals.draws(7, seed=0, resamples=25)))).all()


def test_an_interval_by_patient_is_wider_than_one_by_example_when_patients_agree() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.integers(0, 2, size=50), 10).astype(float)
    by_patient = ratios({"x": Ratio.mean(values)}, [i // 10 for i in range(500)])["x"]
    by_example = ratios({"x": Ratio.mean(values)}, list(range(500)))["x"]
    assert by_patient is not None
    assert by_example is not None
    width = by_patient["high"] - by_patient["low"]
    assert width > 2.5 * (by_example["high"] - by_example["low"])


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for seed in range(200):
        rate = rng.beta(4, 4, size=60)
        values = rng.binomial(1, np.repeat(rate, 3)).astype(float)
        found = ratios({"x": Ratio.mean(values)}, [i // 3 for i in range(180)], seed=seed, resamples=300)["x"]
        assert found is not None
        covered += found["low"] <= 0.5 <= found["high"]
    assert 180 <= covered <= 199


def test_no_denominator_is_no_figure() -> None:
    zero = Ratio(np.zeros(3), np.zeros(3))
    nothing = Ratio.mean([None, None, None])
    assert ratios({"zero": zero, "nothing": nothing}, ["a", "b", "c"]) == {"zero": None, "nothing": None}
    assert ratios({"x": Ratio.mean([])}, []) == {"x": None}


def test_one_patient_has_a_value_but_no_interval() -> None:
    found = ratios({"x": Ratio.mean([1.0, 0.0])}, ["same", "same"])["x"]
    assert found == {"value": 0.5, "low": None, "high": None, "n": 2}


def test_paired_difference_is_narrower_than_two_separate_intervals() -> None:
    rng = np.random.default_rng(4)
    a = rng.integers(0, 2, size=400).astype(float)
    b = np.where(rng.random(400) < 0.1, 1.0, a)
    clusters = [i // 2 for i in range(400)]
    change = paired_ratios({"x": Ratio.mean(a)}, {"x": Ratio.mean(b)}, clusters)["x"]
    alone = ratios({"x": Ratio.mean(a)}, clusters)["x"]
    assert change is not None
    assert alone is not None
    assert change["difference"] == pytest.approx(b.mean() - a.mean())
    assert 0 < change["low"] < change["high"]
    assert change["high"] - change["low"] < alone["high"] - alone["low"]


def test_same_seed_same_interval() -> None:
    values = Ratio.mean([0.0, 1.0, 1.0, 0.0, 1.0])
    first, again, other = (ratios({"x": values}, list("abcde"), seed=seed)["x"] for seed in (1, 1, 2))
    assert first == again
    assert first is not None
    assert other is not None
    assert first["value"] == other["value"]
