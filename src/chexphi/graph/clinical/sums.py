"""Sums over many comparisons: how much is left out, and how much of what is said is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chexphi.graph.clinical.compare import ClinicalMatch


@dataclass(frozen=True, slots=True)
class ClinicalSums:
    """Weights by clinical significance, added up over comparisons."""

    possible: float = 0.0
    """Of the reference's findings."""
    earned: float = 0.0
    """Of them, what the candidates say."""
    invented: float = 0.0
    """Of what candidates claim without the reference, with the wrong share of what is half right."""

    def __add__(self, sums: ClinicalSums) -> ClinicalSums:
        return ClinicalSums(
            self.possible + sums.possible, self.earned + sums.earned, self.invented + sums.invented
        )

    @property
    def omission(self) -> float:
        """Share of the reference's weight that is not said, in [0, 1]; 0 where there is none."""
        return 1 - self.earned / self.possible if self.possible else 0.0

    @property
    def hallucination(self) -> float:
        """Share of the claimed weight that is wrong, in [0, 1]; 0 where nothing is claimed."""
        claimed = self.earned + self.invented
        return self.invented / claimed if claimed else 0.0


def sums_of(match: ClinicalMatch) -> ClinicalSums:
    """Those of one comparison."""
    return ClinicalSums(match.possible, match.earned, match.cost)


FIGURES = ("score", "reward", "possible", "earned", "invented", "is_wrong")
"""The keys of `figures_of`."""


def figures_of(match: ClinicalMatch) -> dict[str, float]:
    """A comparison as numbers: `score` and `reward`, the three sums, and 1 for `is_wrong`, else 0."""
    values = (match.score, match.reward, match.possible, match.earned, match.cost, float(match.is_wrong))
    return dict(zip(FIGURES, values, strict=True))


def clinical_sums(matches: Iterable[ClinicalMatch]) -> ClinicalSums:
    """Those of several comparisons."""
    return sum(map(sums_of, matches), start=ClinicalSums())
