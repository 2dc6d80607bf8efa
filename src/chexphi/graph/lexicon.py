"""A rule-based extractor of entities and relations: a lexicon, denial, and relation rules.

Exact on the language of the drawn films (a test holds it at 100 %), and quick; on real reports it is a
first approximation of ReXKG's models. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from chexphi.graph.negation import denied
from chexphi.graph.relations import relate
from chexphi.graph.spans import Span, label, sentences, tokenize
from chexphi.graph.types import Entity, Graph

_ABSENT = {"disorder_present": "disorder_notpresent", "devices_present": "devices_notpresent"}


class LexiconExtractor:
    """Graphs of texts by rules alone; satisfies `chexphi.graph.types.Extractor`."""

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph a text, in order; a text without any known word has the empty graph."""
        return [self._graph(text) for text in texts]

    def _graph(self, text: str) -> Graph:
        entities: set[Entity] = set()
        relations: set[tuple[Entity, str, Entity]] = set()
        for sentence in sentences(text):
            graph = extract_sentence(sentence)
            entities |= graph.entities
            relations |= graph.relations
        return Graph(frozenset(entities), frozenset(relations))


@lru_cache(maxsize=4096)
def extract_sentence(sentence: str) -> Graph:
    """The graph of one sentence."""
    tokens = tokenize(sentence)
    spans = label(tokens)
    absent = denied(tokens, spans)
    entities = [_entity(span, gone=index in absent) for index, span in enumerate(spans)]
    edges = relate(tokens, spans, absent)
    return Graph(
        frozenset(entities), frozenset((entities[head], kind, entities[tail]) for head, kind, tail in edges)
    )


def _entity(span: Span, *, gone: bool) -> Entity:
    return span.text, _ABSENT[span.label] if gone else span.label
