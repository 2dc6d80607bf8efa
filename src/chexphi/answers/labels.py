"""Answers as sets of labels, which the matches `exact`, `f1` and `any` compare.

Case, Unicode forms, articles and punctuation carry no meaning here. Signs do: `<3 cm` is not `>3 cm`, `-5` is
not `5`, `T2 +` is not `T2 -`, `5%` is not `5`, `yes?` is not `yes`. An option letter is never an article.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

OPTION_LETTERS = "a-h"
"""The letters of a multiple-choice question's options, as a character class of a regular expression."""

_RUN = re.compile(r"([\W_])\1{7,}")
"""A mark that a policy repeats endlessly is read once, because the patterns below would take long."""
_MARKS = re.compile(r"([\W_]{40})[\W_]+")
"""Of many different marks in a row, only the first 40 are read: the patterns below would take long."""
_BEFORE_NFKC = (
    (re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])"), " "),  # NFKC would make 11/2 of 1½
    (re.compile(r"(?<=\d)(?=[⁰¹²³⁴-⁹])"), "^"),  # and 102 of 10²
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_MARK_FORMS = str.maketrans(
    {chr(ord("①") + number): f"({number + 1})" for number in range(20)}
    | dict.fromkeys(_DASHES, "-")  # the minus among them
    | {"\u2044": "/", "\u2215": "/", "\u00d7": "x", "\u223c": "~", "≈": "~", "Ø": "∅"}
    | {"≧": "≥", "≦": "≤", "⩾": "≥", "⩽": "≤", "⇑": "↑", "⇓": "↓", "✔": "✓", "☑": "✓", "✘": "✗", "☒": "✗"}
)
_SIGN_FORMS = (
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
"""Number of characters before and after a slash that are examined."""
_LISTED_LETTERS = re.compile(rf"[{OPTION_LETTERS}]{{2}}|lr|rl")
_PER = frozenset(("dl", "ml", "kg", "min", "sec", "hr", "hour", "day"))
"""Units below a fraction line: `mg/dl` is not a list."""
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
"""Dropping a mark can leave another mark without its number. Texts that people write need one pass."""
_OPTION = re.compile(rf"(?:options?|choice|answer) ([{OPTION_LETTERS}])")


def fold(text: str) -> str:
    """The text with one form of every letter, digit, dash, sign and number.

    >>> fold("10,000 cm² ≦ .5")
    '10000 cm2 ≤ 0.5'
    """
    text = _fewer_marks(text)
    for pattern, replacement in _BEFORE_NFKC:
        text = pattern.sub(replacement, text)
    text = unicodedata.normalize("NFKC", text.translate(_MARK_FORMS))
    text = unicodedata.normalize("NFKC", text.casefold()).translate(_MARK_FORMS)
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    for pattern, replacement in _SIGN_FORMS:
        text = pattern.sub(replacement, text)
    return _fewer_marks(text)


def _fewer_marks(text: str) -> str:
    return _MARKS.sub(r"\1", _RUN.sub(r"\1", text))


def _mark_or_space(mark: re.Match[str]) -> str:
    sign = mark["kept"]
    if sign is None:
        return " "
    # white space and brackets around the sign are dropped
    sign = next((sign_mark for sign_mark in "?-" if sign_mark in sign), sign.strip(" ()"))
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
        if (with_fewer_marks := _without_marks(text)) == text:
            break
        text = with_fewer_marks
    option = _OPTION.fullmatch(text)
    return option[1] if option else text


def _without_marks(text: str) -> str:
    text = _OPTION_A.sub("a) ", text.strip())
    text = " ".join(_MARK.sub(_mark_or_space, text).split())
    while (shorter := _ARTICLE.sub(lambda article: f"{article['before'] or ''} ".lstrip(), text)) != text:
        text = shorter
    return text


def _slash(slash: re.Match[str]) -> str:
    """A comma where a slash separates two labels, else the slash: `2/3`, `120/80`, `n/a`, `a/p`, `mg/dl`."""
    text, start, end = slash.string, slash.start(), slash.end()
    word_before = re.split(r"\W+", text[max(0, start - _WORD_LENGTH) : start])[-1]
    word_after = re.split(r"\W+", text[end : end + _WORD_LENGTH])[0]
    if word_before[-1].isdigit() and word_after[0].isdigit():
        return "/"
    if any(len(word) == 1 and word.isalpha() for word in (word_before, word_after)):
        return "," if _LISTED_LETTERS.fullmatch(word_before + word_after) else "/"
    return "/" if word_after in _PER else ","


def items(text: str) -> list[str]:
    """The folded items of a list in one text, where marks, `and`, bullets and numbers separate them.

    >>> items("left、right"), items("1) left 2) right"), items("120/80")
    (['left', 'right'], ['left', 'right'], ['120/80'])
    """
    text = fold(text)
    markers = list(_NUMBERING.finditer(text))
    numbers = [int(marker[1] or marker[2]) for marker in markers]
    is_numbered = len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1))
    if is_numbered and not text[: markers[0].start()].rpartition("\n")[2].strip():  # from the start of a line
        text = _NUMBERING.sub("\n", text)
    lines = text.split("\n")
    if len(lines) > 1 and all(line.lstrip().startswith("- ") for line in lines):
        text = "\n".join(line.lstrip()[1:] for line in lines)  # bullets, also before a number
    item_texts = _SEPARATOR.split(_SLASH.sub(_slash, _BULLET.sub("", text)))
    return [item.strip() for item in item_texts if item.strip()]


def labels(answer: str | Iterable[str]) -> frozenset[str]:
    """The set of normalised labels in a list, or in one text that is split as `items` says."""
    texts = [answer] if isinstance(answer, str) else answer
    return frozenset(label for text in texts for label in _labels(text))


@functools.lru_cache(maxsize=4096)  # a reference is compared with many completions
def _labels(text: str) -> frozenset[str]:
    return frozenset(label for item in items(text) if (label := normalize(item)))
