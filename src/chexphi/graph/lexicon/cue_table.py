"""The cues of `terms/context.txt`, and where they stand in a sentence. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from chexphi.graph.cues import words as _words
from chexphi.graph.lexicon.spans import lines
from chexphi.graph.lexicon.trie import Trie

PASSED_OVER = _words(
    """clearly definitely definitively readily reliably confidently entirely fully completely currently now
    totally since also really actually even truly certainly safely reasonably thus therefore otherwise
    essentially ever apparently obviously strongly heavily quite very
    conspicuously notably remarkably"""
)
"""Adverbs that may stand inside a cue."""


@dataclass(frozen=True, slots=True)
class Cue:
    says: str
    """`absent`, `uncertain`, `unclaimed`, `stated` or `plain`."""
    where: str
    """Which words it is about; see the head of `terms/context.txt`."""
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A cue at its place in a sentence."""

    cue: Cue
    at: int
    """Its first word."""
    after: int
    """One past its last word."""


def cues_of(tokens: Sequence[str], holds: Callable[[Found], bool]) -> Iterator[Found]:
    """The cues of a sentence, longest first, none inside another; of one wording all that it may be.

    Args:
        tokens: The words of the sentence.
        holds: Whether words are the value of a label (`effusion: no`). They are no other cue then.
    """
    at = 0
    places: Sequence[int] = range(len(tokens))
    words = tokens
    if not PASSED_OVER.isdisjoint(tokens):
        places = [index for index, word in enumerate(tokens) if word not in PASSED_OVER]
        words = [tokens[index] for index in places]
    values, others = _tables()
    while at < len(words):
        cues, end = values.longest(words, at)
        found = _at(cues[:1], places, at, end) if cues else []
        if not found or not holds(found[0]):
            cues, end = others.longest(words, at)
            found = _at(cues, places, at, end) if cues else []
        yield from found
        at = max(end, at + 1)


def _at(cues: Sequence[Cue], places: Sequence[int], at: int, end: int) -> list[Found]:
    return [Found(cue, places[at], places[end - 1] + 1) for cue in cues]


@cache
def _tables() -> tuple[Trie[list[Cue]], Trie[list[Cue]]]:
    """The cues of each wording, values and others: `no` has one of each."""
    classes: dict[str, list[str]] = {}
    values: dict[tuple[str, ...], list[Cue]] = {}
    others: dict[tuple[str, ...], list[Cue]] = {}
    for line in lines("context"):
        name, equals, members = line.partition(" = ")
        if equals:
            classes[name] = members.split()
            continue
        says, where, *words = line.split()
        table = values if where == "value" else others
        for form in dict.fromkeys(_forms(words, classes)):
            table.setdefault(form, []).append(Cue(says, where, form))
    return Trie(values.items()), Trie(others.items())


def _forms(words: Sequence[str], classes: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Every wording of a cue."""
    choices: list[list[str]] = []
    for word in words:
        name = word.strip("()") or word
        choices.append(classes.get(name, [name]) + ([""] if word.startswith("(") and len(word) > 2 else []))
    for form in product(*choices):
        yield tuple(word for word in form if word)
