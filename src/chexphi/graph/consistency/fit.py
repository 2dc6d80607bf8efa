"""Whether a statement has the qualities that an answer claims. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable

from chexphi.graph.consistency.changes import agree
from chexphi.graph.consistency.hypotheses import Hypothesis
from chexphi.graph.consistency.places import overlap
from chexphi.graph.consistency.statements import Statement

SMALL, LARGE = 2.0, 4.0
"""Up to here a finding is small or mild; from here on it is large or severe."""
SAME_SIZE, OTHER_SIZE = 0.9, 0.75
"""Ratio of two sizes from which they are the same, and below which they contradict each other."""


def fit(statement: Statement, hypothesis: Hypothesis) -> bool | None:
    """Whether a claim has what is sought; None where one of it is not said.

    Another place than one that is asked for contradicts; a finding may also be in several places.
    """
    claimed, target = statement.finding.qualities, hypothesis.qualities
    location = joined(
        [
            overlap(claimed.sides, target.sides) if target.sides else True,
            overlap(claimed.zones, target.zones) if target.zones else True,
            overlap(statement.structures, hypothesis.structures) if hypothesis.structures else True,
        ]
    )
    if location is False and not hypothesis.location_is_asked:
        return None
    return joined(
        [
            location,
            agree(statement.changes, hypothesis.changes),
            _degrees(claimed.degree, target.degree, is_asked=hypothesis.degree_is_asked),
            _sizes(claimed.size_mm, target.size_mm),
            _within(claimed.size_mm, hypothesis.size_limits_mm),
            _same(claimed.position, target.position),
        ]
    )


def joined(fits: Iterable[bool | None]) -> bool | None:
    """False where one is, else None where one is, else True."""
    values = set(fits)
    return False if False in values else None if None in values else True


def _degrees(claimed: float | None, target: float | None, *, is_asked: bool) -> bool | None:
    if target is None:
        return True
    if claimed is None:
        return None
    if _level(claimed) == _level(target):
        return True
    is_far = abs(claimed - target) >= (1 if is_asked else LARGE - SMALL)
    return False if is_far else None


def _level(degree: float) -> str:
    return "small" if degree <= SMALL else "large" if degree >= LARGE else "moderate"


def _sizes(claimed_mm: float | None, sought_mm: float | None) -> bool | None:
    if not sought_mm:
        return True
    if not claimed_mm:
        return None
    ratio = min(claimed_mm, sought_mm) / max(claimed_mm, sought_mm)
    return True if ratio >= SAME_SIZE else False if ratio < OTHER_SIZE else None


def _within(size_mm: float | None, limits_mm: tuple[float, float] | None) -> bool | None:
    if limits_mm is None:
        return True
    return limits_mm[0] < size_mm < limits_mm[1] if size_mm else None


def _same(claimed_position: str | None, target_position: str | None) -> bool | None:
    if target_position is None:
        return True
    return claimed_position == target_position if claimed_position else None
