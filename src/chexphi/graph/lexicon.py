"""A rule-based extractor of entities and relations: a lexicon, its context, and relation rules.

Exact on the language of the drawn films (a test holds it at 100 %), and quick. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from chexphi.graph import context
from chexphi.graph.relations import relate
from chexphi.graph.spans import label
from chexphi.graph.text import sentences, tokenize
from chexphi.graph.types import Graph, Mention, Parse

_ABSENT = {"disorder_present": "disorder_notpresent", "devices_present": "devices_notpresent"}


class LexiconExtractor:
    """Graphs of texts by rules alone; satisfies `chexphi.graph.types.Extractor`."""

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph a text, in order; a text without any known word has the empty graph."""
        return [parse.graph for parse in self.parse(texts)]

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """The same with every mention's place in its text."""
        return [_parse(text) for text in texts]


def _parse(text: str) -> Parse:
    mentions: list[Mention] = []
    edges: set[tuple[int, str, int]] = set()
    for start, end in sentences(text):
        sentence = parse_sentence(text[start:end])
        first = len(mentions)
        mentions += [
            Mention(found.text, found.label, start + found.start, start + found.end, found.uncertain)
            for found in sentence.mentions
        ]
        edges |= {(first + head, kind, first + tail) for head, kind, tail in sentence.edges}
    return Parse(text, tuple(mentions), frozenset(edges))


@lru_cache(maxsize=4096)
def parse_sentence(sentence: str) -> Parse:
    """The mentions and relations of one sentence."""
    tokens = tokenize(sentence)
    words = [token.text for token in tokens]
    spans = label(words)
    said = context.read(words, spans)
    mentions = tuple(
        Mention(
            span.text,
            _ABSENT[span.label] if index in said.absent else span.label,
            tokens[span.start].start,
            tokens[span.end - 1].end,
            index in said.uncertain,
        )
        for index, span in enumerate(spans)
    )
    return Parse(sentence, mentions, frozenset(relate(words, spans, said.absent)))
