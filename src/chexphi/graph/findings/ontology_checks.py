"""Whether the concepts of an ontology fit together. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from chexphi.graph.findings.concepts import Concept
from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.schema import InputError, shown


def check_concepts(
    concepts: Mapping[str, Concept], file_of: Mapping[str, str], vocabulary: Vocabulary, *, words_of: str = ""
) -> None:
    """Refuse what would be read in another way than it was meant.

    Args:
        concepts: By name.
        file_of: Concept -> its file, for messages.
        vocabulary: Tells which terms are the same.
        words_of: The file of the user that adds words to the vocabulary; empty: none does.

    Raises:
        InputError: If a concept names one that does not exist, is under itself, or shares a term.
    """
    for concept in concepts.values():
        for key in ("under", "alike", "goes_with"):
            _check_names(concept, key, concepts, file_of)
    for name in concepts:
        if circle := _circle(name, concepts):
            raise InputError(
                f"{file_of[name]}: concept {name} is under itself ({' under '.join(circle)}): take one of "
                "them out of `under`"
            )
    _check_terms(concepts, file_of, vocabulary, words_of)


def _check_names(
    concept: Concept, key: str, concepts: Mapping[str, Concept], file_of: Mapping[str, str]
) -> None:
    unknown = next((name for name in getattr(concept, key) if name not in concepts), None)
    if unknown is None:
        return
    similar = difflib.get_close_matches(unknown, concepts, n=3)
    hint = f" (there is {', '.join(similar)})" if similar else ""
    raise InputError(
        f"{file_of[concept.name]}: concept {concept.name} has {shown(unknown)} in `{key}`, which is not a "
        f"concept{hint}: correct it, or add that concept"
    )


def _circle(start: str, concepts: Mapping[str, Concept]) -> list[str]:
    """The way from a concept up to itself; empty if there is none."""
    paths, visited = [[start]], {start}
    while paths:
        path = paths.pop(0)
        for parent in concepts[path[-1]].under:
            if parent == start:
                return [*path, start]
            if parent not in visited:
                visited.add(parent)
                paths.append([*path, parent])
    return []


def _check_terms(
    concepts: Mapping[str, Concept], file_of: Mapping[str, str], vocabulary: Vocabulary, words_of: str
) -> None:
    """No two concepts have a term of the same words: which of them a text means would be left to chance."""
    owner_of: dict[frozenset[str], tuple[str, str]] = {}
    for concept in concepts.values():
        for term in (*concept.terms, *concept.normal):
            owner, owned_term = owner_of.setdefault(vocabulary.phrase(term), (concept.name, term))
            if owner == concept.name:
                continue
            if words_of and words_of not in (file_of[concept.name], file_of[owner]):
                raise InputError(
                    f"{words_of}: table words makes {shown(term)} of concept {concept.name} the same as "
                    f"{shown(owned_term)} of concept {owner}: take that word out of [words.same]"
                )
            raise InputError(
                f"{file_of[concept.name]}: concept {concept.name} has the term {shown(term)}, which "
                f"concept {owner} of {file_of[owner]} has too: leave it to one of them"
            )
