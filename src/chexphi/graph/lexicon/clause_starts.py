"""Finds where a statement starts. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.graph.lexicon.clauses import ARTICLES, BE, CLAUSE_ENDS, STATEMENT_STARTS, VERBS
from chexphi.graph.lexicon.spans import CAN_BE_ABSENT, Span
from chexphi.graph.words import words as _words

_OWNERS = _words("its whose their")
"""`its tip is not seen` is about the tip alone."""

_TIME_WORDS = _words("since after following once until when that as with")
"""They start a clause that has its own subject: `a new effusion since the drain was removed`."""
_POSSIBLE_STARTS = CLAUSE_ENDS | _OWNERS | _TIME_WORDS | _words("which and ,")


def clause_start(tokens: Sequence[str], spans: Sequence[Span], at: int) -> int:
    """Start of the statement whose verb is at `at`; `A, B and C` is one subject, `… is C and B` are two."""
    ends = {span.end for span in spans if span.label not in ("concept", "size")}
    for index in range(at - 1, -1, -1):
        word = tokens[index]
        if word not in _POSSIBLE_STARTS:
            continue
        if word in _TIME_WORDS and _starts_time(tokens, spans, index, at):
            return index
        if word in CLAUSE_ENDS or word in _OWNERS or (word == "which" and tokens[index - 1] == "of"):
            return index
        if (
            word == "and"
            and tokens[index + 1] not in VERBS  # `not seen on this film and may be scar`: one subject
            and (not _joins_nouns(tokens, index, ends) or _joins_statements(tokens, index))
        ):
            return index
        if word == "," and (
            _follows_statement(tokens, spans, index, at)
            or _follows_predicate(tokens, spans, index, at)
            or _starts_subject(tokens, spans, index, at)
        ):
            return index
    return 0


def _starts_time(tokens: Sequence[str], spans: Sequence[Span], at: int, end: int) -> bool:
    """Whether a finding is the subject of the clause that starts here, and another precedes it.

    What is done with a device is said of it alone; a disorder needs a predicate before it.
    """
    if tokens[at] == "that" and tokens[at - 1] != "now":
        return False
    subject = next((span for span in reversed(spans) if at < span.start and span.end == end), None)
    if subject is None or subject.label not in CAN_BE_ABSENT:
        return False
    if not any(span.end <= at and span.label in CAN_BE_ABSENT for span in spans):
        return False
    is_device = subject.label == "devices_present"
    return is_device or (tokens[at] != "with" and not VERBS.isdisjoint(tokens[:at]))


def _joins_nouns(tokens: Sequence[str], at: int, ends: set[int]) -> bool:
    return at in ends or (at > 0 and tokens[at - 1] == "," and at - 1 in ends)


def _joins_statements(tokens: Sequence[str], at: int) -> bool:
    """Whether the `and` at `at` joins statements: a verb before it, an article or the like after it."""
    return tokens[at + 1] in STATEMENT_STARTS and not BE.isdisjoint(tokens[:at])


def _follows_statement(tokens: Sequence[str], spans: Sequence[Span], comma: int, end: int) -> bool:
    """Whether a whole statement precedes the comma, and a finding follows it."""
    has_finding = any(
        comma < span.start < end and span.label not in ("concept", "size", "anatomy") for span in spans
    )
    return (
        has_finding
        and not VERBS.isdisjoint(tokens[:comma])
        and tokens[comma + 1 : comma + 2] not in (["which"], ["that"])
    )


def _starts_subject(tokens: Sequence[str], spans: Sequence[Span], comma: int, end: int) -> bool:
    """Whether a subject with its article follows the comma: `an opacity, the hilum is not visible`."""
    has_noun = any(comma < span.start < end for span in spans)
    return has_noun and tokens[comma + 1] in ARTICLES and {"and", "or"}.isdisjoint(tokens[comma:end])


def _follows_predicate(tokens: Sequence[str], spans: Sequence[Span], comma: int, end: int) -> bool:
    """Whether a finding with its predicate precedes the comma: `effusion smaller, edema resolved`."""
    has_finding = any(comma < span.start < end and span.label in CAN_BE_ABSENT for span in spans)
    if not has_finding or not {"and", "or"}.isdisjoint(tokens[comma:end]):
        return False
    previous_span = next((span for span in reversed(spans) if span.end <= comma), None)
    has_earlier_finding = any(span.end <= comma and span.label in CAN_BE_ABSENT for span in spans)
    return (
        previous_span is not None
        and previous_span.end == comma
        and previous_span.label == "concept"
        and has_earlier_finding
    )
