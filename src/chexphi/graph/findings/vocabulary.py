"""Words of the ontology: one form for all that mean the same, and the words that tell a quality."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chexphi.graph.findings.records import NO_QUALITIES, Qualities
from chexphi.graph.findings.word_lists import Lists

_BRITISH = (
    ("oedema", "edema"),
    ("haem", "hem"),
    ("oesoph", "esoph"),
    ("tumour", "tumor"),
    ("aemia", "emia"),
    ("artefact", "artifact"),
    ("paed", "ped"),
    ("goitre", "goiter"),
)
_PLURALS = (
    (re.compile(r"(?<=[^aeiou])ies$"), "y"),
    (re.compile(r"(?<=ss|.x)es$"), ""),
    (re.compile(r"(?<=[^siu])s$"), ""),
)
_BOTH_SIDES = frozenset({"left", "right"})
_NUMBERS = frozenset({"degree", "count"})
"""Qualities whose values are numbers."""
_CHANGES = ("resolved", "decreased", "increased", "new", "unchanged")
"""Changes; of several words of change the first of these counts."""
_MEASURE = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:(?:x|by|-)\s*(\d+(?:\.\d+)?)\s*)?(?:(?:x|by)\s*(\d+(?:\.\d+)?)\s*)?(?:-\s*)?(mm|cm|milli|centi)"
)


def base_form(word: str) -> str:
    """A word in American spelling and in the singular.

    >>> base_form("oedemas"), base_form("masses"), base_form("apices")
    ('edema', 'mass', 'apice')
    """
    for british, american in _BRITISH:
        word = word.replace(british, american)
    if len(word) > 3:
        for ending, singular in _PLURALS:
            if ending.search(word):
                return ending.sub(singular, word)
    return word


MAX_REMEMBERED = 1 << 16
"""Entries of each memory of words: some tens of megabytes in a run of any length."""
_NO_PREFIX = frozenset({"non", "un", "pre", "post", "anti", "inter", "extra", "re", "x"})
"""Before a hyphen: what follows does not stand for itself, as in `non-displaced`."""
_OF_DISPLACEMENT = frozenset({"displaced", "angulated", "comminuted", "rotated"})
"""How the parts of a fracture lie: `minimally displaced` does not tell how large the finding is."""
_OF_CHANGE = " of change"
"""Marks a degree that is one of change: `slightly` in `slightly increased`."""


@dataclass
class Vocabulary:
    """Reads words by the lists of `words.toml`. Texts and sets of words are looked up once each."""

    word_of_variant: Mapping[str, str]
    """Variant -> the word that stands for it."""
    values: Mapping[str, Mapping[str, Any]]
    """Word -> quality -> value: `mild` has the degree 2, `lll` a side and a zone."""
    both_sides: frozenset[str]
    doubt: frozenset[str]
    _known: dict[str, frozenset[str]] = field(default_factory=dict)
    _qualities: dict[frozenset[str], Qualities] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.amounts = frozenset(
            word
            for word, qualities in self.values.items()
            if "change" in qualities or qualities.get("degree", 0) >= 2
        )
        """Words of change or degree, which tell none where they are part of a finding's name. `borderline`
        and other words of the least degree tell it there, too."""

    @classmethod
    def of(cls, lists: Lists) -> Vocabulary:
        """From the tables of `words.toml`."""
        word_of_variant = {
            base_form(variant): word for word, variants in lists["same"].items() for variant in variants
        }
        values: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for name in ("count", "side", "zone", "degree", "change", "time", "position"):
            for value, words in lists[name].items():
                for word in words if name in _NUMBERS else (*words, value):
                    values[word][name] = float(value) if name in _NUMBERS else value
        return cls(
            word_of_variant,
            dict(values),
            frozenset(lists["both_sides"]["words"]),
            frozenset(lists["doubt"]["words"]),
        )

    def words(self, text: str) -> frozenset[str]:
        """The words of a normalised text: as they stand, their parts, and the form that stands for them."""
        if (known_words := self._known.get(text)) is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            tokens = self._marked(text.split())
            for word in text.split():
                parts = word.split("-")
                if len(parts) > 1 and parts[0] not in _NO_PREFIX:
                    is_shift = parts[1] == "to" and self.tells(parts[0], "side")
                    tokens += parts[2:] if is_shift else parts  # `right-to-left` ends on the left
            known_words = self._known[text] = frozenset(tokens) | frozenset(map(self.form, tokens))
        return known_words

    def _marked(self, words: list[str]) -> list[str]:
        """The words, with those degrees marked that are of a change, and without those of a displacement."""
        marked = list(words)
        for at, word in enumerate(words[1:], 1):
            degree_at = at - 2 if words[at - 1] == "interval" else at - 1
            if self.tells(word, "change") and degree_at >= 0 and self.tells(words[degree_at], "degree"):
                marked[degree_at] += _OF_CHANGE
            elif word in _OF_DISPLACEMENT and self.tells(words[at - 1], "degree"):
                marked[at - 1] = word
        return marked

    def tells(self, word: str, name: str) -> bool:
        """Whether a word tells this quality: `mild` a degree."""
        return name in self.values.get(word, ())

    def phrase(self, text: str) -> frozenset[str]:
        """The words of a term of the ontology, each in the form that stands for it."""
        return frozenset(map(self.form, text.split()))

    def form(self, word: str) -> str:
        """The form that stands for a word, its plural, its British spelling and those that mean the same."""
        base = base_form(word)
        return self.word_of_variant.get(word) or self.word_of_variant.get(base, base)

    def qualities(self, words: frozenset[str]) -> Qualities:
        """What words tell of side, zone, degree, change, time, position and number."""
        if (qualities := self._qualities.get(words)) is None:
            if len(self._qualities) >= MAX_REMEMBERED:
                self._qualities.clear()
            qualities = self._qualities[words] = self._read(words)
        return qualities

    def _read(self, words: frozenset[str]) -> Qualities:
        values_of: dict[str, list[Any]] = {}
        for word in words:
            if word in self.values:
                for name, value in self.values[word].items():
                    values_of.setdefault(name, []).append(value)
        if "change" not in values_of and (of_change := [word for word in words if word.endswith(_OF_CHANGE)]):
            degrees = [self.values[word.removesuffix(_OF_CHANGE)]["degree"] for word in of_change]
            values_of.setdefault("degree", []).extend(degrees)
        if not values_of and words.isdisjoint(self.both_sides):
            return NO_QUALITIES
        degree = values_of.get("degree")
        return Qualities(
            _BOTH_SIDES if not words.isdisjoint(self.both_sides) else frozenset(values_of.get("side", ())),
            frozenset(values_of.get("zone", ())),
            sum(degree) / len(degree) if degree else None,
            None,
            _first(_CHANGES, values_of.get("change")),
            _first(("chronic", "acute"), values_of.get("time")),
            _first(("bad", "good"), values_of.get("position")),
            int(max(values_of["count"])) if "count" in values_of else None,
        )


def _first(order: tuple[str, ...], values: list[str] | None) -> str | None:
    return next((value for value in order if value in values), None) if values else None


def millimetres(text: str) -> float | None:
    """The largest measure in a normalised text such as `1.5 x 2 cm`; None without one."""
    sizes = [
        max(float(number) for number in match.groups()[:3] if number) * (10 if match[4][0] == "c" else 1)
        for match in _MEASURE.finditer(text)
    ]
    return max(sizes, default=None)
