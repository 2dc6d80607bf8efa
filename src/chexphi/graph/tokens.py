"""Words with their places: full forms of contractions, sides written by a letter. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chexphi.graph.normalize import normalize

_TOKEN = re.compile(
    r"""<[^<>]{0,40}>                          # a tag: no word
    | (?P<word>[bB]/[lL]\b
    | \d+(?:\.\d+)?(?:(?:st|nd|rd|th)\b)?
    | [xX](?=\s?\d)
    | [^\W\d_][^\W_]*(?:(?:-\s*\n\s*|[-'`\u2019\u02bc\u2032\u00b4])[^\W_]+)*
    | [^\w\s])""",
    re.VERBOSE,
)
_APOSTROPHES = re.compile(r"[`\u2019\u02bc\u2032\u00b4]")
_NOT = re.compile(
    r"(?P<verb>is|are|was|were|do|does|did|has|have|had|could|would|should|might|must|need)(?P<rest>n'?t)"
)
"""`isn't`, also dictated without its apostrophe."""
_IRREGULAR = {
    "can't": ("cannot",),
    "cant": ("cannot",),
    "won't": ("will", "not"),
    "ain't": ("is", "not"),
    "shan't": ("will", "not"),
    "i'm": ("i", "am"),
}
_ENDINGS = {"'re": "are", "'ve": "have", "'ll": "will", "'d": "would"}
_SUBJECTS = frozenset("there that it here what this he she who where".split())
"""Words whose `'s` is `is`; of a noun it is the genitive."""
_SIDES = {"l": "left", "r": "right", "lt": "left", "rt": "right"}
_NO_SIDE = re.compile(r"[.']|/o\b|[-\s]*(?:\d|spine|vertebra)", re.IGNORECASE)
"""After a letter that names no side: `R/o`, `L 1`, `R. Smith`."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a single mark."""

    text: str
    """Normalised."""
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Words in lower case, numbers and single marks; `right-sided`, `1.5` and `T12` are one token.

    `isn't` is `is` and `not`, with any apostrophe; `L effusion` is `left`, `B/L` is `bilateral`.
    """
    return [token for found in _TOKEN.finditer(text) if found["word"] for token in _tokens(text, found)]


def _tokens(text: str, found: re.Match[str]) -> Iterator[Token]:
    written = found["word"]
    start, end = found.span()
    if len(written) == 1 and not written.isalpha():
        yield Token(normalize(written), start, end)
        return
    word = normalize(_APOSTROPHES.sub("'", written))
    if "\n" in written:  # `right-` at a line's end
        word = re.sub(r"-\s+", "-", word)
    if parts := _full(word):
        middle = end if len(parts) == 1 else start + _length(word, parts[0])
        yield Token(parts[0], start, middle)
        yield from (Token(part, middle, end) for part in parts[1:])
    else:
        yield Token(_side(text, written, word, end) or word, start, end)


def _full(word: str) -> tuple[str, ...]:
    """The words that a contraction stands for; none if it is no contraction."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if found := _NOT.fullmatch(word):
        return found["verb"], "not"
    stem, mark, rest = word.rpartition("'")
    if mark and mark + rest in _ENDINGS:
        return stem, _ENDINGS[mark + rest]
    return (stem, "is") if rest == "s" and stem in _SUBJECTS else ()


def _length(word: str, first: str) -> int:
    """Characters of a contraction that its first word takes; at least one is left for the second."""
    return min(len(first), len(word) - 1)


def _side(text: str, written: str, word: str, end: int) -> str:
    """The side that a letter stands for: `L`, `Rt`, `L-sided`; empty where it is none."""
    if word == "b/l":
        return "bilateral"
    if written[:2] in ("L-", "R-"):
        return f"{_SIDES[word[0]]}{word[1:]}" if not word[2:].startswith(("spine", "1")) else ""
    if word not in _SIDES or (len(written) == 1 and not written.isupper()):
        return ""
    return "" if len(written) == 1 and _NO_SIDE.match(text, end) else _SIDES[word]
