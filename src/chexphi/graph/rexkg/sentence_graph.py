"""What the two networks found in one sentence, and the parse that is made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chexphi.graph.lexicon.context import context_of
from chexphi.graph.lexicon.spans import Span
from chexphi.graph.rexkg.rows import Entity
from chexphi.graph.types import Mention, Parse

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SentenceGraph:
    """Entities and relations of one sentence."""

    entities: tuple[Entity, ...]
    """In order of first, then last word. They may overlap."""
    edges: tuple[tuple[int, str, int], ...]
    """(subject, type, object), with positions in `entities`; sorted by subject, then object."""


def to_parse(text: str, words: Words, word_spans: Sequence[tuple[int, int]], graph: SentenceGraph) -> Parse:
    """The parse of a sentence: the networks tell labels, the cues of the lexicon doubt and denied qualities.

    Args:
        text: The sentence.
        words: Its words.
        word_spans: First character and one past the last, of each word.
        graph: What the networks found.
    """
    spans = [Span(" ".join(words[a : b + 1]), label, a, b + 1) for a, b, label in graph.entities]
    context = context_of(words, spans)  # no label says that a finding is uncertain
    mentions = []
    for number, span in enumerate(spans):
        start, end = word_spans[span.start][0], word_spans[span.end - 1][1]
        is_quality_or_doubt = span.label == "concept" or number in context.uncertain
        denied = span.label.endswith("notpresent") or (is_quality_or_doubt and number in context.denied)
        mentions.append(Mention(span.text, span.label, start, end, number in context.uncertain, denied))
    return Parse(text, tuple(mentions), frozenset(graph.edges))
