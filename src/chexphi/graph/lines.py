"""Where a line of a text was wrapped, and where it ends. Standard library only.

Dictation systems and terminals wrap a paragraph greedily: a line ends because the next word had no room.
A heading, a bullet, a row of a table or an entry of a list ends where it is complete.
"""

from __future__ import annotations

import re
from bisect import bisect_right
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
_NARROWEST = 40
"""Characters of the longest line of a paragraph that was wrapped."""
_LONG = 55
"""Characters of a line from which its end is a wrap if the next one goes on in lower case."""
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:dr|mr|mrs|ms|prof|st|vs|approx|fig|no|cf|e\.g|i\.e|ca|resp|incl)\.$", re.I
)
_ANSWER = re.compile(
    r"""[-*\s]*(?:(?:a|answer)\s*:\s*)?
    (?:no(?:ne|pe)?|nil|yes|absent|negative|unlikely|possibly|maybe|not\s(?:seen|present|identified|visible|evident|really))
    (?=\s*(?:[.,;!)]|$|\n|(?:seen|identified|present|visible|evident)\b))""",
    re.IGNORECASE | re.VERBOSE,
)
"""A value after a question or a label."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The physical lines of a text."""

    starts: tuple[int, ...]
    lines: tuple[str, ...]
    widths: tuple[int, ...]
    """Characters of the longest line of each line's paragraph."""

    @classmethod
    def of(cls, text: str) -> Layout:
        lines = text.split("\n")
        starts, at = [], 0
        for line in lines:
            starts.append(at)
            at += len(line) + 1
        widths = [0] * len(lines)
        first = 0
        for end in range(len(lines) + 1):
            if end == len(lines) or not lines[end].strip():
                longest = max((len(line.rstrip()) for line in lines[first:end]), default=0)
                widths[first:end] = [longest] * (end - first)
                first = end + 1
        return cls(tuple(starts), tuple(lines), tuple(widths))

    def goes_on(self, at: int) -> bool:
        """The statement of the line that ends at character `at` goes on in the next line."""
        number = bisect_right(self.starts, at) - 1
        if number + 1 >= len(self.lines):
            return False
        return goes_on(self.lines[number].strip(), self.lines[number + 1].strip(), self.widths[number])


def goes_on(line: str, following: str, width: int) -> bool:
    """The statement of a line goes on in the next; `width` is that of the longest line of its paragraph."""
    if not line or not following:
        return False
    if line[-1] in ":?" and is_answer(following):
        return True
    full = width >= _NARROWEST and len(line) + 1 + len(following.split(maxsplit=1)[0]) > width
    last = line.split()[-1].lower()
    unfinished = last in _OPEN_END or last[-1] in ",/" or (last[-1] == "-" and len(last) > 1)
    if _NEW_ITEM.match(following) and not (unfinished and full):
        return False
    if line[-1] in ".!?:" or line[-2:] in ('."', ".)", "?)", "!)"):
        return bool(_ABBREVIATION.search(line))
    if unfinished or following[0] in ",;:)/%":
        return True
    if line.startswith(("|", "#")) or (_LABEL.match(following) and not full):
        return False
    first = following.split(maxsplit=1)[0]
    if following[0].islower():
        return (
            first.rstrip(",") in _GOES_ON
            or full
            or len(line) >= _LONG
            or (line[0].isupper() and " " in line and not _LABEL.match(line) and not line.isupper())
        )
    if line.isupper() and following.isupper() and width >= _NARROWEST:
        return full
    return full and (following[0] in "([" or bool(_NAME.match(following)))


def is_answer(text: str) -> bool:
    """A text starts with the answer to a question, or with the value of a label."""
    return bool(_ANSWER.match(text))
