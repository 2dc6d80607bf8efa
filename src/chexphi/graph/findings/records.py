"""A finding of a report, and how important it is. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Significance = Literal["urgent", "actionable", "minor", "benign"]
"""Clinical significance: `minor` needs no action, `benign` is expected. RadPref and CRIMSON name the same
four (arXiv 2603.06183): urgent, actionable not urgent, not actionable, benign or expected."""
EMPTY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Qualities:
    """What a text says about a finding beside its name."""

    sides: frozenset[str] = EMPTY
    """`left`, `right`, or both."""
    zones: frozenset[str] = EMPTY
    """`upper`, `middle`, `lower` and `central`."""
    degree: float | None = None
    """From 1 (trace) over 2 (small, mild) and 3 (moderate) to 4 (large, severe)."""
    size_mm: float | None = None
    """The largest measure."""
    change: str | None = None
    """`new`, `increased`, `decreased`, `unchanged` or `resolved`."""
    time: str | None = None
    """`acute` or `chronic`."""
    position: str | None = None
    """Of a device: `good` or `bad`."""
    count: int | None = None
    """How many there are, where it is said."""


NO_QUALITIES = Qualities()


def of_absent(qualities: Qualities, change_before: str | None) -> Qualities:
    """Qualities of what is absent: on both sides is anywhere, and it has not grown or stayed.

    Args:
        qualities: As they were read.
        change_before: The change that stands before the name. `No new nodule` denies one that is new, and a
            `new` after the name is of something else.
    """
    sides = EMPTY if len(qualities.sides) > 1 else qualities.sides
    is_new_before = qualities.change == "new" == change_before
    is_of_another = qualities.change in ("increased", "unchanged", "new") and not is_new_before
    return replace(qualities, sides=sides, change=None if is_of_another else qualities.change)


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim of a text: a finding is there, or is not there."""

    concept: str
    """Its name in the ontology; a finding that no concept has is named by its own words."""
    present: bool = True
    certain: bool = True
    qualities: Qualities = NO_QUALITIES
    start: int = 0
    """First character in the text."""
    end: int = 0
    """One past the last character."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; qualities that were not said are left out."""
        said = {
            "sides": sorted(self.qualities.sides),
            "zones": sorted(self.qualities.zones),
            "degree": self.qualities.degree,
            "size_mm": self.qualities.size_mm,
            "change": self.qualities.change,
            "time": self.qualities.time,
            "position": self.qualities.position,
            "count": self.qualities.count,
        }
        return {
            "concept": self.concept,
            "present": self.present,
            "certain": self.certain,
            **{name: value for name, value in said.items() if value},
            "span": [self.start, self.end],
        }
