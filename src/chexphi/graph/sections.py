"""Sections that ask, or tell why, and do not say what is seen. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ASKED = re.compile(
    r"""^[ \t>*_\#-]*
    (?:(?P<why>indications?|(?:clinical|brief|relevant|patient)\ (?:indications?|history|info(?:rmation)?|data
        |details|question|concern|statement|background|context)
        |history(?:\ of\ present\ illness)?|hpi|hx|pmhx?
        |past\ medical\ history
        |(?:reason|indication)\ for\ (?:the\ |this\ )?(?:exam(?:ination)?|study|visit|request|test|referral)
        |reason|(?:chief|presenting)\ complaints?|complaints?|symptoms|plan|recommendations?)
    | (?P<question>questions?(?:\ asked)?|q|query|prompt|options|(?:answer\ )?choices
        |(?:possible|candidate)\ answers))
    [ \t*_]*(?::|[-\u2013]\s)[ \t*_]*""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_ENDS = re.compile(
    r"""\n\s*\n | \n[ \t>*_\#-]*(?:[A-Z][A-Z /()-]{2,40}|[A-Z][a-z]+(?:\ [A-Za-z]+){0,3})[ \t*_]*: | </?\w+>
    | \b(?i:findings|impression|comparison|technique|conclusion|interpretation|opinion|report
        |examination|exam|procedure|answer|reasoning|think)[*_]*\s*:""",
    re.VERBOSE,
)
"""A blank line, a heading or a tag ends a section."""
_LONGEST_END = 100
"""Characters of one of those."""
_LINE = re.compile(r"\n(?![^\S\n]*+[-*\u2022]?+[^\S\n]*+\(?[A-Ha-h1-9][).:])")
"""A question and its options end with their line."""


_CHOICES = re.compile(r"\?\s*+(?=\(?[aA][).:]\s?\w)")
"""Options behind a question: `Which is seen? (A) Effusion (B) Nodule`."""


def unclaimed_sections(text: str) -> list[tuple[int, int, bool]]:
    """Stretches under a heading such as `INDICATION:` or `Question:`.

    Returns:
        (first character, one past the last, whether it is a question). Of a question, the answer
        (`Is there an effusion? No.`) is a claim.
    """
    return [*_headed(text), *_choices(text)]


def _headed(text: str) -> Iterator[tuple[int, int, bool]]:
    end = 0
    for heading in _ASKED.finditer(text):
        if heading.start() >= end:
            first = heading.end()
            while first < len(text) and text[first].isspace():  # the section may start on the next line
                first += 1
            end = _end(text, first, line=bool(heading["question"]))
            yield heading.start(), end, bool(heading["question"])


def _choices(text: str) -> Iterator[tuple[int, int, bool]]:
    end = 0
    for mark in _CHOICES.finditer(text):
        if mark.start() >= end:
            end = _end(text, mark.end(), line=True)
            yield mark.end(), end, False


def _end(text: str, first: int, *, line: bool) -> int:
    """Where the section that starts at `first` ends, with its line at the latest if `line`."""
    own = _LINE.search(text, first) if line else None
    last = own.start() if own else len(text)
    found = _ENDS.search(text, first, last + _LONGEST_END)
    return min(found.start(), last) if found else last
