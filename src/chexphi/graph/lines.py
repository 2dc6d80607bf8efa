"""Tells lines that were wrapped from lines that end. Standard library only.

Dictation systems and terminals wrap a paragraph greedily: a line ends because the next word had no room.
A heading, a bullet, a row of a table or an entry of a list ends because it is complete.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from chexphi.graph.words import words

_NEW_ITEM = re.compile(
    r"[-*\u2022\u2023\u25aa\u25cf\u00b7\u2013\u2014>]\s|\(?\d{1,2}[.)]\s?(?=[^\W\d])|\(?[a-hA-H]\)\s?"
    r"|[|#<*_=~]|-{2,}|\[[ xX]?\]"
)
"""What starts a new item: a bullet, the number of a list item, a table row, a heading, a tag, a box."""
_LABEL = re.compile(r"[A-Z][A-Za-z /&()'-]{1,40}:(?:\s|$)")
"""`Findings:` or `Pleural effusion: none` at the start of a line."""
_NOT_LAST_WORDS = words(
    """a an and any are as at be by for from has have in into is its may near no nor not of on or over some
    than that the their there this to vs versus was were which with without"""
)
"""A statement does not end with one of these words."""
_NOT_FIRST_WORDS = words(
    """and as at but for from in into is are nor of on or over than that to was were which while with within
    without along has have had"""
)
"""A statement in lower case does not start with one of these words."""
_NAME_OR_NUMBER = re.compile(r"(?:[A-Z0-9][A-Z0-9/-]+s?|I|[A-Z][a-z]+-[A-Z]\w+|[A-Z]\d+|\d\S*)(?![\w-])")
"""A word with a capital, or a number, inside a statement: `PICC`, `T12`, `Swan-Ganz`, `5`, `I`."""
_FINDING_ALONE = re.compile(r"[A-Z][A-Za-z]*(?: [A-Za-z]+){0,3}")
"""A finding that fills its line: `Pleural effusion`. Its value may be in the next line."""
_VALUE_ALONE = re.compile(r"(?:no|none|nil|absent|negative)(?: seen| identified)?\.?", re.IGNORECASE)
_VALUE_MARKS = frozenset(":?|\t")
_MIN_WRAP_WIDTH = 40
"""A paragraph was not wrapped if its longest line has fewer characters."""
_LONG_LINE = 55
"""A line of at least so many characters goes on if the next line starts in lower case."""
ABBREVIATIONS = words("dr mr mrs ms prof st vs approx fig cf e.g i.e ca resp incl")
"""A full stop after one of these does not end a sentence."""
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
    continues: tuple[bool, ...]
    """Whether the statement of each line goes on in the next line."""

    @classmethod
    def of(cls, text: str) -> Layout:
        lines = [line.rstrip() for line in text.split("\n")]
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        widths, continues = _widths(lines), [False]
        for line, following, width in zip(lines, lines[1:], widths, strict=False):
            continues.append(goes_on(line, following, width, continued=continues[-1]))
        return cls(tuple(starts), tuple(continues[1:]))

    def goes_on(self, at: int) -> bool:
        """Whether the statement of the line that ends at character `at` goes on in the next line."""
        number = bisect_right(self.starts, at) - 1
        return number < len(self.continues) and self.continues[number]


def _widths(lines: Sequence[str]) -> list[int]:
    """For each line, the characters of the longest line of its paragraph."""
    widths, paragraph_start = [0] * len(lines), 0
    for line_end in range(len(lines) + 1):
        if line_end == len(lines) or not lines[line_end]:
            longest = max((len(line) for line in lines[paragraph_start:line_end]), default=0)
            widths[paragraph_start:line_end] = [longest] * (line_end - paragraph_start)
            paragraph_start = line_end + 1
    return widths


def goes_on(line: str, following: str, width: int, *, continued: bool = False) -> bool:
    """Whether the statement of a line goes on in the next one.

    Args:
        line: The physical line with its indent, without trailing blanks.
        following: The next line.
        width: Characters of the longest line of the paragraph.
        continued: Whether the line itself continues the statement of the line before.
    """
    room_left, following = width - len(line), following.strip()
    line = line.strip()
    if not line or not following or ("\t" in line and "\t" in following):
        return False
    value_of_finding = _FINDING_ALONE.fullmatch(line) and _VALUE_ALONE.fullmatch(following)
    if value_of_finding or (line[-1] in ":?" and is_answer(following)):
        return True
    next_word = following.split(maxsplit=1)[0]
    no_room = width >= _MIN_WRAP_WIDTH and len(next_word) >= room_left
    unfinished = _ends_unfinished(line, following, no_room=no_room)
    if _NEW_ITEM.match(following) and not (unfinished and no_room):
        return False
    if line[-1] in ".!?:" or line[-2:] in ('."', ".)", "?)", "!)"):
        return bool(_ABBREVIATION.search(line))
    if unfinished or following[0] in ",;:)/%":
        return True
    if line.startswith(("|", "#")) or (_LABEL.match(following) and not no_room):
        return False
    if following[0].islower():
        return (
            no_room
            or len(line) >= _LONG_LINE
            or next_word.rstrip(",") in _NOT_FIRST_WORDS
            or _inside_sentence(line, continued=continued)
        )
    if line.isupper() and following.isupper() and width >= _MIN_WRAP_WIDTH:
        return no_room
    return no_room and (following[0] in "([" or bool(_NAME_OR_NUMBER.match(following)))


def _ends_unfinished(line: str, following: str, *, no_room: bool) -> bool:
    """Whether a statement cannot end with the line's last word. A `no` may be a value: `Effusion? No`."""
    last_word = line.split()[-1].lower()
    if last_word == "no":
        return following[0].islower() or (no_room and not _ends_in_value(line))
    return (
        last_word in _NOT_LAST_WORDS or last_word[-1] in ",/" or (last_word[-1] == "-" and len(last_word) > 1)
    )


def _ends_in_value(line: str) -> bool:
    """Whether the `no` at the end of a line follows a mark such as `:` or `?`, with no word between them."""
    marks_end = len(line) - len("no")
    marks_start = marks_end
    while marks_start and not (line[marks_start - 1].isalnum() or line[marks_start - 1] == "_"):
        marks_start -= 1
    return not _VALUE_MARKS.isdisjoint(line[marks_start:marks_end])


def _inside_sentence(line: str, *, continued: bool) -> bool:
    """Whether a line ends inside a sentence: the sentence began with a capital, or in the line before."""
    start = max(line.rfind(mark) for mark in (". ", "? ", "! ", ": "))
    sentence = line[start + 2 :] if start >= 0 else line
    if start < 0 and continued:
        return True
    return sentence[0].isupper() and " " in sentence and not _LABEL.match(sentence) and not sentence.isupper()


def is_answer(text: str) -> bool:
    """Whether a text starts with the answer to a question, or with the value of a label."""
    return bool(_ANSWER.match(text))
