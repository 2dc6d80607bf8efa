"""Annotated sentences for `chexphi kg train`: from files, and from captions of drawn films."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.tokens import tokenize
from chexphi.graph.types import Parse
from chexphi.kg.annotated import AnnotatedSentence, annotate, read_annotated, span_of_mention


def read_sentences(paths: Sequence[Path], *, limit: int | None = None) -> list[AnnotatedSentence]:
    """The sentences of all files, at most `limit` of each."""
    return [row for path in paths for row in read_annotated(path)[:limit]]


def draw_sentences(number: int, *, seed: int = 0) -> list[AnnotatedSentence]:
    """`number` different sentences from captions of drawn films, whose exact graphs are known.

    The lexicon gives the positions. It is exact on these captions: another graph than the known one is an
    error.
    """
    rng, extractor = random.Random(seed), LexiconExtractor()
    sentences: dict[str, AnnotatedSentence] = {}
    while len(sentences) < number:
        text = caption(rng, sample_scene(rng, sample_build(rng)), "train")[1]
        (parse,) = extractor.parse([text.think])
        assert parse.graph == text.graph, "the lexicon is exact on the drawn films' language"
        for sentence in text.think.split(". "):
            (parse,) = extractor.parse([sentence])
            sentences.setdefault(sentence, annotate_parse(parse, group=f"drawn {len(sentences)}"))
    return list(sentences.values())[:number]


def annotate_parse(parse: Parse, *, group: str = "") -> AnnotatedSentence:
    """The parse of a sentence, as an annotated sentence."""
    tokens = [(token.start, token.end) for token in tokenize(parse.text)]
    spans = [span_of_mention(tokens, mention) or () for mention in parse.mentions]
    words = [parse.text[start:end] for start, end in tokens]
    return annotate(words, spans, [list(edge) for edge in parse.edges], text=parse.text, group=group)
