"""What a user's file of concepts adds to the lexicon, so that its own terms and words are found in a text.

Standard library only.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from chexphi.graph.findings.concepts import Concept
from chexphi.graph.findings.ontology import Ontology, open_ontology
from chexphi.graph.findings.word_lists import Lists
from chexphi.graph.lexicon.added_terms import AddedPhrase, AddedTerms
from chexphi.graph.lexicon.cue_table import is_in_a_cue
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.lexicon.relation_words import BE, JOIN, PREPOSITIONS
from chexphi.graph.lexicon.spans import word_labels
from chexphi.graph.lexicon.trie import Trie
from chexphi.graph.service import Service
from chexphi.graph.types import Extractor

_FUNCTION_WORDS = BE | JOIN | PREPOSITIONS | {"with", "for", "not"}
"""Words that no label fits, because the rules of relations read them."""
_USED_LIKE = {
    "both_sides": "bilateral",
    "degree": "moderate",
    "count": "two",
    "doubt": "possible",
    "position": "satisfactory",
}
"""List of words -> a word that stands where those of the list do; the values of the other lists are words.
What a word means, such as which degree, is still read from the word itself."""
_DEVICE = "device"
"""The concept that all devices are under."""


@cache  # one a process for each file
def lexicon_with(file: str) -> LexiconExtractor:
    """The lexicon that also reads the terms and words of a file of concepts.

    Raises:
        InputError: As `findings.ontology.load`.
    """
    return LexiconExtractor(added_terms(open_ontology(file)))


def with_ontology(extractor: Extractor, file: str) -> Extractor:
    """The extractor that also reads the terms and words of a file of concepts.

    An extractor other than the lexicon comes back as it is: it reads what it was trained to read.

    Raises:
        InputError: As `findings.ontology.load`.
    """
    if not file:
        return extractor
    if isinstance(extractor, LexiconExtractor) and extractor.added_terms is None:
        return lexicon_with(file)
    if isinstance(extractor, Service) and isinstance(extractor.extractor, LexiconExtractor):
        lexicon = with_ontology(extractor.extractor, file)
        if lexicon is not extractor.extractor:
            return Service(lexicon, memory=extractor.memory, disk=extractor.disk)  # type: ignore[arg-type]
    return extractor


def added_terms(ontology: Ontology) -> AddedTerms:
    """What the concepts and words of a user's file add to the lexicon."""
    phrases: defaultdict[tuple[str, ...], list[tuple[str, frozenset[str]]]] = defaultdict(list)
    for name in sorted(ontology.added_concepts):
        concept = ontology.concepts[name]
        for label, words, term in _unknown_phrases(concept, _DEVICE in ontology.ancestors[name]):
            key = tuple(map(ontology.vocabulary.form, words))
            phrases[key].append((label, ontology.vocabulary.phrase(term)))
    by_words = {
        words: AddedPhrase(uses[0][0], tuple(term for _, term in uses)) for words, uses in phrases.items()
    }
    stand_ins = dict(_stand_ins(ontology.added_words))
    content = repr([(words, label, [sorted(t) for t in terms]) for words, (label, terms) in by_words.items()])
    version = hashlib.sha256(f"{content}{sorted(stand_ins.items())}".encode()).hexdigest()[:16]
    return AddedTerms(Trie(by_words.items()), stand_ins, ontology.vocabulary.form, version)


def _unknown_phrases(concept: Concept, is_device: bool) -> Iterator[tuple[str, Sequence[str], str]]:
    """Label, words and term of what the lexicon does not know of the terms of a concept.

    Of a term that names a finding these are its words without the structure at its start or end: of
    `lung widget` it is `widget`, so that `a widget in the left lung` is one, too. Of a phrase that denies
    one, the last word tells how the structure is that the others name.
    """
    for term in concept.terms:
        words = term.split()
        labels = word_labels(words)
        if any(_is_unknown(word, label) for word, label in zip(words, labels, strict=True)):
            start, end = _without_structure(words, labels)
            yield "devices_present" if is_device else "disorder_present", words[start:end], term
    for term in concept.normal:
        words = term.split()
        for at, (word, label) in enumerate(zip(words, word_labels(words), strict=True)):
            if _is_unknown(word, label):
                yield "concept" if at == len(words) - 1 else "anatomy", [word], term


def _is_unknown(word: str, label: str) -> bool:
    return not label and word not in _FUNCTION_WORDS and word[0].isalnum()


def _without_structure(words: Sequence[str], labels: Sequence[str]) -> tuple[int, int]:
    """The first of the words and one past the last, without anatomy and function words at both ends."""
    content = [
        at
        for at, (word, label) in enumerate(zip(words, labels, strict=True))
        if label not in ("", "anatomy") or _is_unknown(word, label)
    ]
    return content[0], content[-1] + 1


def _stand_ins(additions: Lists) -> Iterator[tuple[str, str]]:
    """Added word -> a word that the lexicon knows, and that is used in the same way."""
    for name, table in additions.items():
        for value, words in table.items():
            known_word = _USED_LIKE.get(name, value)
            if any(word_labels([known_word])):
                yield from (
                    (word, known_word)
                    for word in words
                    if word not in _FUNCTION_WORDS and not is_in_a_cue(word)
                )
