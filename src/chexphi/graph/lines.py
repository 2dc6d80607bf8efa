"""Where a line of a text was wrapped, and where it ends. Standard library only.

Dictation systems and terminals wrap a paragraph greedily: a line ends because the next word had no room.
A heading, a bullet, a row of a table or an entry of a list ends where it is complete.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from chexphi.graph.cues import words

_NEW_ITEM = re.compile(
    r"[-*\u2022\u2023\u25aa\u25cf\u00b7\u2013\u2014>]\s|\(?\d{1,2}[.)]\s?(?=[^\W\d])|\(?[a-hA-H]\)\s?"
    r"|[|#<*_=~]|-{2,}|\[[ xX]?\]"
)
"""What opens a line of its own: bullet, number of a list item, table, heading, tag, box."""
_LABEL = re.compile(r"[A-Z][A-Za-z /&()'-]{1,40}:(?:\s|$)")
"""`Findings:` or `Pleural effusion: none` at the start of a line."""
_OPEN_END = words(
    """a an and any are as at be by for from has have in into is its may near no nor not of on or over some
    than that the their there this to vs versus was were which with without"""
)
"""Words that no statement ends with."""
_GOES_ON = words(
    """and as at but for from in into is are nor of on or over than that to was were which while with within
    without along has have had"""
)
"""Words that no statement in lower case starts with."""
_NAME = re.compile(r"(?:[A-Z0-9][A-Z0-9/-]+s?|I|[A-Z][a-z]+-[A-Z]\w+|[A-Z]\d+|\d\S*)(?![\w-])")
"""A capital or a number inside a statement: `PICC`, `T12`, `Swan-Ganz`, `5`, `I`."""
_NAME_OF_VALUE = re.compile(r"[A-Z][A-Za-z]*(?: [A-Za-z]+){0,3}")
"""`Pleural effusion`, alone in its line."""
_VALUE_ALONE = re.compile(r"(?:no|none|nil|absent|negative)(?: seen| identified)?\.?", re.IGNORECASE)
_VALUE_MARKS = frozenset(":?|\t")
_NARROWEST = 40
"""Characters of the longest line of a paragraph that was wrapped."""
_LONG = 55
"""Characters of a line from which its end is a wrap if the next one goes on in lower case."""
ABBREVIATIONS = words("dr mr mrs ms prof st vs approx fig cf e.g i.e ca resp incl")
"""What a sentence goes on after."""
_ABBREVIATION = re.compile(
    rf"(?:^|[\s(])(?:{'|'.join(map(re.escape, sorted(ABBREVIATIONS)))})\.$", re.IGNORECASE
)
_ANSWER = re.compile(
    r"""[-*_>\s\u2192]*+(?:(?:the\s|final\s)*+(?:a|answer)(?:\sis)?\s*+[:*]*+\s*+)?
    (?:there\s(?:is|are)(?:\s(?:not|none))?|(?:he|she|it|they)\s(?:does|do|has|have|is|are)(?:\snot|n't)?|(?:small|mild|moderate|large|trace|tiny|minimal|severe)(?:\s\w+){0,5}|no(?:ne|pe)?|nil|yes|absent|negative|unlikely|possibly|maybe|not\s(?:seen|present|identified|visible|evident|really))
    (?=[^\S\n]*+(?:[.,;!)]|$|\n|(?:seen|identified|present|visible|evident)\b))""",
    re.IGNORECASE | re.VERBOSE,
)
"""A value after a question or a label."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The physical lines of a text."""

    starts: tuple[int, ...]
    """First character of each line."""
    joined: tuple[bool, ...]
    """Whether a line's statement goes on in the next line."""

    @classmethod
    def of(cls, text: str) -> Layout:
        lines = [line.rstrip() for line in text.split("\n")]
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        widths, joined = _widths(lines), [False]
        for line, following, width in zip(lines, lines[1:], widths, strict=False):
            joined.append(goes_on(line, following, width, continued=joined[-1]))
        return cls(tuple(starts), tuple(joined[1:]))

    def goes_on(self, at: int) -> bool:
        """The statement of the line that ends at character `at` goes on in the next line."""
        number = bisect_right(self.starts, at) - 1
        return number < len(self.joined) and self.joined[number]


def _widths(lines: Sequence[str]) -> list[int]:
    """Characters of the longest line of each line's paragraph."""
    widths, first = [0] * len(lines), 0
    for end in range(len(lines) + 1):
        if end == len(lines) or not lines[end]:
            longest = max((len(line) for line in lines[first:end]), default=0)
            widths[first:end] = [longest] * (end - first)
            first = end + 1
    return widths


def goes_on(line: str, following: str, width: int, *, continued: bool = False) -> bool:
    """Whether the statement of a line goes on in the next one.

    Args:
        line: The physical line, with its indent, without what trails.
        following: The next one.
        width: Characters of the longest line of the paragraph.
        continued: The line goes on with the statement of the one before.
    """
    room, following = width - len(line), following.strip()
    line = line.strip()
    if not line or not following or ("\t" in line and "\t" in following):
        return False
    named = _NAME_OF_VALUE.fullmatch(line) and _VALUE_ALONE.fullmatch(following)
    if named or (line[-1] in ":?" and is_answer(following)):
        return True
    first = following.split(maxsplit=1)[0]
    full = width >= _NARROWEST and len(first) >= room
    unfinished = _unfinished(line, following, full=full)
    if _NEW_ITEM.match(following) and not (unfinished and full):
        return False
    if line[-1] in ".!?:" or line[-2:] in ('."', ".)", "?)", "!)"):
        return bool(_ABBREVIATION.search(line))
    if unfinished or following[0] in ",;:)/%":
        return True
    if line.startswith(("|", "#")) or (_LABEL.match(following) and not full):
        return False
    if following[0].islower():
        return (
            full or len(line) >= _LONG or first.rstrip(",") in _GOES_ON or _begun(line, continued=continued)
        )
    if line.isupper() and following.isupper() and width >= _NARROWEST:
        return full
    return full and (following[0] in "([" or bool(_NAME.match(following)))


def _unfinished(line: str, following: str, *, full: bool) -> bool:
    """The line's last word ends no statement; a `no` does where it may be a value: `Effusion? No`."""
    last = line.split()[-1].lower()
    if last == "no":
        return following[0].islower() or (full and not _ends_in_value(line))
    return last in _OPEN_END or last[-1] in ",/" or (last[-1] == "-" and len(last) > 1)


def _ends_in_value(line: str) -> bool:
    """Of a line that ends in `no`: a mark such as `:` or `?` stands before it, with no word between."""
    end = len(line) - len("no")
    first = end
    while first and not (line[first - 1].isalnum() or line[first - 1] == "_"):
        first -= 1
    return not _VALUE_MARKS.isdisjoint(line[first:end])


def _begun(line: str, *, continued: bool) -> bool:
    """The line ends inside a sentence: it began with a capital, or goes on from the line before."""
    start = max(line.rfind(mark) for mark in (". ", "? ", "! ", ": "))
    sentence = line[start + 2 :] if start >= 0 else line
    if start < 0 and continued:
        return True
    return sentence[0].isupper() and " " in sentence and not _LABEL.match(sentence) and not sentence.isupper()


def is_answer(text: str) -> bool:
    """A text starts with the answer to a question, or with the value of a label."""
    return bool(_ANSWER.match(text))
