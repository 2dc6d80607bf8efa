"""Annotated sentences for `chexphi kg train`: files, and drawn films' captions with their exact graphs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.tokens import tokenize
from chexphi.graph.types import Parse
from chexphi.kg.annotated import Annotated, annotate, place_of, read_annotated


def read(paths: Sequence[Path], *, limit: int | None = None) -> list[Annotated]:
    """The sentences of all files, at most `limit` of each."""
    return [row for path in paths for row in read_annotated(path)[:limit]]


def drawn(number: int, *, seed: int = 0) -> list[Annotated]:
    """So many different sentences of drawn films, a narrow language of which everything is known.

    The places are the lexicon's, which is exact here: a caption whose graph it does not return is an error.
    """
    rng, extractor = random.Random(seed), LexiconExtractor()
    found: dict[str, Annotated] = {}
    while len(found) < number:
        text = caption(rng, sample_scene(rng, sample_build(rng)), "train")[1]
        (parse,) = extractor.parse([text.think])
        assert parse.graph == text.graph, "the lexicon is exact on the drawn films' language"
        for sentence in text.think.split(". "):
            (parse,) = extractor.parse([sentence])
            found.setdefault(sentence, annotated(parse, group=f"drawn {len(found)}"))
    return list(found.values())[:number]


def annotated(parse: Parse, *, group: str = "") -> Annotated:
    """A parse of one sentence as an annotation of it."""
    tokens = [(token.start, token.end) for token in tokenize(parse.text)]
    places = [place_of(tokens, mention) or () for mention in parse.mentions]
    words = [parse.text[start:end] for start, end in tokens]
    return annotate(words, places, [list(edge) for edge in parse.edges], text=parse.text, group=group)
