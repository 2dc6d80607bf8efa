"""Finds findings that only say where something else is, or is not. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chexphi.graph.lexicon.phrases import noun_phrases
from chexphi.graph.lexicon.spans import Span
from chexphi.graph.words import words as _words

_HOST_PREPOSITIONS = _words(
    """in within inside around about along near at on from by through surrounding overlying underlying
    adjacent beneath behind beside between across outside under above below involving of distal proximal
    due secondary related attributable beyond"""
)
"""The finding after one of these says where something is, or is not."""
_DETERMINERS = _words("the a an this that these those his her its their patient 's any either each known to")
_SIGNS = _words(
    """evidence sign signs suggestion indication indications feature features finding findings manifestation
    manifestations appearance presence development recurrence reaccumulation focus foci area areas region
    amount degree form type kind collection layer component hint trace suspicion possibility formation rest
    residuum stigmata proof indicator indicators pattern impression question absence lack exclusion
    diagnosis signs/symptoms suggestive indicative diagnostic"""
)
"""`no sign of an effusion` denies the effusion, so the effusion is not a host of the sign."""
_REGIONS = _words("region area vicinity site location level bed neighbourhood neighborhood")
"""`in the region of the mass`"""
_NEXT_TO = _words(
    """around near surrounding adjacent beneath behind beside between overlying underlying distal proximal
    due secondary related attributable"""
)
_HAPPENS = _words(
    """kinking malposition malpositioning migration dislodgement displacement kink kinks kinked retraction
    movement coiling leak leakage obstruction infection complication complications thrombosis discontinuity"""
)
"""What happens to something that is present: `no migration of leads`."""


def host_findings(tokens: Sequence[str], spans: Sequence[Span], start: int, end: int) -> Iterator[int]:
    """Positions of findings that only say where something is, or is not: `no calcification in the nodule`."""
    inside = [index for index, span in enumerate(spans) if start <= span.start and span.end <= end]
    if not inside:
        return
    for phrase in noun_phrases([spans[index] for index in inside]):
        members = [inside[number] for number in phrase]
        phrase_start, phrase_end = spans[members[0]].start, spans[members[-1]].end
        while phrase_start > start and tokens[phrase_start - 1] in _DETERMINERS:
            phrase_start -= 1
        after_preposition = (
            phrase_start - 1 > start
            and tokens[phrase_start - 1] in _HOST_PREPOSITIONS
            and _relates_to_host(tokens, spans, phrase_start - 1)
        )
        if (
            after_preposition
            or (end == phrase_end and _is_part_or_event(spans, members))
            or _event_or_part_follows(tokens, spans, phrase_end)
        ):
            yield from members


def _relates_to_host(tokens: Sequence[str], spans: Sequence[Span], preposition: int) -> bool:
    """Whether the preposition follows something that can be in the next finding, or belong to it."""
    previous_word = tokens[preposition - 1]
    if (
        tokens[preposition] == "of"
        and previous_word in _REGIONS
        and not _HOST_PREPOSITIONS.isdisjoint(tokens[preposition - 3 : preposition - 1])
    ):
        return True
    if previous_word in _SIGNS:
        return False
    if tokens[preposition] in _NEXT_TO:
        return True
    after_noun = any(span.end == preposition and span.text not in _SIGNS for span in spans)
    if tokens[preposition] != "of":
        return after_noun or previous_word in _HAPPENS or previous_word in ("adjacent", "caused", "produced")
    definite = tokens[preposition + 1] in ("the", "this", "these", "his", "her", "that")
    return after_noun or previous_word in _HAPPENS or definite


def _event_or_part_follows(tokens: Sequence[str], spans: Sequence[Span], end: int) -> bool:
    """Whether an event or a part follows: `lead discontinuity`, `the catheter's tip`."""
    next_words = tokens[end : end + 1]
    return not _HAPPENS.isdisjoint(next_words) or (
        next_words == ["'s"] and any(span.start == end + 1 and span.label != "concept" for span in spans)
    )


def _is_part_or_event(spans: Sequence[Span], members: Sequence[int]) -> bool:
    """Whether the phrase is about a part of a finding, or an event: `catheter tip`, `tube malposition`."""
    last_span = spans[members[-1]]
    is_part = last_span.label == "anatomy" or not _HAPPENS.isdisjoint(last_span.words)
    return (
        is_part
        and len(members) > 1
        and any(spans[index].label not in ("anatomy", "concept", "size") for index in members[:-1])
    )
