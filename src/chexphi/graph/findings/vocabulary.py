"""Words of the ontology: one form for all that mean the same, and the words that tell a quality."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chexphi.graph.findings.records import EMPTY, Qualities

_BRITISH = (("oedema", "edema"), ("haem", "hem"), ("oesoph", "esoph"), ("tumour", "tumor"), ("aemia", "emia"))
_PLURALS = (
    (re.compile(r"(?<=[^aeiou])ies$"), "y"),
    (re.compile(r"(?<=[sx])es$"), ""),
    (re.compile(r"(?<=[^siu])s$"), ""),
)
_NUMBERS = frozenset({"degree", "count"})
"""Qualities whose values are numbers."""
_CHANGES = ("resolved", "decreased", "increased", "new", "unchanged")
"""Changes; of several words of change the first of these counts."""
_MEASURE = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:(?:x|by|-)\s*(\d+(?:\.\d+)?)\s*)?(?:(?:x|by)\s*(\d+(?:\.\d+)?)\s*)?(mm|cm|milli|centi)"
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


@dataclass
class Vocabulary:
    """Reads words by the lists of `words.toml`. Words are looked up once each."""

    same: Mapping[str, str]
    """Variant -> the word that stands for it."""
    tables: Mapping[str, Mapping[str, Any]]
    """Quality (`side`, `zone`, `degree`, `change`, `time`, `position`) -> word -> value."""
    both_sides: frozenset[str]
    doubt: frozenset[str]
    _known: dict[str, frozenset[str]] = field(default_factory=dict)
    _qualities: dict[frozenset[str], Qualities] = field(default_factory=dict)

    @classmethod
    def of(cls, lists: Mapping[str, Mapping[str, list[str]]]) -> Vocabulary:
        """From the tables of `words.toml`."""
        same = {base_form(variant): word for word, variants in lists["same"].items() for variant in variants}
        names = ("side", "zone", "degree", "change", "time", "position", "count")
        tables = {
            name: {
                word: float(value) if name in _NUMBERS else value
                for value, words in lists[name].items()
                for word in (words if name in _NUMBERS else (*words, value))
            }
            for name in names
        }
        return cls(same, tables, frozenset(lists["both_sides"]["words"]), frozenset(lists["doubt"]["words"]))

    def words(self, text: str) -> frozenset[str]:
        """The words of a normalised text: as they stand, and in the form that stands for them."""
        if (known := self._known.get(text)) is None:
            spoken = text.split()
            known = self._known[text] = frozenset(spoken) | frozenset(map(self._form, spoken))
        return known

    def phrase(self, text: str) -> frozenset[str]:
        """The words of a term of the ontology, each in the form that stands for it."""
        return frozenset(map(self._form, text.split()))

    def _form(self, word: str) -> str:
        base = base_form(word)
        return self.same.get(word) or self.same.get(base, base)

    def qualities(self, words: frozenset[str]) -> Qualities:
        """What words tell of side, zone, degree, change, time and position."""
        if (known := self._qualities.get(words)) is None:
            known = self._qualities[words] = self._read(words)
        return known

    def _read(self, words: frozenset[str]) -> Qualities:
        def values(name: str) -> list[Any]:
            table = self.tables[name]
            return [table[word] for word in words if word in table]

        sides = frozenset(("left", "right")) if words & self.both_sides else frozenset(values("side"))
        degrees, changes = values("degree"), set(values("change"))
        times, positions, counts = set(values("time")), set(values("position")), values("count")
        return Qualities(
            sides,
            frozenset(values("zone")) or EMPTY,
            sum(degrees) / len(degrees) if degrees else None,
            None,
            next((name for name in _CHANGES if name in changes), None),
            next((name for name in ("chronic", "acute") if name in times), None),
            next((name for name in ("bad", "good") if name in positions), None),
            int(max(counts)) if counts else None,
        )


def millimetres(text: str) -> float | None:
    """The largest measure in a normalised text such as `1.5 x 2 cm`; None without one."""
    sizes = [
        max(float(number) for number in match.groups()[:3] if number) * (10 if match[4][0] == "c" else 1)
        for match in _MEASURE.finditer(text)
    ]
    return max(sizes, default=None)


def union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return EMPTY.union(*sets)
