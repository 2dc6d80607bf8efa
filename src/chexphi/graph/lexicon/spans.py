"""Labels the words of a sentence by the terms of the lexicon. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from itertools import groupby

from chexphi.graph.lexicon.trie import Trie

TERM_FILES = {
    "anatomy": "anatomy",
    "concept": "concept",
    "disorder": "disorder_present",
    "devices": "devices_present",
    "procedures": "procedures",
}
"""File in `terms/` -> label."""
FINDINGS = frozenset({"disorder_present", "devices_present", "procedures"})
"""Labels of what lies somewhere: all labels but those of qualifiers and anatomy."""
ANATOMY = frozenset({"anatomy"})
MEASUREMENTS = frozenset({"size"})
CAN_BE_ABSENT = frozenset({"disorder_present", "devices_present"})
"""Labels that have an opposite and can be uncertain."""

_UNITS = frozenset({"mm", "cm", "millimeter", "millimeters", "centimeter", "centimeters"})
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_ORDINAL_JOINTS = frozenset({"and", ",", "to", "through", "-"})
_LONGEST_MEASURE = 8
"""Words of a measurement such as `1.5 x 2 x 3 cm`."""
_FILM_WORDS = frozenset({"film", "films", "study", "studies", "exam", "exams", "examination", "examinations"})
"""Words for an examination that also stand for the film that is being read."""
_LETTERS = {
    "a": "anatomy",
    "c": "concept",
    "d": "disorder_present",
    "p": "procedures",
    "v": "devices_present",
    "s": "size",
    "-": "",
}
_ENDINGS = (
    (
        re.compile(
            r"(?:itis|omas?|omata|osis|oses|iasis|megaly|pathy|ectasi[as]|emia|plegia|thorax|rrhagia)$"
        ),
        "disorder_present",
    ),
    (
        re.compile(r"(?:ectomy|ectomies|plasty|otomy|ostomy|graphy|gram|scopy|centesis|desis|ectomized)$"),
        "procedures",
    ),
    (re.compile(r"(?:like|shaped|sized|sided|appearing|most)$"), "concept"),
)
"""Endings of medical words that tell their label: -itis is always a disorder, -ectomy a procedure."""


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring words of one label."""

    text: str
    label: str
    start: int
    """First word."""
    end: int
    """One past the last word."""

    @property
    def words(self) -> list[str]:
        return self.text.split()


def label_spans(tokens: Sequence[str]) -> list[Span]:
    """The labelled spans of a sentence: neighbouring words of one label become one span."""
    return spans_of(tokens, word_labels(tokens))


def spans_of(tokens: Sequence[str], labels: Sequence[str]) -> list[Span]:
    """The spans of a sentence whose words are labelled already, as by `word_labels`."""
    spans, at = [], 0
    for name, run in groupby(labels):
        end = at + len(list(run))
        if name:
            spans.append(Span(" ".join(tokens[at:end]), name, at, end))
        at = end
    return spans


def word_labels(tokens: Sequence[str]) -> list[str]:
    """The label of every word by the longest term that matches; empty for a word without a label."""
    terms = _terms()
    labels: list[str] = []
    skip_until = 0
    for at, word in enumerate(tokens):
        if at < skip_until:
            continue
        label = _label_alone(word)
        if label is not None:
            labels.append(label)
            continue
        names, _ = terms.longest(tokens, at)
        labels += (
            names or _measurement_labels(tokens, at) or [_ordinal_label(tokens, at) or _guess_label(word)]
        )
        skip_until = len(labels)
    if "/" in tokens:
        for at in range(1, len(tokens) - 1):
            # `NG/OG tube` is one device, `collapse/consolidation` are two findings
            is_joined = labels[at - 1] == labels[at + 1] != "disorder_present"
            if tokens[at] == "/" and is_joined:
                labels[at] = labels[at - 1]
    if not _FILM_WORDS.isdisjoint(tokens):
        _clear_bare_examinations(tokens, labels)
    return labels


def _clear_bare_examinations(tokens: Sequence[str], labels: list[str]) -> None:
    """Take the label from a film or study that no labelled word stands beside.

    `The examination is limited` speaks of the film itself; `the portable film` and `the prior study` name
    one of several examinations, and `Examination: normal` is a label with its value.
    """
    for at, word in enumerate(tokens):
        if word not in _FILM_WORDS or tokens[at + 1 : at + 2] == [":"]:
            continue
        if not any(labels[max(0, at - 1) : at] + labels[at + 1 : at + 2]):
            labels[at] = ""


@lru_cache(maxsize=1 << 16)
def _label_alone(word: str) -> str | None:
    """The label of a word that starts neither a longer term nor a measurement; None for another word."""
    terms = _terms()
    if names := terms.only_value(word):
        return names[0]
    return None if terms.starts(word) or _NUMBER.match(word) else _guess_label(word)


def _measurement_labels(tokens: Sequence[str], at: int) -> list[str]:
    """The labels of a measurement that starts at `at`, such as `4 x 5 cm`; empty if none does."""
    if not _NUMBER.match(tokens[at]):
        return []
    for end in range(at, min(len(tokens), at + _LONGEST_MEASURE)):
        if tokens[end] in _UNITS and end > at:
            return ["size"] * (end - at + 1)
        if not (_NUMBER.fullmatch(tokens[end]) or (end > at and tokens[end] in ("x", "by", "-"))):
            break
    return []


def _ordinal_label(tokens: Sequence[str], at: int) -> str:
    """The label of an ordinal before a noun or its qualifier (`6th rib`, `6th and 7th ribs`); no date."""
    if not _ORDINAL.fullmatch(tokens[at]):
        return ""
    next_word = at + 1
    while next_word < len(tokens) and (
        tokens[next_word] in _ORDINAL_JOINTS or _ORDINAL.fullmatch(tokens[next_word])
    ):
        next_word += 1
    names, _ = _terms().longest(tokens, next_word)
    return "concept" if names and names[0] in ("anatomy", "concept") else ""


@lru_cache(maxsize=1 << 16)
def _guess_label(word: str) -> str:
    """The label of a word that no file has: by its ending, or by the last word of a compound.

    A procedure with `post` or `pre` before it is a qualifier: `post-sternotomy changes`.
    """
    if len(word) < 6:
        return ""
    stem, hyphen, last_word = word.rpartition("-")
    names = _terms().longest([last_word], 0)[0] if hyphen and stem else None
    label = names[0] if names else next((name for ending, name in _ENDINGS if ending.search(word)), "")
    return "concept" if label == "procedures" and word.startswith(("post", "pre")) else label


@cache
def _terms() -> Trie[tuple[str, ...]]:
    """The terms, each with the labels of its words."""
    return Trie(_labelled_phrases())


def _labelled_phrases() -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    for line in term_lines("mixed"):
        phrase, _, letters = line.partition(" = ")
        yield tuple(phrase.split()), tuple(_LETTERS[letter] for letter in letters.split())
    for file, name in TERM_FILES.items():
        for line in term_lines(file):
            for words in _singular_and_plural(tuple(line.split()), plural=name != "concept"):
                yield words, (name,) * len(words)


def term_lines(file: str) -> list[str]:
    """The lines of a list in `terms/`, without comments."""
    text = (
        resources.files("chexphi.graph.lexicon").joinpath("terms", f"{file}.txt").read_text(encoding="utf-8")
    )
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _singular_and_plural(words: tuple[str, ...], *, plural: bool) -> Iterable[tuple[str, ...]]:
    yield words
    last_word = words[-1]
    if plural or last_word in ("size", "volume", "change", "position", "component"):
        plural_form = (
            last_word[:-1] + "ies"
            if re.search(r"[^aeiou]y$", last_word)
            else last_word + ("es" if last_word.endswith("x") else "s")
        )
        yield (*words[:-1], plural_form)
