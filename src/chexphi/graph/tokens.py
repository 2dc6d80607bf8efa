"""Words with their places: full forms of contractions, sides written by a letter. Standard library only."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from chexphi.graph.cues import words
from chexphi.graph.normalize import normalize

_TOKEN = re.compile(
    r"""<[^<>]{0,40}>                          # a tag: no word
    | (?P<word>[bB]/[lL]\b
    | \d+(?:\.\d+)?(?:(?:st|nd|rd|th)\b)?
    | [xX](?=\s?\d)
    | [^\W\d_][^\W_]*(?:(?:-[^\S\n]*+\n\s*+|[-'`\u2019\u02bc\u2032\u00b4])[^\W_]+)*
    | [^\w\s])""",
    re.VERBOSE,
)
_APOSTROPHES = re.compile(r"[`\u2019\u02bc\u2032\u00b4]")
_NOT = re.compile(
    r"(?P<verb>is|are|was|were|do|does|did|has|have|had|could|would|should|might|must|need)n'?t"
)
"""`isn't`, also dictated without its apostrophe."""
_IRREGULAR = {
    "can't": ("cannot", ""),
    "cant": ("cannot", ""),
    "won't": ("will", "not"),
    "ain't": ("is", "not"),
    "shan't": ("will", "not"),
    "i'm": ("i", "am"),
    "let's": ("let", "us"),
}
_ENDINGS = {"'re": "are", "'ve": "have", "'ll": "will", "'d": "would"}
_SUBJECTS = words("there that it here what this he she who where")
"""Words whose `'s` is `is`; of a noun it is the genitive or a verb, and stays."""
_SIDES = {"l": "left", "r": "right", "lt": "left", "rt": "right"}
_NO_SIDE = re.compile(r"'|/o\b|[-\s]*(?:\d|spine|vertebra)", re.IGNORECASE)
"""After a letter that names no side: `R/o`, `L 1`."""
_INITIAL = re.compile(r"(?<![<>=] )(?<![<>=])[LR]\.\s?[A-Z]")
"""`R. Smith`, and not the end of `L > R. Mild edema`."""


class Token(NamedTuple):
    """A word, a number or a single mark."""

    text: str
    """Normalised."""
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Words in lower case, numbers and single marks; `right-sided`, `1.5` and `T12` are one token.

    `isn't` is `is` and `not`, with any apostrophe; `L effusion` is `left`, `B/L` is `bilateral`.
    """
    tokens: list[Token] = []
    for found in _TOKEN.finditer(text):
        written = found["word"]
        if written is None:
            continue
        start, end = found.span()
        first, second = _read(written)
        if len(written) == 1 and written in "LR":
            other = _NO_SIDE.match(text, end) or _INITIAL.match(text, start)
            first = first if other else _SIDES[first]
        middle = start + min(len(first), len(written) - 1) if second else end
        tokens.append(Token(first, start, middle))
        if second:
            tokens.append(Token(second, middle, end))
    return tokens


@lru_cache(maxsize=1 << 16)
def _read(written: str) -> tuple[str, str]:
    """A word in its normal form, and the second one of a contraction."""
    word = normalize(_APOSTROPHES.sub("'", written))
    if "\n" in written:  # `right-` at a line's end
        word = re.sub(r"-\s+", "-", word)
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if found := _NOT.fullmatch(word):
        return found["verb"], "not"
    stem, mark, rest = word.rpartition("'")
    if mark and mark + rest in _ENDINGS:
        return stem, _ENDINGS[mark + rest]
    if rest == "s" and mark:
        return stem, "is" if stem in _SUBJECTS else "'s"
    return _side(written, word), ""


def _side(written: str, word: str) -> str:
    """`B/L`, `Rt`, `L-sided` in full."""
    if word == "b/l":
        return "bilateral"
    if written[:2] in ("L-", "R-") and not word[2:].startswith(("spine", "1")):
        return f"{_SIDES[word[0]]}{word[1:]}"
    return _SIDES.get(word, word) if len(word) > 1 else word
