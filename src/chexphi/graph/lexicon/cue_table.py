"""The cues of `terms/cues.txt`, and where a sentence has them. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product

from chexphi.graph.lexicon.spans import term_lines
from chexphi.graph.lexicon.trie import Trie
from chexphi.graph.words import words as _words

PASSED_OVER = _words(
    """clearly definitely definitively readily reliably confidently entirely fully completely currently now
    totally since also really actually even truly certainly safely reasonably thus therefore otherwise
    essentially ever apparently obviously strongly heavily quite very
    conspicuously notably remarkably"""
)
"""Adverbs that may occur inside a cue."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that say something about the findings near them."""

    status: str
    """`absent`, `uncertain`, `unlikely`, `unclaimed`, `stated` or `plain`."""
    scope: str
    """Which words the cue is about; the head of `terms/cues.txt` lists the scopes."""
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CueMatch:
    """A cue in a sentence."""

    cue: Cue
    start: int
    """First word of the cue."""
    end: int
    """One past its last word."""


def find_cues(tokens: Sequence[str], is_value: Callable[[CueMatch], bool]) -> Iterator[CueMatch]:
    """The cues of a sentence: at each word the longest, and none inside another.

    The same words may be several cues, and all of them are returned.

    Args:
        tokens: The words of the sentence.
        is_value: Whether a match is the value of a label (`effusion: no`), and so not another cue.
    """
    positions: Sequence[int] = range(len(tokens))
    words = tokens
    if not PASSED_OVER.isdisjoint(tokens):
        positions = [index for index, word in enumerate(tokens) if word not in PASSED_OVER]
        words = [tokens[index] for index in positions]
    tables = _cue_tables()
    cue_end = 0
    for at, (word, next_word) in enumerate(pairwise((*words, ""))):
        following = tables.following.get(word)
        if following is None or at < cue_end or (next_word not in following and "" not in following):
            continue
        candidates, cue_end = tables.value_cues.longest(words, at)
        matches = _matches_of(candidates[:1], positions, at, cue_end) if candidates else []
        if not matches or not is_value(matches[0]):
            candidates, cue_end = tables.other_cues.longest(words, at)
            matches = _matches_of(candidates, positions, at, cue_end) if candidates else []
        yield from matches


def _matches_of(cues: Sequence[Cue], positions: Sequence[int], start: int, end: int) -> list[CueMatch]:
    return [CueMatch(cue, positions[start], positions[end - 1] + 1) for cue in cues]


def is_in_a_cue(word: str) -> bool:
    """Whether a word is one of the words of a cue."""
    return word in _cue_tables().words


@dataclass(frozen=True, slots=True)
class _CueTables:
    """The cues by their words. Values of labels are apart from other cues, because `no` is both."""

    value_cues: Trie[list[Cue]]
    other_cues: Trie[list[Cue]]
    following: Mapping[str, Set[str]]
    """What may follow the first word of a cue; an empty word if that is a cue by itself."""
    words: Set[str]
    """All words of the cues."""


@cache
def _cue_tables() -> _CueTables:
    classes: dict[str, list[str]] = {}
    value_cues: dict[tuple[str, ...], list[Cue]] = {}
    other_cues: dict[tuple[str, ...], list[Cue]] = {}
    for line in term_lines("cues"):
        name, equals, members = line.partition(" = ")
        if equals:
            classes[name] = members.split()
            continue
        status, scope, *words = line.split()
        table = value_cues if scope == "value" else other_cues
        for form in dict.fromkeys(_wordings(words, classes)):
            table.setdefault(form, []).append(Cue(status, scope, form))
    following: dict[str, set[str]] = {}
    for first_word, *more_words in (*value_cues, *other_cues):
        following.setdefault(first_word, set()).add(more_words[0] if more_words else "")
    cue_words = {word for form in (*value_cues, *other_cues) for word in form}
    return _CueTables(Trie(value_cues.items()), Trie(other_cues.items()), following, cue_words)


def _wordings(words: Sequence[str], classes: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Every form of a cue's words: classes are replaced by their members, optional words may be missing."""
    choices: list[list[str]] = []
    for word in words:
        name = word.strip("()") or word
        choices.append(classes.get(name, [name]) + ([""] if word.startswith("(") and len(word) > 2 else []))
    for form in product(*choices):
        yield tuple(word for word in form if word)
