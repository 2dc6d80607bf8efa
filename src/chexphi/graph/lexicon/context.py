"""Whether a sentence says that a finding is absent, uncertain or present, or claims nothing about it.

The design follows ConText (Chapman 2007; Harkema 2009): cues, each with a scope, and words that end a scope.
The cues are data (`terms/cues.txt`, read by `cue_table`). `scopes` finds what a cue is about, `clauses` and
`clause_starts` where a statement ends and starts, and `unclaimed` which words ask or suppose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from chexphi.graph.lexicon import clauses, scopes, unclaimed
from chexphi.graph.lexicon.cue_table import CueMatch, find_cues
from chexphi.graph.lexicon.hosts import host_findings
from chexphi.graph.lexicon.spans import CAN_BE_ABSENT, Span


@dataclass(frozen=True, slots=True)
class Context:
    """What a sentence says about its spans. Numbers are positions in the list of spans."""

    absent: frozenset[int] = frozenset()
    uncertain: frozenset[int] = frozenset()
    denied: frozenset[int] = frozenset()
    """Absent findings, denied qualities as in `not enlarged`, and of the uncertain findings those that are
    rather absent: `pneumonia is unlikely`."""
    unclaimed: frozenset[int] = frozenset()
    """What is named but not claimed, with its qualities and regions."""


@dataclass(frozen=True, slots=True)
class _ScopedCue:
    """A cue and the spans that it is about."""

    match: CueMatch
    start: int
    """First word."""
    end: int
    """One past the last word."""
    about: frozenset[int]
    """Positions of the findings and qualities in the scope, without findings that only say where."""


def context_of(tokens: Sequence[str], spans: Sequence[Span]) -> Context:
    """What a sentence says about its disorders and devices.

    An absent finding is never uncertain: `no definite evidence of a possible nodule`.
    """
    scoped_cues = [_with_scope(tokens, spans, match) for match in _valid_cues(tokens, spans)]
    if not scoped_cues:
        return Context(unclaimed=frozenset(_unclaimed(tokens, spans, (), frozenset(), frozenset())))
    findings = frozenset(index for index, span in enumerate(spans) if span.label in CAN_BE_ABSENT)
    spans_of_status = _spans_by_status(scoped_cues)
    absent_findings, uncertain_findings, unlikely_findings, stated_findings = (
        findings.intersection(spans_of_status.get(status, ()))
        for status in ("absent", "uncertain", "unlikely", "stated")
    )
    unclaimed_spans = frozenset(_unclaimed(tokens, spans, scoped_cues, absent_findings, stated_findings))
    absent_findings -= unclaimed_spans
    qualities = frozenset(_denied_qualities(spans, scoped_cues, findings)) - unclaimed_spans
    decided_findings = absent_findings | stated_findings | unclaimed_spans
    unlikely_findings -= decided_findings
    return Context(
        absent_findings,
        (uncertain_findings - decided_findings) | unlikely_findings,
        absent_findings | unlikely_findings | qualities,
        unclaimed_spans,
    )


def _valid_cues(tokens: Sequence[str], spans: Sequence[Span]) -> Iterator[CueMatch]:
    """The cues that count: `not all` overrides the verb after it."""
    partial_denials: list[tuple[int, int]] = []

    def is_value(match: CueMatch) -> bool:
        return scopes.value_of(tokens, spans, match) is not None

    for match in find_cues(tokens, is_value):
        if match.cue.status == "plain" and match.cue.scope == "clause":
            partial_denials.append((match.start, clauses.clause_end(tokens, spans, match.end)))
            continue
        denied_in_part = any(_contains(denial, match.start) for denial in partial_denials)
        if match.cue.scope not in scopes.BACKWARD_SCOPES or not denied_in_part:
            yield match


def _with_scope(tokens: Sequence[str], spans: Sequence[Span], match: CueMatch) -> _ScopedCue:
    start, end = scopes.scope_of(tokens, spans, match)
    inside = {
        index
        for index, span in enumerate(spans)
        if start <= span.start < end and (span.label in CAN_BE_ABSENT or span.label == "concept")
    }
    scopes_with_hosts = scopes.SCOPES_WITH_HOSTS if match.cue.status == "absent" else scopes.BACKWARD_SCOPES
    if inside and match.cue.scope in scopes_with_hosts:
        inside -= set(host_findings(tokens, spans, start, end))
    return _ScopedCue(match, start, end, frozenset(inside))


def _spans_by_status(scoped_cues: Sequence[_ScopedCue]) -> dict[str, set[int]]:
    spans_of_status: dict[str, set[int]] = {}
    for scoped in scoped_cues:
        spans_of_status.setdefault(scoped.match.cue.status, set()).update(scoped.about)
    return spans_of_status


def _denied_qualities(
    spans: Sequence[Span], scoped_cues: Sequence[_ScopedCue], findings: Set[int]
) -> Iterator[int]:
    """Denied qualities: `not enlarged` denies one, `no new finding on the left` does not deny new or left."""
    for scoped in scoped_cues:
        cue = scoped.match.cue
        if (
            cue.status == "absent"
            and cue.words not in (("no",), ("without",))
            and not scoped.about & findings
        ):
            is_whole = cue.scope == "within"
            yield from (index for index in scoped.about if is_whole or spans[index].start <= scoped.start + 1)


def _unclaimed(
    tokens: Sequence[str],
    spans: Sequence[Span],
    scoped_cues: Sequence[_ScopedCue],
    absent_findings: frozenset[int],
    stated_findings: frozenset[int],
) -> Iterator[int]:
    """Spans that are not claimed: unanswered questions, plans, labels that their values repeat or deny."""
    answered_spans = {
        index
        for scoped in scoped_cues
        if scoped.match.cue.scope in (*scopes.BACKWARD_SCOPES, "value")
        and scopes.is_value(tokens, scoped.match.start)
        for index in scoped.about
    }
    decided_spans = absent_findings | stated_findings
    ranges = [
        question
        for question in unclaimed.questions(tokens)
        if not _contains_any(question, answered_spans, spans)
    ]
    for scoped in scoped_cues:
        cue_range, cue = (scoped.start, scoped.end), scoped.match.cue
        if cue.status == "unclaimed" and (
            cue.scope == "clause" or not _contains_any(cue_range, decided_spans, spans)
        ):
            ranges.append(cue_range)
    ranges += [
        search for search in unclaimed.searches(tokens) if not _contains_any(search, decided_spans, spans)
    ]
    ranges += unclaimed.repeated_labels(tokens, spans, absent_findings, answered_spans)
    if ranges:
        yield from (
            index
            for index, span in enumerate(spans)
            if any(_contains(word_range, span.start) for word_range in ranges)
        )


def _contains_any(word_range: tuple[int, int], indices: Set[int], spans: Sequence[Span]) -> bool:
    return any(_contains(word_range, spans[index].start) for index in indices)


def _contains(word_range: tuple[int, int], word: int) -> bool:
    return word_range[0] <= word < word_range[1]
