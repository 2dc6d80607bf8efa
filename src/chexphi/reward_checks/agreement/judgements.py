"""What people said of candidate texts, as the readers give it to the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RatedText:
    """A candidate text with its reference, and what each rater thinks of it."""

    case: str
    """Texts of one case are compared with each other, and intervals are drawn by case."""
    reference: str
    candidate: str
    ratings: Mapping[str, float]
    """By rater; the higher, the better."""

    @property
    def mean_rating(self) -> float:
        return math.fsum(self.ratings.values()) / len(self.ratings)


@dataclass(frozen=True, slots=True)
class RatedSet:
    """Texts that are rated, all of one form."""

    form: str
    """Such as `whole reports`; the name of a table."""
    texts: tuple[RatedText, ...]
    raters: tuple[str, ...] = ()
    """Those who are known by name, in the order of the file; their own agreement can be told."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a score has to say of two candidates: the first is better, or both are equal."""

    first_name: str
    second_name: str
    equal: bool


@dataclass(frozen=True, slots=True)
class RankedCase:
    """Candidates of one reference with their right order."""

    category: str
    reference: str
    candidates: Mapping[str, str]
    """Texts by name."""
    expected: tuple[Ranking, ...]
    needs_context: bool
    """Whether the order rests on the patient's age or indication, which a score of two texts does not see."""


@dataclass(frozen=True, slots=True)
class Judgements:
    """All that a file holds: texts that are rated, or cases that are ranked."""

    source: str
    """How the file was read, such as `RadPref`."""
    rated: tuple[RatedSet, ...] = ()
    ranked: tuple[RankedCase, ...] = ()
