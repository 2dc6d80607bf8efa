"""Statements that a reasoning makes again and again. Standard library only."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chexphi.graph.normalize import normalize
from chexphi.graph.text import sentences

_TAG = re.compile(r"<[^<>]{0,40}>")
_NUMBER = re.compile(r"[^\w(]*+\(?(?:\d{1,2}|[a-h])[.):\]]+\s")
"""The number of a list item."""
_WORD = re.compile(r"[^\W_]+")
_JOINTS = frozenset({"and", "also", "again", "then"})
"""Words that only join a statement to the one before."""


def repeated(text: str, reference: str) -> float:
    """Of the statement that is repeated the most: the share of its mentions that only say it again.

    It may be made as often as the reference makes it, and once at least. Case, marks, quotes, list numbers
    and what joins or parts the statements count for nothing; no other statement makes the share smaller.

    >>> repeated("No edema. **No edema**; clear lungs.", "No edema.")
    0.5
    """
    said, known = _statements(text), _statements(reference)
    shares = ((count - max(1, known[statement])) / count for statement, count in said.items())
    return max((0.0, *shares))


@functools.lru_cache(maxsize=1024)  # a reference is compared with a whole group
def _statements(text: str) -> Counter[str]:
    """How often each statement is made, by its words alone."""
    parts = (part for start, end in sentences(text) for part in text[start:end].split(";"))
    words = ([word for word in _WORD.findall(_unnumbered(part)) if word not in _JOINTS] for part in parts)
    return Counter(" ".join(copy) for part in words if part for copy in _copies(part))


def _unnumbered(part: str) -> str:
    """A statement in its normal form, without tags and without its number in a list."""
    part = normalize(_TAG.sub(" ", part))
    number = _NUMBER.match(part)
    return part[number.end() :] if number else part


def _copies(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """The parts of a sentence: two words or more that come again at once (`A, A and A`) are one each time."""
    pairs = list(pairwise(words))
    if len(set(pairs)) == len(pairs):
        yield words
        return
    following: dict[tuple[str, str], int] = {}
    periods = [0] * len(words)
    """Words from a pair to where it stands next; 0: nowhere."""
    for at in range(len(pairs) - 1, -1, -1):
        periods[at] = following.get(pairs[at], at) - at
        following[pairs[at]] = at
    start = at = 0
    while at < len(words):
        period = periods[at]
        if period < 2 or words[at : at + period] != words[at + period : at + 2 * period]:
            at += 1
            continue
        if start < at:
            yield words[start:at]
        copy = words[at : at + period]
        while words[at : at + period] == copy:
            yield copy
            at += period
        start = at
    if start < len(words):
        yield words[start:]
