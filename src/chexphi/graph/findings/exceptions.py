"""What a statement takes back of its own denials: exceptions, and doubts. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from chexphi.graph.findings.records import Finding, Qualities
from chexphi.graph.findings.statements import STOP
from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.graph.types import SIDES

_EXCEPT = re.compile(
    r"\b(?:except(?:ing)?(?: for)?|with the exception of|apart from|aside from|other than|save for)\b",
    re.IGNORECASE,
)
_PHRASE_END = re.compile(r"[,.;:\n]")
_CONCESSION = re.compile(r"\b(?:but|although|though|however|while)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def with_exceptions(findings: Sequence[Finding], text: str, vocabulary: Vocabulary) -> list[Finding]:
    """The findings with what a statement excepts: `except for the left base, the lungs are clear`.

    The excepted place has what is denied of the rest, and nothing is denied of it. What remains of a denial
    is the other side.

    Args:
        findings: Of the text, in its order.
        text: All of it.
        vocabulary: Reads the words of the place.
    """
    findings_left = list(findings)
    for exception in _EXCEPT.finditer(text):
        end = _end_of(_PHRASE_END, text, exception.end())
        inside = [f for f in findings_left if exception.end() <= f.start < end]
        words = vocabulary.words(" ".join(_WORD.findall(text[exception.end() : end].lower())))
        location = vocabulary.qualities(words)
        if any(f.present for f in inside) or not (location.sides or location.zones):
            continue
        start = max((stop.end() for stop in STOP.finditer(text, 0, exception.start())), default=0)
        statement_end = _end_of(STOP, text, exception.end())
        denials = [f for f in findings_left if not f.present and start <= f.start < statement_end]
        of_all = [f for f in denials if f not in inside and not (f.qualities.sides or f.qualities.zones)]
        if of_all:
            excepted_location = Qualities(sides=location.sides, zones=location.zones)
            claim = Finding(of_all[0].concept, qualities=excepted_location, start=exception.end(), end=end)
            left_over = [f for denial in of_all for f in _of_other_side(denial, location.sides)]
            findings_left = [f for f in findings_left if f not in inside and f not in of_all] + [
                claim,
                *left_over,
            ]
    return sorted(findings_left, key=lambda f: f.start)


def without_denials_in_doubt(findings: Sequence[Finding], text: str) -> list[Finding]:
    """The findings without denials that the same statement puts in doubt.

    `No effusion is seen, although a small one cannot be excluded` is a doubt.
    """
    doubts = [f for f in findings if f.present and not f.certain]
    return [f for f in findings if f.present or not any(_puts_in_doubt(d, f, text) for d in doubts)]


def _puts_in_doubt(doubt: Finding, denial: Finding, text: str) -> bool:
    if doubt.concept != denial.concept or not denial.end <= doubt.start:
        return False
    if denial.qualities.sides and not doubt.qualities.sides <= denial.qualities.sides:
        return False
    between = text[denial.end : doubt.start]
    return bool(_CONCESSION.search(between)) and not STOP.search(between)


def _of_other_side(denial: Finding, sides: frozenset[str]) -> list[Finding]:
    """What a denial still says where one side is excepted."""
    if len(sides) != 1:
        return []
    return [replace(denial, qualities=replace(denial.qualities, sides=frozenset(SIDES) - sides))]


def _end_of(mark: re.Pattern[str], text: str, start: int) -> int:
    match = mark.search(text, start)
    return match.start() if match else len(text)
