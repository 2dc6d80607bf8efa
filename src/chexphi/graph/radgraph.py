"""RadGraph as an extractor, where the library is installed, and its F1 in two readings.

Standard library only; the library itself needs an environment of its own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any, Literal

from chexphi.graph.match import Counts
from chexphi.graph.radgraph_annotations import entities_of, places, read
from chexphi.graph.types import Graph, Parse
from chexphi.schema import InputError

__all__ = ["LEVELS", "MODELS", "Level", "RadgraphExtractor", "aligned", "f1", "published_f1", "read"]

Level = Literal["simple", "partial", "complete"]
LEVELS: tuple[Level, ...] = ("simple", "partial", "complete")
MODELS = ("modern-radgraph-xl", "radgraph-xl", "radgraph")
"""Models of the library for reports of radiographs; its `echograph` reads echocardiograms."""

_GAP = 20
"""Characters between two words of RadGraph at most, in the text it read: spaces, line ends, what it drops."""
_TRIED = "The lungs are clear."
_ENVIRONMENT = "pip install radgraph 'transformers<5' in an environment of its own"


def aligned(parse: Parse, text: str) -> Parse:
    """The same parse with its places in the text that RadGraph read: it cuts words and marks apart.

    A word that does not stand near its turn keeps the place where the one before it ended.
    """
    starts, ends, at = {}, {}, 0
    for start, end in places(parse.text):
        word = parse.text[start:end]
        found = re.compile(re.escape(word), re.IGNORECASE).search(text, at, at + len(word) + _GAP)
        starts[start], ends[end] = found.span() if found else (at, at)
        at = ends[end]
    mentions = (replace(m, start=starts[m.start], end=ends[m.end]) for m in parse.mentions)
    return Parse(text, tuple(mentions), parse.edges)


def f1(predicted: Parse, reference: Parse, level: Level = "partial") -> float:
    """RadGraph F1 of two reports (Delbrouck et al., EMNLP Findings 2022), words in any case.

    `published_f1` gives the figure of the library as released, which tells `Effusion` from `effusion`.

    Args:
        predicted: From `read`.
        reference: From `read`.
        level: `simple`: entities by words and label; `partial`: also whether they have a relation;
            `complete`: also their relations, each with the words it points to.
    """
    return Counts.of(_items(predicted, level), _items(reference, level)).f1


def _items(parse: Parse, level: Level) -> set[tuple[Any, ...]]:
    items: set[tuple[Any, ...]] = set()
    for index, mention in enumerate(parse.mentions):
        entity = (mention.text, mention.label, mention.uncertain, mention.denied)
        own = [(kind, parse.mentions[tail].text) for head, kind, tail in parse.edges if head == index]
        if level == "complete" and own:
            items |= {(*entity, *relation) for relation in own}
        else:
            items.add((*entity, bool(own) and level == "partial"))
    return items


def published_f1(
    predicted: Mapping[str, Any], reference: Mapping[str, Any], level: Level = "partial"
) -> float:
    """RadGraph F1 as `F1RadGraph` of radgraph 0.1.18 computes it (`radgraph/rewards.py`).

    Words are compared as they are written; only at level `complete`, an entity with relations and what it
    points to are compared in lower case.

    Args:
        predicted: The library's annotation of one report, as for `read`.
        reference: The same of the other report.
        level: As for `f1`.

    Raises:
        InputError: As `read`.
    """
    return Counts.of(_published_items(predicted, level), _published_items(reference, level)).f1


def _published_items(annotation: Mapping[str, Any], level: Level) -> set[tuple[Any, ...]]:
    entities = entities_of(annotation)
    items: set[tuple[Any, ...]] = set()
    for entity in entities.values():
        if level == "complete" and entity.relations:
            head = (entity.tokens.lower(), entity.label)
            items |= {(*head, kind, entities[other].tokens.lower()) for kind, other in entity.relations}
        else:
            items.add((entity.tokens, entity.label, level == "partial" and bool(entity.relations)))
    return items


class RadgraphExtractor:
    """RadGraph behind our interface; satisfies `chexphi.graph.types.Extractor`.

    The model is tried on one sentence when it is opened. What the library prints goes to standard error.

    Args:
        model_type: One of `MODELS`. The first is the default of this project.

    Raises:
        InputError: For another model, without the library, or if the library cannot open the model.
    """

    def __init__(self, model_type: str = MODELS[0]) -> None:
        if model_type not in MODELS:
            raise InputError(f"extractor radgraph has no model {model_type!r}: use {', '.join(MODELS)}")
        name = f"extractor radgraph:{model_type}"
        try:
            library = importlib.import_module("radgraph")
        except ModuleNotFoundError as error:
            raise InputError(f"{name} needs the library {error.name}: {_ENVIRONMENT}") from None
        self.version = f"radgraph-{_version('radgraph')}-{model_type}"
        try:
            with redirect_stdout(sys.stderr):
                self._model = library.RadGraph(model_type=model_type)
                self._model([_TRIED])
        except Exception as error:  # whatever a library of others meets: no weights, another transformers
            raise InputError(f"{name} cannot be opened ({_in_words(error)}): {_remedy()}") from error

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a text, in order; a blank one has nothing in it (RadGraph would read the word `None`).

        Raises:
            InputError: If RadGraph leaves a text out, or an annotation is none of its own.
        """
        found = {index: Parse(text) for index, text in enumerate(texts) if not text.strip()}
        asked = [index for index in range(len(texts)) if index not in found]
        with redirect_stdout(sys.stderr):
            annotations = self._model([texts[index] for index in asked]) if asked else {}
        for number, index in enumerate(asked):
            if str(number) not in annotations:
                raise InputError(
                    f"RadGraph left out text {index + 1} of {len(texts)}: its message stands above; leave "
                    "the text out, or read it with another extractor"
                )
            found[index] = aligned(read(annotations[str(number)]), texts[index])
        return [found[index] for index in range(len(texts))]

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph a text, in order."""
        return [parse.graph for parse in self.parse(texts)]

    def parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        """As `parse`: for the resident service."""
        return self.parse(texts)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _in_words(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:200]


def _remedy() -> str:
    version = _version("transformers")
    if version.partition(".")[0].isdecimal() and int(version.partition(".")[0]) >= 5:
        return f"radgraph 0.1.18 runs with transformers below 5, and this is {version}: {_ENVIRONMENT}"
    return "its weights have to be in radgraph's own cache, and its tokenizer in that of transformers"
