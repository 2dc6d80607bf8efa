"""A rule-based extractor of entities and relations: a lexicon, context cues, and relation rules.

It is exact on the language of the drawn films (a test checks 100 %), and fast. Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import resources

from chexphi.graph.lexicon.added_terms import AddedTerms
from chexphi.graph.lexicon.context import context_of
from chexphi.graph.lexicon.omitted import with_omitted_nouns
from chexphi.graph.lexicon.relations import relate
from chexphi.graph.lexicon.spans import Span, label_spans
from chexphi.graph.text import by_sentences, graphs_by_sentences
from chexphi.graph.tokens import Token, tokenize
from chexphi.graph.types import Graph, Mention, Parse, parse_with_unclaimed

_ABSENT_LABEL = {"disorder_present": "disorder_notpresent", "devices_present": "devices_notpresent"}


class LexiconExtractor:
    """Graphs of texts by rules alone; satisfies `chexphi.graph.types.Extractor`.

    Args:
        added_terms: Terms and words that are read beside those of the package.
    """

    def __init__(self, added_terms: AddedTerms | None = None) -> None:
        self.added_terms = added_terms

    @property
    def version(self) -> str:
        """A hash of the terms and the rules."""
        return f"{_version()}-{self.added_terms.version}" if self.added_terms else _version()

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph per text, in order. A text without any known word has the empty graph."""
        return graphs_by_sentences(texts, self.parse_sentences)

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse per text, in order: the graph with the position of every mention."""
        return by_sentences(texts, self.parse_sentences)

    def parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        """One parse per sentence, in order."""
        if self.added_terms is None:
            return [_parse(text) for text in texts]
        return [_parse_with(self.added_terms, text) for text in texts]


@cache
def _version() -> str:
    """A hash of all files of `graph` and `lexicon`, so that a cache on disk never mixes two sets of rules."""
    folder = resources.files("chexphi.graph")
    lexicon = folder.joinpath("lexicon")
    files = [*folder.iterdir(), *lexicon.iterdir(), *lexicon.joinpath("terms").iterdir()]
    rules = sorted(
        (file for file in files if file.name.endswith((".py", ".txt"))), key=lambda file: file.name
    )
    content = b"\0".join(file.read_bytes() for file in rules)
    return "lexicon-" + hashlib.sha256(content).hexdigest()[:16]


@lru_cache(maxsize=4096)
def _parse(sentence: str) -> Parse:
    tokens = tokenize(sentence)
    words = [token.text for token in tokens]
    spans = label_spans(words)
    if restored := with_omitted_nouns(tokens, words, spans):
        tokens, words = restored, [token.text for token in restored]
        spans = label_spans(words)
    return _parse_spans(sentence, tokens, words, spans, [span.text for span in spans])


@lru_cache(maxsize=4096)
def _parse_with(added_terms: AddedTerms, sentence: str) -> Parse:
    tokens = tokenize(sentence)
    own_words = [token.text for token in tokens]
    words, spans = added_terms.label_spans(own_words)
    if restored := with_omitted_nouns(tokens, own_words, spans):
        tokens, own_words = restored, [token.text for token in restored]
        words, spans = added_terms.label_spans(own_words)
    return _parse_spans(
        sentence, tokens, words, spans, [" ".join(own_words[span.start : span.end]) for span in spans]
    )


def _parse_spans(
    sentence: str, tokens: Sequence[Token], words: Sequence[str], spans: Sequence[Span], texts: Sequence[str]
) -> Parse:
    """The parse of a sentence whose spans are labelled; `texts` has the text of each span's mention."""
    context = context_of(words, spans)
    mentions = [
        Mention(
            texts[index],
            _ABSENT_LABEL[span.label] if index in context.absent else span.label,
            tokens[span.start].start,
            tokens[span.end - 1].end,
            index in context.uncertain,
            index in context.denied,
        )
        for index, span in enumerate(spans)
    ]
    return parse_with_unclaimed(sentence, mentions, relate(words, spans, context.absent), context.unclaimed)
