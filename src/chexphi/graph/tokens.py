"""Cuts a text into words with their positions. Standard library only.

Contractions and letters that stand for a side are written out: `isn't` becomes `is not`, `L` becomes `left`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from chexphi.graph.normalize import normalize
from chexphi.graph.words import words

_TOKEN = re.compile(
    r"""<[^<>]{0,40}>                          # a tag is not a word
    | (?P<word>[bB]/[lL]\b
    | \d+(?:\.\d+)?(?:(?:st|nd|rd|th)\b)?
    | [xX](?=\s?\d)
    | [^\W\d_][^\W_]*(?:(?:-[^\S\n]*+\n\s*+|[-'`\u2019\u02bc\u2032\u00b4])[^\W_]+)*
    | [^\w\s])""",
    re.VERBOSE,
)
_APOSTROPHES = re.compile(r"[`\u2019\u02bc\u2032\u00b4]")
_NEGATED_VERB = re.compile(
    r"(?P<verb>is|are|was|were|do|does|did|has|have|had|could|would|should|might|must|need)n'?t"
)
"""`isn't`, also dictated without its apostrophe."""
_IRREGULAR_CONTRACTIONS = {
    "can't": ("cannot", ""),
    "cant": ("cannot", ""),
    "won't": ("will", "not"),
    "ain't": ("is", "not"),
    "shan't": ("will", "not"),
    "i'm": ("i", "am"),
    "let's": ("let", "us"),
}
_VERB_OF_ENDING = {"'re": "are", "'ve": "have", "'ll": "will", "'d": "would"}
_SUBJECTS_OF_IS = words("there that it here what this he she who where")
"""After these words `'s` means `is`. After a noun it may be a genitive or a verb, and stays."""
_SIDE_OF_LETTER = {"l": "left", "r": "right", "lt": "left", "rt": "right"}
_AFTER_NO_SIDE = re.compile(r"'|/o\b|[-\s]*(?:\d|spine|vertebra)", re.IGNORECASE)
"""What follows a letter that does not name a side: `R/o`, `L 1`."""
_INITIAL = re.compile(r"(?<![<>=] )(?<![<>=])[LR]\.\s?[A-Z]")
"""The initial in `R. Smith`, but not the end of `L > R. Mild edema`."""


class Token(NamedTuple):
    """A word, a number or a single mark."""

    text: str
    """Normalised."""
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Words in lower case, numbers and single marks; `right-sided`, `1.5` and `T12` are one token each.

    `isn't` gives `is` and `not`, with any kind of apostrophe. The `L` of `L effusion` gives `left`, and `B/L`
    gives `bilateral`.
    """
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        spelling = match[1]
        if spelling is None:
            continue
        start, end = match.span()
        word, second_word = _split_contraction(spelling)
        if len(spelling) == 1 and spelling in "LR":
            no_side = _AFTER_NO_SIDE.match(text, end) or _INITIAL.match(text, start)
            word = word if no_side else _SIDE_OF_LETTER[word]
        word_end = start + min(len(word), len(spelling) - 1) if second_word else end
        tokens.append(Token(word, start, word_end))
        if second_word:
            tokens.append(Token(second_word, word_end, end))
    return tokens


@lru_cache(maxsize=1 << 16)
def _split_contraction(spelling: str) -> tuple[str, str]:
    """The normal form of a word, and the second word of a contraction (else empty)."""
    word = normalize(_APOSTROPHES.sub("'", spelling))
    if "\n" in spelling:  # the word was split at the end of a line, after `right-`
        word = re.sub(r"-\s+", "-", word)
    if word in _IRREGULAR_CONTRACTIONS:
        return _IRREGULAR_CONTRACTIONS[word]
    if negated := _NEGATED_VERB.fullmatch(word):
        return negated["verb"], "not"
    stem, apostrophe, ending = word.rpartition("'")
    if apostrophe and apostrophe + ending in _VERB_OF_ENDING:
        return stem, _VERB_OF_ENDING[apostrophe + ending]
    if ending == "s" and apostrophe:
        return stem, "is" if stem in _SUBJECTS_OF_IS else "'s"
    return _side_in_full(spelling, word), ""


def _side_in_full(spelling: str, word: str) -> str:
    """The word with its side written out: `B/L`, `Rt`, `L-sided`."""
    if word == "b/l":
        return "bilateral"
    if spelling[:2] in ("L-", "R-") and not word[2:].startswith(("spine", "1")):
        return f"{_SIDE_OF_LETTER[word[0]]}{word[1:]}"
    return _SIDE_OF_LETTER.get(word, word) if len(word) > 1 else word
