"""Kendall's tau-b and Pearson's correlation of texts that are weighted: one row of weights a resample."""

from __future__ import annotations

import numpy as np

from chexphi.statistics.ratio import Floats
from chexphi.statistics.shares import ROUNDING_ERROR


def signs(values: Floats) -> Floats:
    """(n, n): 1, 0 or -1 for each pair of values, by which one is greater.

    >>> signs(np.array([1.0, 2.0, 2.0])).tolist()
    [[0.0, -1.0, -1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    differences = values[:, None] - values[None, :]
    return np.sign(np.where(np.abs(differences) <= ROUNDING_ERROR, 0.0, differences))


def tau_b(scores: Floats, ratings: Floats, weights: Floats) -> Floats:
    """Kendall's tau-b (Biometrika 33, 1945): concordant less discordant pairs, corrected for ties.

    A text that is drawn twice is a text beside its copy: the two are tied.

    Args:
        scores: (n,)
        ratings: (n,)
        weights: (resamples, n): how often each text is there.

    Returns:
        (resamples,): in [-1, 1]; NaN where all scores or all ratings are the same.
    """
    by_score, by_rating = signs(scores), signs(ratings)

    def pairs(matrix: Floats) -> Floats:
        return np.einsum("rn,rn->r", weights @ matrix, weights)

    untied_product = pairs(np.abs(by_score)) * pairs(np.abs(by_rating))
    return _divided(pairs(by_score * by_rating), np.sqrt(untied_product))


def pearson(scores: Floats, ratings: Floats, weights: Floats) -> Floats:
    """Pearson's correlation; arguments and result as in `tau_b`."""
    x, y = scores - scores.mean(), ratings - ratings.mean()  # else large values would lose their digits
    count = weights.sum(axis=1)
    mean_x, mean_y = weights @ x / count, weights @ y / count
    covariance = weights @ (x * y) / count - mean_x * mean_y
    variances = (weights @ (x * x) / count - mean_x**2) * (weights @ (y * y) / count - mean_y**2)
    return _divided(covariance, np.sqrt(np.where(variances > ROUNDING_ERROR**2, variances, 0.0)))


def _divided(numerators: Floats, denominators: Floats) -> Floats:
    return np.divide(numerators, denominators, out=np.full_like(numerators, np.nan), where=denominators != 0)
