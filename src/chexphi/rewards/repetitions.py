"""Statements that a reasoning repeats. Standard library only."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chexphi.graph.normalize import normalize
from chexphi.graph.text import sentence_spans

_TAG = re.compile(r"<[^<>]{0,40}>")
_NUMBER = re.compile(r"[^\w(]*+\(?(?:\d{1,2}|[a-h])[.):\]]+\s")
"""The number of a list item."""
_WORD = re.compile(r"[^\W_]+")
_JOINTS = frozenset({"and", "also", "again", "then"})
"""Words that only join a statement to the one before it."""


def repeated(text: str, reference: str) -> float:
    """The share of mentions that only repeat a statement, for the statement that is repeated the most.

    A statement may be made as often as the reference makes it, and once at least. Case, punctuation, quotes,
    list numbers and joining words make no difference, and other statements do not make the share smaller.

    >>> repeated("No edema. **No edema**; clear lungs.", "No edema.")
    0.5
    """
    counts, reference_counts = _statements(text), _statements(reference)
    shares = (
        (mentions - max(1, reference_counts[statement])) / mentions for statement, mentions in counts.items()
    )
    return max((0.0, *shares))


@functools.lru_cache(maxsize=1024)  # a reference is compared with a whole group
def _statements(text: str) -> Counter[str]:
    """How often each statement is made, by its words alone."""
    clauses = (clause for start, end in sentence_spans(text) for clause in text[start:end].split(";"))
    words_of_clauses = (
        [word for word in _WORD.findall(_without_list_number(clause)) if word not in _JOINTS]
        for clause in clauses
    )
    return Counter(" ".join(copy) for words in words_of_clauses if words for copy in _copies(words))


def _without_list_number(statement: str) -> str:
    """A statement in its normal form, without tags and without the number of a list item."""
    statement = normalize(_TAG.sub(" ", statement))
    number = _NUMBER.match(statement)
    return statement[number.end() :] if number else statement


def _copies(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """The statements of a sentence: words that are repeated at once (`A, A and A`) are one each time."""
    pairs = list(pairwise(words))
    if len(set(pairs)) == len(pairs):
        yield words
        return
    following: dict[tuple[str, str], int] = {}
    periods = [0] * len(words)
    """How many words after a pair the same pair comes again; 0: never."""
    for position in range(len(pairs) - 1, -1, -1):
        periods[position] = following.get(pairs[position], position) - position
        following[pairs[position]] = position
    start = position = 0
    while position < len(words):
        period = periods[position]
        if (
            period < 2
            or words[position : position + period] != words[position + period : position + 2 * period]
        ):
            position += 1
            continue
        if start < position:
            yield words[start:position]
        copy = words[position : position + period]
        while words[position : position + period] == copy:
            yield copy
            position += period
        start = position
    if start < len(words):
        yield words[start:]
