"""95 % intervals of shares, and of their differences, by patient.

A share is a ratio whose numerator lies between 0 and its denominator in every example. It gets Wilson's
score interval (JASA 22, 1927) at its effective sample size: the number of independent yes-or-no answers that
would vary as much as the share does between patients. The difference of two shares over the same examples is
gains minus losses. Their two intervals are combined by the method of Zou and Donner (Stat. Med. 27, 2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chexphi.statistics.ratio import Floats, Ratio

Bounds = tuple[float, float]
Z = 1.959963984540054
"""95 % of a normal distribution lie within this many standard deviations."""
ROUNDING_ERROR = 1e-12
"""Differences below this are rounding."""


def wilson(value: float, size: float) -> Bounds:
    """Wilson's interval of a share seen in `size` independent answers; it holds the value, within 0 and 1.

    >>> [round(bound, 3) for bound in wilson(1.0, 6)]
    [0.61, 1.0]
    """
    middle = (value + Z * Z / (2 * size)) / (1 + Z * Z / size)
    half = Z / (1 + Z * Z / size) * np.sqrt(value * (1 - value) / size + Z * Z / (4 * size * size))
    return float(max(0.0, min(middle - half, value))), float(min(1.0, max(middle + half, value)))


def _per_cluster(values: Floats, cluster: NDArray[np.intp]) -> Floats:
    return np.bincount(cluster, weights=values).astype(np.float64)


def _deviations(figure: Ratio, index: NDArray[np.intp]) -> Floats:
    """(clusters that count,): what each adds to the figure's error; they add up to 0."""
    top, bottom, cluster = _with_weight(figure, index)
    return _per_cluster(top - top.sum() / bottom.sum() * bottom, cluster) / bottom.sum()


def _with_weight(figure: Ratio, index: NDArray[np.intp]) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """(examples that count,): numerators, denominators and clusters, which are numbered from 0 again."""
    has_weight = figure.has_weight
    _, cluster = np.unique(index[has_weight], return_inverse=True)
    return figure.numerator[has_weight], figure.denominator[has_weight], cluster


def effective_size(figure: Ratio, index: NDArray[np.intp]) -> float:
    """How many independent yes-or-no answers vary as much as a share does.

    The design effect is the variance between clusters over the variance between examples, and at least 1. The
    more clusters disagree with the majority, the better it is known. So it is averaged with the design effect
    of clusters whose examples all agree, which weighs as much as one cluster (our choice, measured by
    `bench/intervals.py`). Where all examples agree, only the latter can be known.

    Args:
        figure: A share in which at least two clusters count.
        index: (examples,) the cluster of each.
    """
    top, bottom, cluster = _with_weight(figure, index)
    value, examples, clusters = top.sum() / bottom.sum(), len(top), int(cluster.max()) + 1
    tops, bottoms = _per_cluster(top, cluster), _per_cluster(bottom, cluster)
    effect_if_alike = float(bottoms @ bottoms) / float(bottom @ bottom)
    errors = top - value * bottom
    between_examples = float(errors @ errors)
    if between_examples <= ROUNDING_ERROR * float(bottom @ bottom):
        return float(bottom.sum() ** 2 / (bottoms @ bottoms))
    sums = tops - value * bottoms
    between_clusters = float(sums @ sums) * clusters / (clusters - 1) * (examples - 1) / examples
    disagreeing_clusters = min(int((tops < bottoms).sum()), int((tops > 0).sum()))
    observed_effect = max(1.0, between_clusters / between_examples)
    effect = max(
        observed_effect,
        (disagreeing_clusters * observed_effect + effect_if_alike) / (disagreeing_clusters + 1),
    )
    return float(value * (1 - value) * bottom.sum() ** 2 / (between_examples * effect))


def count_clusters(figure: Ratio, index: NDArray[np.intp]) -> int:
    """How many clusters have an example that counts in the figure."""
    return np.unique(index[figure.has_weight]).size


def share_bounds(figure: Ratio, index: NDArray[np.intp]) -> Bounds | None:
    """The interval of a share; None where fewer than two clusters count."""
    if count_clusters(figure, index) < 2:
        return None
    has_weight = figure.has_weight
    value = float(figure.numerator[has_weight].sum() / figure.denominator[has_weight].sum())
    return wilson(value, effective_size(figure, index))


def difference_bounds(a: Ratio, b: Ratio, index: NDArray[np.intp]) -> Bounds | None:
    """The interval of B - A, two shares with the same denominators; None with fewer than two clusters."""
    change = b.numerator - a.numerator
    gains, losses = (Ratio(np.maximum(sign * change, 0.0), a.denominator) for sign in (1, -1))
    gain_bounds, loss_bounds = share_bounds(gains, index), share_bounds(losses, index)
    if gain_bounds is None or loss_bounds is None:
        return None
    total = a.denominator[a.has_weight].sum()
    gain, loss = (float(side.numerator[a.has_weight].sum() / total) for side in (gains, losses))
    correlation = _correlation(_deviations(gains, index), _deviations(losses, index))

    def distance(gain_distance: float, loss_distance: float) -> float:
        """From the difference to one of its bounds."""
        product = 2 * correlation * gain_distance * loss_distance
        return float(np.sqrt(max(0.0, gain_distance**2 + loss_distance**2 - product)))

    low = gain - loss - distance(gain - gain_bounds[0], loss_bounds[1] - loss)
    high = gain - loss + distance(gain_bounds[1] - gain, loss - loss_bounds[0])
    return max(-1.0, low), min(1.0, high)


def _correlation(deviations_a: Floats, deviations_b: Floats) -> float:
    scale = float(np.sqrt((deviations_a @ deviations_a) * (deviations_b @ deviations_b)))
    return float(np.clip(deviations_a @ deviations_b / scale, -1.0, 1.0)) if scale > 0 else 0.0
