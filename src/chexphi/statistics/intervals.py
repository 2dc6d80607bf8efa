"""95 % intervals by patient: questions about the same patient are not independent.

Every figure is a ratio of sums (an accuracy, a micro F1, a mean). A share gets a score interval, which is
honest near 0 and 1 (`shares`): six right of six is [0.61, 1], where resampling would give [1, 1]. Everything
else (a mean length, a difference of two F1) gets a percentile bootstrap: whole patients are drawn with
replacement, one patient is one pair of numbers, and all resamples are one matrix product. Figures of the same
call, and the two sides of a paired difference, share their draws. Without two different resamples there is no
interval.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

import numpy as np

from chexphi.statistics.ratio import Floats, Ratio, cluster_index
from chexphi.statistics.shares import ROUNDING_ERROR, Bounds, count_clusters, difference_bounds, share_bounds

Key = TypeVar("Key", bound=Hashable)
CELLS = 4_000_000
"""Entries of a block of draws (resamples x patients): 32 MB."""


class Estimate(TypedDict):
    """A figure with its 95 % interval; no interval with one patient, or where all resamples are the same."""

    value: float
    low: float | None
    high: float | None
    n: int
    """Examples that count in it."""


def draws(clusters: int, *, seed: int, resamples: int) -> Iterator[Floats]:
    """How often each cluster is drawn: blocks (resamples, clusters) whose rows add up to `clusters`."""
    rng = np.random.default_rng(seed)
    rows = max(1, CELLS // max(1, clusters))
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        sampled_clusters = rng.integers(clusters, size=(size, clusters)) + clusters * np.arange(size)[:, None]
        counts = np.bincount(sampled_clusters.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)


def percentile(values: Floats, *, level: float = 0.95) -> Bounds | None:
    """The central interval of the resampled values that are numbers; None without two different ones."""
    finite = values[np.isfinite(values)]
    if not finite.size or np.ptp(finite) <= ROUNDING_ERROR:
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resample(columns: Floats, clusters: Sequence[Hashable], *, seed: int, resamples: int) -> Floats:
    """Sums of each column in every resample: (examples, K) -> (resamples, K)."""
    index, number = cluster_index(clusters)
    sums = np.zeros((number, columns.shape[1]))
    np.add.at(sums, index, columns)
    return np.concatenate([block @ sums for block in draws(number, seed=seed, resamples=resamples)])


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator != 0)


def _columns(figures: Sequence[Ratio]) -> Floats:
    """(examples, 2 x figures): numerators, then denominators; 0 where an example is not valid."""
    numerators = [np.where(f.valid, f.numerator, 0.0) for f in figures]
    return np.stack(numerators + [np.where(f.valid, f.denominator, 0.0) for f in figures], axis=1)


def _estimate(value: float, bounds: Bounds | None, count: int) -> Estimate | None:
    if not np.isfinite(value):
        return None
    low, high = bounds if bounds else (None, None)
    return {"value": float(value), "low": low, "high": high, "n": count}


def ratios(
    figures: Mapping[Key, Ratio], clusters: Sequence[Hashable], *, seed: int = 0, resamples: int = 1000
) -> dict[Key, Estimate | None]:
    """Each figure with its 95 % interval.

    Args:
        figures: Ratios over the same examples.
        clusters: The patient of each example.
        seed: Of the draws.
        resamples: How often all patients are drawn again.

    Returns:
        None for a figure whose denominator is zero. A resample with a denominator of zero is left out.
    """
    if not figures or not clusters:
        return dict.fromkeys(figures)
    columns, count = _columns(list(figures.values())), len(figures)
    sums = _resample(columns, clusters, seed=seed, resamples=resamples)
    total = columns.sum(axis=0)
    values, resampled = _divide(total[:count], total[count:]), _divide(sums[:, :count], sums[:, count:])
    index, _ = cluster_index(clusters)

    def bounds(figure: Ratio, resampled_values: Floats) -> Bounds | None:
        if figure.is_share:
            return share_bounds(figure, index)
        return percentile(resampled_values) if count_clusters(figure, index) > 1 else None

    return {
        name: _estimate(values[k], bounds(figure, resampled[:, k]), int(figure.has_weight.sum()))
        for k, (name, figure) in enumerate(figures.items())
    }


def _same_denominators(a: Ratio, b: Ratio) -> bool:
    return bool(np.array_equal(a.denominator[a.valid], b.denominator[b.valid]))


def paired_ratios(
    a: Mapping[Key, Ratio],
    b: Mapping[Key, Ratio],
    clusters: Sequence[Hashable],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[Key, dict[str, Any] | None]:
    """B - A of each figure over the same examples, with the 95 % interval of the difference.

    Only examples that are valid on both sides count.

    Returns:
        `{"a", "b", "difference", "low", "high", "n"}` for each figure; None where either side has no value.
    """
    if not a or not clusters:
        return dict.fromkeys(a)
    ratios_a = [a[name].within(b[name].valid) for name in a]
    ratios_b = [b[name].within(a[name].valid) for name in a]
    columns, count = _columns(ratios_a + ratios_b), 2 * len(ratios_a)
    sums = _resample(columns, clusters, seed=seed, resamples=resamples)
    total = columns.sum(axis=0)
    values, resampled = _divide(total[:count], total[count:]), _divide(sums[:, :count], sums[:, count:])
    index, _ = cluster_index(clusters)

    def bounds(ratio_a: Ratio, ratio_b: Ratio, differences: Floats) -> Bounds | None:
        if ratio_a.is_share and ratio_b.is_share and _same_denominators(ratio_a, ratio_b):
            return difference_bounds(ratio_a, ratio_b, index)
        return percentile(differences) if np.unique(index[ratio_a.valid]).size > 1 else None

    changes: dict[Key, dict[str, Any] | None] = {}
    for k, name in enumerate(a):
        value_a, value_b = values[k], values[k + len(a)]
        differences = resampled[:, k + len(a)] - resampled[:, k]
        interval = bounds(ratios_a[k], ratios_b[k], differences)
        estimate = _estimate(value_b - value_a, interval, int(ratios_a[k].valid.sum()))
        changes[name] = estimate and {
            "a": float(value_a), "b": float(value_b), "difference": estimate["value"],
            "low": estimate["low"], "high": estimate["high"], "n": estimate["n"],
        }  # fmt: skip
    return changes
