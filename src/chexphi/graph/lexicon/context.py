"""What a sentence says of its findings: absent, uncertain, plainly there, or nothing. Standard library only.

In the manner of ConText (Chapman 2007; Harkema 2009): cues, each with its scope, and words that end one.
The cues are data (`terms/context.txt`, read by `cue_table`); `scopes` says what a cue is about, `clauses`
where a statement ends, `unclaimed` which words ask or suppose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from chexphi.graph.lexicon import clauses, scopes, unclaimed
from chexphi.graph.lexicon.cue_table import Found, cues_of
from chexphi.graph.lexicon.hosts import hosts
from chexphi.graph.lexicon.spans import CAN_BE_ABSENT, Span


@dataclass(frozen=True, slots=True)
class Context:
    """Positions in the list of spans."""

    absent: frozenset[int] = frozenset()
    uncertain: frozenset[int] = frozenset()
    denied: frozenset[int] = frozenset()
    """What is absent, and qualities that are denied: `not enlarged`."""
    unclaimed: frozenset[int] = frozenset()
    """What is named and not claimed, qualities and places included."""


@dataclass(frozen=True, slots=True)
class _Scoped:
    """A cue and what it is about."""

    found: Found
    start: int
    """First word."""
    end: int
    """One past the last word."""
    about: frozenset[int]
    """Findings and qualities inside, but for those that only say where: positions in the list of spans."""


def read(tokens: Sequence[str], spans: Sequence[Span]) -> Context:
    """What a sentence says of its disorders and devices.

    What is absent is not in doubt: `no definite evidence of a possible nodule`.
    """
    findings = frozenset(index for index, span in enumerate(spans) if span.label in CAN_BE_ABSENT)
    scoped = [_scoped(tokens, spans, found) for found in _holding(tokens, spans)]
    absent, uncertain, stated = (
        findings & _about(scoped, says) for says in ("absent", "uncertain", "stated")
    )
    silent = frozenset(_silent(tokens, spans, scoped, absent, stated))
    absent -= silent
    qualities = frozenset(_qualities(spans, scoped, findings)) - silent
    return Context(absent, uncertain - absent - stated - silent, absent | qualities, silent)


def _holding(tokens: Sequence[str], spans: Sequence[Span]) -> Iterator[Found]:
    """The cues that hold: `not all` outweighs the verb behind it."""
    partial: list[tuple[int, int]] = []

    def is_value(found: Found) -> bool:
        return scopes.value_of(tokens, spans, found) is not None

    for found in cues_of(tokens, is_value):
        if found.cue.says == "plain" and found.cue.where == "clause":
            partial.append((found.at, clauses.clause_end(tokens, spans, found.after)))
        elif found.cue.where not in scopes.BACK or not any(_in(part, found.at) for part in partial):
            yield found


def _scoped(tokens: Sequence[str], spans: Sequence[Span], found: Found) -> _Scoped:
    start, end = scopes.scope(tokens, spans, found)
    inside = {
        index
        for index, span in enumerate(spans)
        if start <= span.start < end and (span.label in CAN_BE_ABSENT or span.label == "concept")
    }
    open_scope = scopes.OPEN if found.cue.says == "absent" else scopes.BACK
    if inside and found.cue.where in open_scope:
        inside -= set(hosts(tokens, spans, start, end))
    return _Scoped(found, start, end, frozenset(inside))


def _about(scoped: Sequence[_Scoped], says: str) -> set[int]:
    return {index for part in scoped if part.found.cue.says == says for index in part.about}


def _qualities(spans: Sequence[Span], scoped: Sequence[_Scoped], findings: Set[int]) -> Iterator[int]:
    """`not enlarged` denies the quality, `no new finding on the left` neither that it is new nor the side."""
    for part in scoped:
        cue = part.found.cue
        if cue.says == "absent" and cue.words not in (("no",), ("without",)) and not part.about & findings:
            yield from (index for index in part.about if spans[index].start <= part.start + 1)


def _silent(
    tokens: Sequence[str],
    spans: Sequence[Span],
    scoped: Sequence[_Scoped],
    absent: frozenset[int],
    stated: frozenset[int],
) -> Iterator[int]:
    """Spans of which nothing is claimed: a question without its answer, a plan, the label of a denial."""
    answered = {
        index
        for part in scoped
        if part.found.cue.where in (*scopes.BACK, "value") and scopes.is_value(tokens, part.found.at)
        for index in part.about
    }
    decided = absent | stated
    stretches = [part for part in unclaimed.asked(tokens) if not _any_in(part, answered, spans)]
    for part in scoped:
        stretch, cue = (part.start, part.end), part.found.cue
        if cue.says == "unclaimed" and (cue.where == "clause" or not _any_in(stretch, decided, spans)):
            stretches.append(stretch)
    stretches += [part for part in unclaimed.sought(tokens) if not _any_in(part, decided, spans)]
    stretches += unclaimed.heading(tokens, spans, absent, answered)
    for index, span in enumerate(spans):
        if any(_in(stretch, span.start) for stretch in stretches):
            yield index


def _any_in(stretch: tuple[int, int], indices: Set[int], spans: Sequence[Span]) -> bool:
    return any(_in(stretch, spans[index].start) for index in indices)


def _in(stretch: tuple[int, int], word: int) -> bool:
    return stretch[0] <= word < stretch[1]
