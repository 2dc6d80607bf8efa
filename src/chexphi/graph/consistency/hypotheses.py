"""What an answer claims, as hypotheses on the film. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from chexphi.graph.consistency.question import Query
from chexphi.graph.findings.records import NO_QUALITIES, Qualities


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A finding as an answer claims or denies it."""

    concepts: frozenset[str]
    """Names in the ontology, of which any is meant; none stands for any finding."""
    present: bool = True
    qualities: Qualities = NO_QUALITIES
    changes: frozenset[str] = frozenset()
    """The changes that the answer accepts."""
    structures: frozenset[str] = frozenset()
    location_is_asked: bool = False
    """Elsewhere is wrong: the question takes for granted that it is there, and asks where."""
    side_is_asked: bool = False
    """All sides are asked for."""
    degree_is_asked: bool = False
    size_limits_mm: tuple[float, float] | None = None
    """It is larger than the one, and smaller than the other."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer claims: findings, of which all (or any one) must be as said, or a number, or words."""

    query: Query
    hypotheses: tuple[Hypothesis, ...] = ()
    denied: bool = False
    """The answer says that the words, or the number, are not so; hypotheses say it themselves."""
    any_is_enough: bool = False
    """One of the hypotheses has to be so, and not all of them."""
    nothing: bool = False
    """The answer says that there is nothing to list."""
    count: tuple[float, float] | None = None
    """The least and the most that there are of what is counted."""
    location: Qualities = NO_QUALITIES
    """Side and zone that a list is asked of."""
    alternatives: frozenset[str] = frozenset()
    """Concepts among which the question lets choose."""
    rivals: tuple[tuple[Hypothesis, ...], ...] = ()
    """What each other option claims."""
    words: str = ""
    """What the answer, or for yes and no the question, says."""
    size_mm: float | None = None
    """A distance."""
