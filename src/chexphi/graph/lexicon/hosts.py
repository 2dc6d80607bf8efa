"""Findings that only say where something is, or is not. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chexphi.graph.cues import words as _words
from chexphi.graph.lexicon.phrases import groups
from chexphi.graph.lexicon.spans import Span

_INTO = _words(
    """in within inside around about along near at on from by through surrounding overlying underlying
    adjacent beneath behind beside between across outside under above below involving of distal proximal
    due secondary related attributable"""
)
"""Prepositions: the finding after them is where something is, or is not."""
_DETERMINERS = _words("the a an this that these those his her its their patient 's any either each known to")
_SIGNS = _words(
    """evidence sign signs suggestion indication indications feature features finding findings manifestation
    manifestations appearance presence development recurrence reaccumulation focus foci area areas region
    amount degree form type kind collection layer component hint trace suspicion possibility formation rest
    residuum stigmata proof indicator indicators pattern impression question absence lack exclusion
    diagnosis signs/symptoms"""
)
"""`no sign of an effusion` denies the effusion."""
_REGIONS = _words("region area vicinity site location level bed neighbourhood neighborhood")
"""`in the region of the mass`"""
_AROUND = _words(
    """around near surrounding adjacent beneath behind beside between overlying underlying distal proximal
    due secondary related attributable"""
)
_HAPPENS = _words(
    """kinking malposition malpositioning migration dislodgement displacement kink kinks kinked retraction
    movement coiling leak leakage obstruction infection complication complications thrombosis discontinuity"""
)
"""What happens to something that is there: `no migration of leads`."""


def hosts(tokens: Sequence[str], spans: Sequence[Span], start: int, end: int) -> Iterator[int]:
    """Findings that only say where something is, or is not: `no calcification in the nodule`."""
    inside = [index for index, span in enumerate(spans) if start <= span.start and span.end <= end]
    if not inside:
        return
    for group in groups([spans[index] for index in inside]):
        members = [inside[place] for place in group]
        first, last = spans[members[0]].start, spans[members[-1]].end
        while first > start and tokens[first - 1] in _DETERMINERS:
            first -= 1
        placed = first - 1 > start and tokens[first - 1] in _INTO and _hosts(tokens, spans, first - 1)
        if placed or (end == last and _part(spans, members)) or _owns(tokens, spans, last):
            yield from members


def _hosts(tokens: Sequence[str], spans: Sequence[Span], at: int) -> bool:
    """The preposition at `at` stands after something that can be in, or of, what follows."""
    before = tokens[at - 1]
    if tokens[at] == "of" and before in _REGIONS and not _INTO.isdisjoint(tokens[at - 3 : at - 1]):
        return True
    if before in _SIGNS:
        return False
    if tokens[at] in _AROUND:
        return True
    named = any(span.end == at and span.text not in _SIGNS for span in spans)
    if tokens[at] != "of":
        return named or before in _HAPPENS or before in ("adjacent", "caused", "produced")
    definite = tokens[at + 1] in ("the", "this", "these", "his", "her", "that")
    return named or before in _HAPPENS or definite


def _owns(tokens: Sequence[str], spans: Sequence[Span], end: int) -> bool:
    """What is spoken of follows: `lead discontinuity`, `the catheter's tip`."""
    after = tokens[end : end + 1]
    return not _HAPPENS.isdisjoint(after) or (
        after == ["'s"] and any(span.start == end + 1 for span in spans)
    )


def _part(spans: Sequence[Span], members: Sequence[int]) -> bool:
    """`catheter tip`, `tube malposition`: a part of it, or what happens to it, is what is spoken of."""
    last = spans[members[-1]]
    part = last.label == "anatomy" or not _HAPPENS.isdisjoint(last.words)
    return (
        part
        and len(members) > 1
        and any(spans[index].label not in ("anatomy", "concept", "size") for index in members[:-1])
    )
