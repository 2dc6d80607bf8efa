"""Answers as sets of labels, which `exact`, `f1` and `any` compare.

Case, Unicode forms, articles and punctuation carry no meaning here. Signs do: `<3 cm` is not `>3 cm`, `-5` is
not `5`, `T2 +` is not `T2 -`, `5%` is not `5`, `yes?` is not `yes`. An option letter is never an article.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

OPTION_LETTERS = "a-h"
"""The letters of a multiple-choice question's options, as a class of a regular expression."""

_RUN = re.compile(r"([\W_])\1{7,}")
"""A mark that a policy repeats without end is read once: the patterns below would take long over it."""
_MARKS = re.compile(r"([\W_]{40})[\W_]+")
"""Of different marks in a row the first 40 are read, for the same reason."""
_BEFORE_NFKC = (
    (re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])"), " "),  # NFKC would make 11/2 of 1½
    (re.compile(r"(?<=\d)(?=[⁰¹²³⁴-⁹])"), "^"),  # and 102 of 10²
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_SAME_MARK = str.maketrans(
    {chr(ord("①") + place): f"({place + 1})" for place in range(20)}
    | dict.fromkeys(_DASHES, "-")  # the minus among them
    | {"\u2044": "/", "\u2215": "/", "\u00d7": "x", "\u223c": "~", "≈": "~", "Ø": "∅"}
    | {"≧": "≥", "≦": "≤", "⩾": "≥", "⩽": "≤", "⇑": "↑", "⇓": "↓", "✔": "✓", "☑": "✓", "✘": "✗", "☒": "✗"}
)
_WRITTEN = (
    (re.compile(r"\+\s?/\s?-|\+-"), "±"),
    (re.compile(r"(?:>=|=>)(?=\s*[\d.])"), "≥"),
    (re.compile(r"<="), "≤"),
    (re.compile(r"[-=]+>"), " "),  # an arrow
    (re.compile(r"\band\s*/\s*or\b"), "or"),
    (re.compile(r"(?<=\w)-(?=\s+(?:and|or)\s+\w+-\w)"), ""),  # "left- and right-sided"
    (re.compile(r"(?<=\d)\s-\s(?=\d)"), "-"),  # 3 - 5
    (re.compile(r"(?<=\d)·(?=\d)|(?<=\b0),(?=\d)"), "."),  # 1·5; 0,5
    (re.compile(r"(?<![\d.,])(\d+),(\d+)(?=\s*(?:x\b|[cm]m\b|m[lg]\b|%))"), r"\1.\2"),  # 1,5 cm
    (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),  # .5
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")

_NUMBERING = re.compile(r"\((\d{1,2})\)|(?:^|(?<=[\s,;]))(\d{1,2})[.):](?=\s|[^\W\d])", re.MULTILINE)
_BULLET = re.compile(r"^\s*(?:[*•‣▪●◦·]\s*|-\s+(?=[^\d\s]))", re.MULTILINE)
_SLASH = re.compile(r"(?<=\w)\s*/\s*(?=\w)")
_WORD_LENGTH = 20
"""Characters beside a slash that are looked at."""
_LISTED_LETTERS = re.compile(rf"[{OPTION_LETTERS}]{{2}}|lr|rl")
_PER = frozenset(("dl", "ml", "kg", "min", "sec", "hr", "hour", "day"))
"""Units that stand below a fraction: `mg/dl` is no list."""
_SEPARATOR = re.compile(r"[,;&|\n\t•‣▪●◦·・、،؛]|(?<=\w)\s\+\s+(?=[^\W\d])|(?<=\w)\+(?=[^\W\d])|\band\b")

_OPTION_A = re.compile(r"^[\W_]*a\s*[^\w\s/]+\s*(?=\w\w|\d)")
_MARK = re.compile(
    r"""(?P<kept>
        (?<=^a)\)(?=\s\w)                               # an option with its text
      | (?<=\d)[^\w\s](?=\d)                            # 1.5, 3-5, 120/80
      | \s*±\s*(?=\d) | [<>≤≥~≠]\s*(?=[-+~]?\d)         # <3 cm
      | (?<=\w)\s*[<>≤≥≠]\s*(?=\w)                      # L > R
      | (?<![\w)])(?<!\d\s)-(?=\d) | ^-\s+(?=\d)        # -5
      | (?<=\w)-(?=\s) | (?<=\w)\s?\(?-\W*$ | ^\W*-\W*$  # T2-, T2 (-), -
      | \s*\(?\++\)?\s*$ | \+
      | (?<=\d)\s*[%°] | [↑↓∅✓✗]
      | (?<=\w)/(?=\w)
      | (?<=[\w%+])[^\w%+]*\?\W*$ | ^\W*\?\W*(?=\w)     # effusion?, ?effusion
    ) | [^\w\s]""",
    re.VERBOSE,
)
_ARTICLE = re.compile(
    r"(?:(?<!\S)(?:the|an)|^a|(?<!\S)(?P<before>of|in|on|at|is|are|as|by|for|with|from|into|has|have|shows|like|than)\sa)"
    r"\s(?=\w\w|[<>≤≥±~+-]?\d|(?<=the\s)\S|(?<=an\s)\S)"
)
_PASSES = 8
"""A mark that is dropped may leave another one without its number; texts that people write need one pass."""
_OPTION = re.compile(rf"(?:options?|choice|answer) ([{OPTION_LETTERS}])")


def fold(text: str) -> str:
    """The text with one form of every letter, digit, dash, sign and number.

    >>> fold("10,000 cm² ≦ .5")
    '10000 cm2 ≤ 0.5'
    """
    text = _fewer_marks(text)
    for pattern, written in _BEFORE_NFKC:
        text = pattern.sub(written, text)
    text = unicodedata.normalize("NFKC", text.translate(_SAME_MARK))
    text = unicodedata.normalize("NFKC", text.casefold()).translate(_SAME_MARK)
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    for pattern, written in _WRITTEN:
        text = pattern.sub(written, text)
    return _fewer_marks(text)


def _fewer_marks(text: str) -> str:
    return _MARKS.sub(r"\1", _RUN.sub(r"\1", text))


def _kept(mark: re.Match[str]) -> str:
    sign = mark["kept"]
    if sign is None:
        return " "
    sign = next((one for one in "?-" if one in sign), sign.strip(" ()"))  # what stands around it is dropped
    sign = sign or mark["kept"]
    return f" {sign} " if sign in "<>≤≥≠" and mark.string[mark.end() : mark.end() + 1].isalpha() else sign


@functools.lru_cache(maxsize=4096)
def normalize(label: str) -> str:
    """Fold case, Unicode forms, punctuation, articles and white space; signs and numbers stay.

    >>> normalize("The  left lung.")
    'left lung'
    >>> normalize("(A)"), normalize("> 3 cm")
    ('a', '>3 cm')
    """
    text = fold(label)
    for _ in range(_PASSES):
        if (again := _without_marks(text)) == text:
            break
        text = again
    option = _OPTION.fullmatch(text)
    return option[1] if option else text


def _without_marks(text: str) -> str:
    text = _OPTION_A.sub("a) ", text.strip())
    text = " ".join(_MARK.sub(_kept, text).split())
    while (shorter := _ARTICLE.sub(lambda article: f"{article['before'] or ''} ".lstrip(), text)) != text:
        text = shorter
    return text


def _slash(slash: re.Match[str]) -> str:
    """A comma where a slash separates two labels, else the slash: `2/3`, `120/80`, `n/a`, `a/p`, `mg/dl`."""
    text, start, end = slash.string, slash.start(), slash.end()
    left = re.split(r"\W+", text[max(0, start - _WORD_LENGTH) : start])[-1]
    right = re.split(r"\W+", text[end : end + _WORD_LENGTH])[0]
    if left[-1].isdigit() and right[0].isdigit():
        return "/"
    if any(len(word) == 1 and word.isalpha() for word in (left, right)):
        return "," if _LISTED_LETTERS.fullmatch(left + right) else "/"
    return "/" if right in _PER else ","


def items(text: str) -> list[str]:
    """The folded parts of a list that is written as one text: marks, `and`, bullets and numbers part them.

    >>> items("left、right"), items("1) left 2) right"), items("120/80")
    (['left', 'right'], ['left', 'right'], ['120/80'])
    """
    text = fold(text)
    markers = list(_NUMBERING.finditer(text))
    numbers = [int(marker[1] or marker[2]) for marker in markers]
    counted = len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1))
    if counted and not text[: markers[0].start()].rpartition("\n")[2].strip():  # from the start of a line
        text = _NUMBERING.sub("\n", text)
    lines = text.split("\n")
    if len(lines) > 1 and all(line.lstrip().startswith("- ") for line in lines):
        text = "\n".join(line.lstrip()[1:] for line in lines)  # bullets, also before a number
    parts = _SEPARATOR.split(_SLASH.sub(_slash, _BULLET.sub("", text)))
    return [part.strip() for part in parts if part.strip()]


def labels(answer: str | Iterable[str]) -> frozenset[str]:
    """The set of normalised labels in a list, or in one text that is split as `items` says."""
    parts = [answer] if isinstance(answer, str) else answer
    return frozenset(label for part in parts for label in _labels(part))


@functools.lru_cache(maxsize=4096)  # references come again with every completion
def _labels(text: str) -> frozenset[str]:
    return frozenset(label for item in items(text) if (label := normalize(item)))
