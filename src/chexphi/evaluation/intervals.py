"""Percentile bootstrap intervals that resample patients, not examples.

Questions about the same patient are not independent, so whole patients are drawn with replacement.
Every figure is a ratio of sums (an accuracy, a micro F1, a mean), so one patient is one pair of
numbers and all resamples are one matrix product. Figures of the same call, and the two sides of a
paired difference, share their draws.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)
CELLS = 4_000_000
"""Entries of a block of draws (resamples x patients): 32 MB."""


class Estimate(TypedDict):
    """A figure with its 95 % interval; no interval where fewer than two patients take part."""

    value: float
    low: float | None
    high: float | None
    n: int
    """Examples that weigh in it."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure as sum(numerator) / sum(denominator) over examples; NaN: the example takes no part."""

    numerator: Floats
    """(examples,)"""
    denominator: Floats
    """(examples,)"""

    @classmethod
    def mean(cls, values: Sequence[float | None] | Floats) -> Ratio:
        """The mean of the values that are there (neither None nor NaN)."""
        numerator = np.array(values, dtype=np.float64)
        return cls(numerator, np.where(np.isnan(numerator), np.nan, 1.0))

    @property
    def valid(self) -> NDArray[np.bool_]:
        return ~(np.isnan(self.numerator) | np.isnan(self.denominator))

    def within(self, mask: NDArray[np.bool_]) -> Ratio:
        """The same figure over the examples of a mask."""
        return Ratio(np.where(mask, self.numerator, np.nan), np.where(mask, self.denominator, np.nan))


def cluster_index(clusters: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    """Number the clusters in order of appearance: index of each example, and how many there are."""
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(cluster, len(numbers)) for cluster in clusters]
    return np.array(index, dtype=np.intp), len(numbers)


def draws(clusters: int, *, seed: int, resamples: int) -> Iterator[Floats]:
    """How often each cluster is drawn: blocks of (resamples, clusters) whose rows add up to `clusters`."""
    rng = np.random.default_rng(seed)
    rows = max(1, CELLS // max(1, clusters))
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(clusters, size=(size, clusters)) + clusters * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)


def percentile(values: Floats, *, level: float = 0.95) -> tuple[float, float] | None:
    """The central interval of the resampled values that are numbers; None if there is none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
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


def _estimate(
    value: float, resampled: Floats, valid: NDArray[np.bool_], clusters: NDArray[np.intp]
) -> Estimate | None:
    if not np.isfinite(value):
        return None
    bounds = percentile(resampled) if np.unique(clusters[valid]).size > 1 else None
    low, high = bounds if bounds else (None, None)
    return {"value": float(value), "low": low, "high": high, "n": int(valid.sum())}


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
    return {
        name: _estimate(values[k], resampled[:, k], figure.valid & (figure.denominator != 0), index)
        for k, (name, figure) in enumerate(figures.items())
    }


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
    result: dict[Key, dict[str, Any] | None] = {}
    for k, name in enumerate(a):
        before, after = values[k], values[k + len(a)]
        found = _estimate(after - before, resampled[:, k + len(a)] - resampled[:, k], left[k].valid, index)
        result[name] = found and {
            "a": float(before), "b": float(after), "difference": found["value"],
            "low": found["low"], "high": found["high"], "n": found["n"],
        }  # fmt: skip
    return result
