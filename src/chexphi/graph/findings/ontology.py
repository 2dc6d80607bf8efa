"""The ontology: concepts with their terms, kinship and clinical significance, read from TOML files."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from chexphi.graph.findings.records import Significance
from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.schema import InputError, shown

TRACE, LARGE = 1.0, 4.0
"""Degrees that make a finding less or more important than it is by its name."""
_LEVELS: tuple[Significance, ...] = ("benign", "minor", "actionable", "urgent")
_SHIFTED: dict[tuple[str, int], Significance] = {
    (level, steps): _LEVELS[min(max(at + steps, 0), 3)]
    for at, level in enumerate(_LEVELS)
    for steps in (-1, 0, 1)
}
WORDS = "words"
"""The file of words that mean the same."""


@dataclass(frozen=True, slots=True)
class Concept:
    """A kind of finding."""

    name: str
    terms: tuple[str, ...] = ()
    """Phrases that name it. Their words may stand in any order, with others between them."""
    normal: tuple[str, ...] = ()
    """Phrases that deny it: `lung clear`."""
    under: tuple[str, ...] = ()
    """Concepts that it is a kind or a sign of."""
    alike: tuple[str, ...] = ()
    """Concepts that radiologists use for the same picture."""
    alike_for: tuple[str, ...] = ()
    """Words of an indication that make those of `alike` interchangeable."""
    significance: Significance = "minor"
    by_degree: Mapping[float, Significance] = field(default_factory=dict)
    """Degree -> significance, where it differs."""
    malpositioned: Significance | None = None
    """Significance of a device that lies in a wrong place."""
    family: bool = False
    """Names a whole region. Denying it denies all that is under it, and it shares no credit."""
    chronic: bool = False
    """Is old by its nature, so that `no acute abnormality` does not deny it."""
    good_place: frozenset[str] = frozenset()
    bad_place: frozenset[str] = frozenset()
    good_distance_mm: tuple[float, float] | None = None
    """Of a tip above the carina."""
    source: str = "our choice"


@dataclass
class Ontology:
    """All concepts, and what is computed from them."""

    concepts: Mapping[str, Concept]
    vocabulary: Vocabulary
    ancestors: Mapping[str, Mapping[str, int]] = field(init=False)
    """Concept -> each concept above it, with the number of steps; itself with 0."""

    def __post_init__(self) -> None:
        self.ancestors = {name: self._steps_up(name) for name in self.concepts}
        self._terms = _terms_by_word(self.concepts.values(), self.vocabulary)
        self._found: dict[tuple[frozenset[str], ...], tuple[str, bool] | None] = {}

    def find(
        self, head: frozenset[str], own: frozenset[str], words: frozenset[str]
    ) -> tuple[str, bool] | None:
        """The concept that words name, by the longest of its terms, and whether they deny it.

        Args:
            head: Words of the mention itself, of which a term has at least one.
            own: Those of the mention and of what qualifies it; of two terms the one with more of them wins.
            words: Those, and the words of its place.
        """
        key = (head, own, words)
        if key not in self._found:
            best, size = None, (0, 0)
            for word in words:
                for term, name, denied in self._terms.get(word, ()):
                    if len(term) >= size[0] and term <= words and not term.isdisjoint(head):
                        best, size = max(
                            ((name, denied), (len(term), len(term & own))),
                            (best, size),
                            key=lambda entry: entry[1],
                        )
            self._found[key] = best
        return self._found[key]

    def significance(
        self, name: str, degree: float | None = None, position: str | None = None
    ) -> Significance:
        """How important a finding is; one without a concept counts as `minor`."""
        concept = self.concepts.get(name)
        if concept is None:
            return "minor"
        if position == "bad" and concept.malpositioned:
            return concept.malpositioned
        if degree is None:
            return concept.significance
        at_degree = concept.by_degree.get(round(degree), concept.significance)
        return _SHIFTED[at_degree, 1 if degree >= LARGE else -1 if degree <= TRACE else 0]

    def _steps_up(self, name: str) -> dict[str, int]:
        steps, level = {name: 0}, [name]
        while level:
            level = [
                parent for child in level for parent in self.concepts[child].under if parent not in steps
            ]
            steps |= {parent: max(steps.values()) + 1 for parent in level}
        return steps


def _terms_by_word(
    concepts: Iterable[Concept], vocabulary: Vocabulary
) -> dict[str, list[tuple[frozenset[str], str, bool]]]:
    """Each term (its words, its concept, whether it denies) under its rarest word."""
    terms = [
        (vocabulary.phrase(term), concept.name, denied)
        for concept in concepts
        for phrases, denied in ((concept.terms, False), (concept.normal, True))
        for term in phrases
    ]
    counts: defaultdict[str, int] = defaultdict(int)
    for words, _, _ in terms:
        for word in words:
            counts[word] += 1
    by_word = defaultdict(list)
    for entry in terms:
        by_word[min(entry[0], key=lambda word: (counts[word], word))].append(entry)
    return dict(by_word)


def read_concepts(text: str, source: str) -> dict[str, Concept]:
    """Concepts of one TOML file; see `docs/graphs.md`.

    Raises:
        InputError: If it is not TOML, or a concept has an unknown key or a value of a wrong kind.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not TOML: {error}") from error
    return {name: _concept(name, table, source) for name, table in tables.items()}


_FIELDS = {entry.name for entry in dataclasses.fields(Concept)} - {"name"}


def _concept(name: str, table: Any, source: str) -> Concept:
    where = f"{source}: concept {name}"
    if not isinstance(table, dict):
        raise InputError(f"{where} is {shown(table)}: give it a table, as in [{name}]")
    if unknown := next((key for key in table if key not in _FIELDS), None):
        raise InputError(f"{where} has the unknown key {shown(unknown)}: use {', '.join(sorted(_FIELDS))}")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    for key in ("good_place", "bad_place"):
        values[key] = frozenset(values.get(key, ()))
    values["by_degree"] = {float(degree): level for degree, level in values.get("by_degree", {}).items()}
    return Concept(name, **values)


@functools.cache  # one a process for each file
def open_ontology(file: str = "") -> Ontology:
    """The ontology of the package, with the concepts of a file where one is named; see `load`."""
    return load(Path(file) if file else None)


def default_ontology() -> Ontology:
    """The one that ships with the package."""
    return open_ontology()


def load(extra: Path | None = None) -> Ontology:
    """The ontology of the package; concepts of `extra` are added, or replace those of the same name."""
    import_text = dict(_shipped())
    vocabulary = Vocabulary.of(tomllib.loads(import_text.pop(WORDS)))
    concepts: dict[str, Concept] = {}
    for name, text in import_text.items():
        concepts |= read_concepts(text, f"ontology/{name}.toml")
    if extra:
        concepts |= read_concepts(extra.read_text(encoding="utf-8"), str(extra))
    for concept in concepts.values():
        if unknown := next(
            (other for other in (*concept.under, *concept.alike) if other not in concepts), None
        ):
            raise InputError(f"ontology: concept {concept.name} names {shown(unknown)}, which no file has")
    return Ontology(concepts, vocabulary)


def _shipped() -> Iterator[tuple[str, str]]:
    folder = resources.files("chexphi.graph.findings").joinpath("ontology")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        yield file.name.removesuffix(".toml"), file.read_text(encoding="utf-8")
