"""Terms and words that a user's file of concepts adds to the lexicon. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chexphi.graph.lexicon.spans import Span, spans_of, word_labels
from chexphi.graph.lexicon.trie import Trie


class AddedPhrase(NamedTuple):
    """Words of an added term that the lexicon does not know."""

    label: str
    terms: tuple[frozenset[str], ...]
    """The terms they are part of: a sentence must have all words of one, each in the form of `form`."""


@dataclass(frozen=True, eq=False)
class AddedTerms:
    """What the lexicon reads beside its own terms. A word that it knows keeps its label."""

    phrases: Trie[AddedPhrase]
    """By words in the form of `form`."""
    stand_ins: Mapping[str, str]
    """Added word -> a word of the lexicon that is used in the same way: `whopping` -> `large`."""
    form: Callable[[str], str]
    """One form for a word's plural, its British spelling and the words that mean the same."""
    version: str
    """Another one for other terms."""

    def label_spans(self, tokens: Sequence[str]) -> tuple[list[str], list[Span]]:
        """The words as the rules of cues and relations read them, and the labelled spans of a sentence."""
        labels = word_labels(tokens)
        words = [
            word if label else self.stand_ins.get(word, word)
            for word, label in zip(tokens, labels, strict=True)
        ]
        if words != list(tokens):
            labels = word_labels(words)
        self._label_phrases([self.form(word) for word in tokens], labels)
        return words, spans_of(words, labels)

    def _label_phrases(self, forms: Sequence[str], labels: list[str]) -> None:
        at, in_sentence = 0, frozenset(forms)
        while at < len(forms):
            phrase, end = self.phrases.longest(forms, at)
            is_unknown = phrase is not None and "" in labels[at:end]
            if phrase is not None and is_unknown and any(term <= in_sentence for term in phrase.terms):
                labels[at:end] = [phrase.label] * (end - at)
                at = end
            else:
                at += 1
