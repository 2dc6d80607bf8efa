"""Sections that ask a question or give a reason, and do not say what is seen. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator

_HEADING = re.compile(
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
_SECTION_END = re.compile(
    r"""\n\s*\n | \n[ \t>*_\#-]*(?:[A-Z][A-Z /()-]{2,40}|[A-Z][a-z]+(?:\ [A-Za-z]+){0,3})[ \t*_]*: | </?\w+>
    | \b(?i:findings|impression|comparison|technique|conclusion|interpretation|opinion|report
        |examination|exam|procedure|answer|reasoning|think)[*_]*\s*:""",
    re.VERBOSE,
)
"""A section ends at a blank line, a heading or a tag."""
_LONGEST_SECTION_END = 100
"""Characters that a match of `_SECTION_END` may have."""
_QUESTION_END = re.compile(r"\n(?![^\S\n]*+[-*\u2022]?+[^\S\n]*+\(?[A-Ha-h1-9][).:])")
"""A question ends with its line, unless the next line is one of its options."""
_OPTIONS_START = re.compile(r"\?\s*+(?=\(?[aA][).:]\s?\w)")
"""The options after a question: `Which is seen? (A) Effusion (B) Nodule`."""


def unclaimed_sections(text: str) -> list[tuple[int, int, bool]]:
    """The sections under a heading such as `INDICATION:` or `Question:`.

    Returns:
        (first character, one past the last, whether it is a question). The answer to a question is still a
        claim: `Is there an effusion? No.`
    """
    return [*_sections_with_heading(text), *_options_of_questions(text)]


def _sections_with_heading(text: str) -> Iterator[tuple[int, int, bool]]:
    end = 0
    for heading in _HEADING.finditer(text):
        if heading.start() >= end:
            content_start = heading.end()
            while (
                content_start < len(text) and text[content_start].isspace()
            ):  # the section may start on the next line
                content_start += 1
            end = _section_end(text, content_start, ends_with_line=bool(heading["question"]))
            yield heading.start(), end, bool(heading["question"])


def _options_of_questions(text: str) -> Iterator[tuple[int, int, bool]]:
    end = 0
    for options in _OPTIONS_START.finditer(text):
        if options.start() >= end:
            end = _section_end(text, options.end(), ends_with_line=True)
            yield options.end(), end, False


def _section_end(text: str, content_start: int, *, ends_with_line: bool) -> int:
    """Where the section that starts at `content_start` ends: before a line end if `ends_with_line`."""
    line_end = _QUESTION_END.search(text, content_start) if ends_with_line else None
    limit = line_end.start() if line_end else len(text)
    section_end = _SECTION_END.search(text, content_start, limit + _LONGEST_SECTION_END)
    return min(section_end.start(), limit) if section_end else limit
