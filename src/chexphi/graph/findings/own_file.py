"""What a user's file of concepts writes, in the form in which texts are read. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chexphi.graph.findings.concepts import Concept
from chexphi.graph.findings.word_lists import Lists
from chexphi.graph.tokens import tokenize
from chexphi.schema import InputError, shown


def as_read(phrase: str) -> str:
    """A phrase in lower case, cut into words as a text is.

    >>> as_read("Chilaiditi's sign")
    "chilaiditi 's sign"
    """
    return " ".join(token.text for token in tokenize(phrase))


def concepts_as_read(concepts: Mapping[str, Concept], source: str) -> dict[str, Concept]:
    """The concepts of a file with their phrases as texts are read.

    Raises:
        InputError: For a list of phrases that is empty, and for a phrase without a word.
    """
    return {
        name: replace(
            concept,
            terms=tuple(map(as_read, concept.terms)),
            normal=tuple(map(as_read, concept.normal)),
            alike_for=tuple(word.lower() for word in concept.alike_for),
            good_sites=frozenset(site.lower() for site in concept.good_sites),
            bad_sites=frozenset(site.lower() for site in concept.bad_sites),
        )
        for name, concept in concepts.items()
        if _has_words(concept, f"{source}: concept {name}")
    }


def _has_words(concept: Concept, location: str) -> bool:
    for key in ("terms", "normal"):
        for phrase in getattr(concept, key):
            if not any(token.text[0].isalnum() for token in tokenize(phrase)):
                raise InputError(
                    f"{location} has {shown(phrase)} in `{key}`, which has no word: write words there"
                )
    return True


def words_as_read(additions: Lists, lists: Lists, location: str) -> Lists:
    """The words of a file in lower case.

    Args:
        additions: The words of the file.
        lists: Those of the package.
        location: The file, for messages.

    Raises:
        InputError: For a word that has another meaning of the same list: `right` for `left`.
    """
    lowered = {
        name: {value.lower(): tuple(word.lower() for word in words) for value, words in table.items()}
        for name, table in additions.items()
    }
    for name, table in lowered.items():
        for value, words in table.items():
            for word in words:
                _check_meaning(name, value, word, (lists[name], table), location)
    return lowered


def _check_meaning(
    name: str, value: str, word: str, tables: tuple[Mapping[str, tuple[str, ...]], ...], location: str
) -> None:
    """Refuse a word that is another value of its list, or means one: what a text says would be unclear."""
    for table in tables:
        for other, words in table.items():
            if other != value and (word == other or word in words):
                raise InputError(
                    f"{location} has {shown(word)} for {shown(value)} in {name}, but it means "
                    f"{shown(other)} already: take it out"
                )
