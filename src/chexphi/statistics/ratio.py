"""A figure as a ratio of sums over examples, and the cluster of each example."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure as sum(numerator) / sum(denominator) over examples; NaN: the example is not valid."""

    numerator: Floats
    """(examples,)"""
    denominator: Floats
    """(examples,)"""

    @classmethod
    def mean(cls, values: Sequence[float | None] | Floats) -> Ratio:
        """The mean of the values that are neither None nor NaN."""
        numerator = np.array(values, dtype=np.float64)
        return cls(numerator, np.where(np.isnan(numerator), np.nan, 1.0))

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(examples,)"""
        return ~(np.isnan(self.numerator) | np.isnan(self.denominator))

    @property
    def has_weight(self) -> NDArray[np.bool_]:
        """(examples,): valid and with a denominator other than 0."""
        return self.valid & (self.denominator != 0)

    @property
    def is_share(self) -> bool:
        """Whether the numerator lies between 0 and the denominator in every valid example."""
        top, bottom = self.numerator[self.valid], self.denominator[self.valid]
        return bool(np.all((top >= 0) & (top <= bottom)))

    def within(self, mask: NDArray[np.bool_]) -> Ratio:
        """The figure over the examples of a mask (examples,) alone."""
        return Ratio(np.where(mask, self.numerator, np.nan), np.where(mask, self.denominator, np.nan))


def cluster_index(clusters: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    """Number the clusters in order of appearance: (examples,) the index of each, and how many there are."""
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(cluster, len(numbers)) for cluster in clusters]
    return np.array(index, dtype=np.intp), len(numbers)
