"""The ontology: concepts with their terms, kinship and clinical significance. Standard library only."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from chexphi.graph.findings.concepts import LEVELS, Concept, concepts_of, read_toml, read_toml_file
from chexphi.graph.findings.ontology_checks import check_concepts
from chexphi.graph.findings.own_file import concepts_as_read, words_as_read
from chexphi.graph.findings.records import Significance
from chexphi.graph.findings.vocabulary import MAX_REMEMBERED, Vocabulary
from chexphi.graph.findings.word_lists import WORDS, Lists, extended, word_lists
from chexphi.schema import InputError

TRACE, LARGE = 1.0, 4.0
"""Degrees that make a finding less or more important than it is by its name."""
_SHIFTED: dict[tuple[str, int], Significance] = {
    (level, steps): LEVELS[min(max(at - steps, 0), len(LEVELS) - 1)]
    for at, level in enumerate(LEVELS)
    for steps in (-1, 0, 1)
}


class Naming(NamedTuple):
    """A concept that words name."""

    concept: str
    denies: bool
    """Whether the words deny it: `lung clear`."""
    term: frozenset[str] = frozenset()
    """Its words."""
    amounts: frozenset[str] = frozenset()
    """Those of its words that elsewhere tell a degree or a change: `increased` of `increased marking`."""


@dataclass
class Ontology:
    """All concepts, and what is computed from them."""

    concepts: Mapping[str, Concept]
    vocabulary: Vocabulary
    added_concepts: frozenset[str] = frozenset()
    """Names of the concepts that are from a file of the user."""
    added_words: Lists = field(default_factory=dict)
    """The words of that file."""
    ancestors: Mapping[str, Mapping[str, int]] = field(init=False)
    """Concept -> each concept above it, with the number of steps; itself with 0."""

    def __post_init__(self) -> None:
        self.ancestors = {name: self._steps_up(name) for name in self.concepts}
        self.unzoned = frozenset(
            name
            for name, above in self.ancestors.items()
            if any(self.concepts[parent].unzoned for parent in above)
        )
        """Concepts whose zone says nothing."""
        self._terms = _terms_by_word(self.concepts.values(), self.vocabulary)
        self._found: dict[tuple[frozenset[str], ...], Naming | None] = {}

    def find(self, head: frozenset[str], own_words: frozenset[str], words: frozenset[str]) -> Naming | None:
        """The concept that words name, by the longest of its terms.

        Args:
            head: Words of the mention itself, of which a term has at least one.
            own_words: Those of the mention and of what qualifies it; of two equal terms the one with more of
                them wins.
            words: Those, and the words of its place.
        """
        key = (head, own_words, words)
        if key not in self._found:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
            fitting = [
                naming
                for word in words
                for naming in self._terms.get(word, ())
                if naming.term <= words and not naming.term.isdisjoint(head)
            ]
            self._found[key] = max(
                fitting,
                key=lambda naming: (
                    len(naming.term),
                    len(naming.term & own_words),
                    not self.is_family(naming.concept),
                    sum(map(len, naming.term)),
                    naming.concept,
                    sorted(naming.term),
                ),
                default=None,
            )
        return self._found[key]

    def is_family(self, name: str) -> bool:
        """Whether a concept names a whole region or group."""
        concept = self.concepts.get(name)
        return concept is not None and concept.family

    def is_sign(self, name: str) -> bool:
        """Whether a concept is a mere sign of those above it."""
        concept = self.concepts.get(name)
        return concept is not None and concept.sign

    def significance(
        self, name: str, degree: float | None = None, position: str | None = None, time: str | None = None
    ) -> Significance:
        """How important a finding is; one without a concept counts as `minor`.

        A large or severe finding is one level more important than its name says, and a trace of it or an old
        one is one level less.
        """
        concept = self.concepts.get(name)
        if concept is None:
            return "minor"
        if position == "bad" and concept.malpositioned:
            return concept.malpositioned
        if time == "chronic" and not concept.chronic:
            return _SHIFTED[concept.significance, -1]
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


def _terms_by_word(concepts: Iterable[Concept], vocabulary: Vocabulary) -> dict[str, list[Naming]]:
    """Each term under its rarest word."""
    terms = []
    for concept in concepts:
        for phrases, denied in ((concept.terms, False), (concept.normal, True)):
            for words in map(vocabulary.phrase, phrases):
                terms.append(Naming(concept.name, denied, words, words & vocabulary.amounts))
    counts = Counter(word for naming in terms for word in naming.term)
    by_word = defaultdict(list)
    for naming in terms:
        by_word[min(naming.term, key=lambda word: (counts[word], word))].append(naming)
    return dict(by_word)


@functools.cache  # one a process for each file
def open_ontology(file: str = "") -> Ontology:
    """The ontology of the package, with the concepts of a file where one is named; see `load`."""
    return load(Path(file) if file else None)


def default_ontology() -> Ontology:
    """The one that ships with the package."""
    return open_ontology()


def load(extra: Path | None = None) -> Ontology:
    """The ontology of the package, with what a file of the user changes; `docs/clinical.md` has its form.

    Args:
        extra: A TOML file. Its concepts are added, or replace those of the same name. Its table `words` adds
            to the lists of words.

    Raises:
        InputError: If it is empty or has a mistake: file, concept and value are named.
    """
    tables_of_file = {name: read_toml(content, name) for name, content in _shipped()}
    lists = word_lists(tables_of_file.pop(f"ontology/{WORDS}.toml"), f"ontology/{WORDS}.toml")
    concepts_by_file = {file: concepts_of(tables, file) for file, tables in tables_of_file.items()}
    added_words: Lists = {}
    if extra:
        tables = read_toml_file(extra)
        if not tables:
            raise InputError(f"{extra} has no concept: write one as a table, [name]")
        location = f"{extra}: table {WORDS}"
        added_words = words_as_read(word_lists(tables.pop(WORDS, {}), location), lists, location)
        lists = extended(lists, added_words)
        concepts_by_file[str(extra)] = concepts_as_read(concepts_of(tables, str(extra)), str(extra))
    concepts: dict[str, Concept] = {}
    file_of: dict[str, str] = {}
    for file, of_file in concepts_by_file.items():
        concepts |= of_file
        file_of |= dict.fromkeys(of_file, file)
    vocabulary = Vocabulary.of(lists)
    check_concepts(concepts, file_of, vocabulary, words_of=str(extra) if added_words else "")
    added_concepts = frozenset(concepts_by_file[str(extra)] if extra else ())
    return Ontology(concepts, vocabulary, added_concepts, added_words)


def _shipped() -> Iterator[tuple[str, bytes]]:
    folder = resources.files("chexphi.graph.findings").joinpath("ontology")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        yield f"ontology/{file.name}", file.read_bytes()
