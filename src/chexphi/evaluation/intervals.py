"""95 % intervals by patient: questions about the same patient are not independent.

Every figure is a ratio of sums (an accuracy, a micro F1, a mean). A share gets a score interval, which is
honest at the ends (`shares`): six right of six is [0.61, 1], where resampling would say [1, 1]. Everything
else (a mean length, a difference of two F1) is a percentile bootstrap: whole patients are drawn with
replacement, one patient is one pair of numbers, and all resamples are one matrix product. Figures of the same
call, and the two sides of a paired difference, share their draws. Where all resamples are alike there is no
interval.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

import numpy as np

from chexphi.evaluation.ratio import Floats, Ratio, cluster_index
from chexphi.evaluation.shares import EXACT, Bounds, difference_bounds, share_bounds, taking_part

Key = TypeVar("Key", bound=Hashable)
CELLS = 4_000_000
"""Entries of a block of draws (resamples x patients): 32 MB."""


class Estimate(TypedDict):
    """A figure with its 95 % interval; none below two patients, or where no resample differs from another."""

    value: float
    low: float | None
    high: float | None
    n: int
    """Examples that weigh in it."""


def draws(clusters: int, *, seed: int, resamples: int) -> Iterator[Floats]:
    """How often each cluster is drawn: blocks of (resamples, clusters) whose rows add up to `clusters`."""
    rng = np.random.default_rng(seed)
    rows = max(1, CELLS // max(1, clusters))
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(clusters, size=(size, clusters)) + clusters * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)


def percentile(values: Floats, *, level: float = 0.95) -> Bounds | None:
    """The central interval of the resampled values that are numbers; None if there is none, or one alone."""
    finite = values[np.isfinite(values)]
    if not finite.size or np.ptp(finite) <= EXACT:
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resample(columns: Floats, clusters: Sequence[Hashable], *, seed: int, resamples: int) -> Floats:
    """Sums of each column (examples, K) in every resample: (resamples, K)."""
    index, number = cluster_index(clusters)
    sums = np.zeros((number, columns.shape[1]))
    np.add.at(sums, index, columns)
    return np.concatenate([block @ sums for block in draws(number, seed=seed, resamples=resamples)])


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator != 0)


def _columns(figures: Sequence[Ratio]) -> Floats:
    """(examples, 2 x figures): numerators, then denominators, 0 where an example takes no part."""
    parts = [np.where(f.valid, f.numerator, 0.0) for f in figures]
    return np.stack(parts + [np.where(f.valid, f.denominator, 0.0) for f in figures], axis=1)


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
        resamples: How often all patients are drawn anew.

    Returns:
        None for a figure whose denominator is zero. A resample without a denominator is left out.
    """
    if not figures or not clusters:
        return dict.fromkeys(figures)
    columns, count = _columns(list(figures.values())), len(figures)
    sums = _resample(columns, clusters, seed=seed, resamples=resamples)
    total = columns.sum(axis=0)
    values, resampled = _divide(total[:count], total[count:]), _divide(sums[:, :count], sums[:, count:])
    index, _ = cluster_index(clusters)

    def bounds(figure: Ratio, drawn: Floats) -> Bounds | None:
        if figure.is_share:
            return share_bounds(figure, index)
        return percentile(drawn) if taking_part(figure, index) > 1 else None

    return {
        name: _estimate(values[k], bounds(figure, resampled[:, k]), int(figure.weighs.sum()))
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

    Only examples that take part on both sides count.

    Returns:
        `{"a", "b", "difference", "low", "high", "n"}` a figure; None where either side has no value.
    """
    if not a or not clusters:
        return dict.fromkeys(a)
    left = [a[name].within(b[name].valid) for name in a]
    right = [b[name].within(a[name].valid) for name in a]
    columns, count = _columns(left + right), 2 * len(left)
    sums = _resample(columns, clusters, seed=seed, resamples=resamples)
    total = columns.sum(axis=0)
    values, resampled = _divide(total[:count], total[count:]), _divide(sums[:, :count], sums[:, count:])
    index, _ = cluster_index(clusters)

    def bounds(before: Ratio, after: Ratio, drawn: Floats) -> Bounds | None:
        if before.is_share and after.is_share and _same_denominators(before, after):
            return difference_bounds(before, after, index)
        return percentile(drawn) if np.unique(index[before.valid]).size > 1 else None

    result: dict[Key, dict[str, Any] | None] = {}
    for k, name in enumerate(a):
        before, after = values[k], values[k + len(a)]
        drawn = resampled[:, k + len(a)] - resampled[:, k]
        found = _estimate(after - before, bounds(left[k], right[k], drawn), int(left[k].valid.sum()))
        result[name] = found and {
            "a": float(before), "b": float(after), "difference": found["value"],
            "low": found["low"], "high": found["high"], "n": found["n"],
        }  # fmt: skip
    return result
