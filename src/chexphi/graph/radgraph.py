"""RadGraph as an extractor, if its library is installed, and RadGraph F1 in two versions.

Standard library only. The library needs its own environment.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any, Literal

from chexphi.graph.match import Counts
from chexphi.graph.radgraph_annotations import entities_of, parse_annotation, word_spans
from chexphi.graph.types import Graph, Parse
from chexphi.schema import InputError

__all__ = [
    "LEVELS",
    "MODELS",
    "Level",
    "RadgraphExtractor",
    "align_to_text",
    "f1",
    "parse_annotation",
    "published_f1",
]

Level = Literal["simple", "partial", "complete"]
LEVELS: tuple[Level, ...] = ("simple", "partial", "complete")
MODELS = ("modern-radgraph-xl", "radgraph-xl", "radgraph")
"""Models of the library for reports on radiographs. Its `echograph` is left out: it reads echocardiograms."""

_MAX_GAP = 20
"""At most so many characters lie between two words of RadGraph: spaces, line ends, what RadGraph drops."""
_TEST_SENTENCE = "The lungs are clear."
_INSTALL_ADVICE = "pip install radgraph 'transformers<5' in an environment of its own"


def align_to_text(parse: Parse, text: str) -> Parse:
    """A parse with its positions moved to the text that RadGraph read.

    RadGraph puts spaces between words and marks, so its own text differs. A word that is not found near the
    expected position gets the position where the word before it ended.
    """
    starts, ends, search_start = {}, {}, 0
    for start, end in word_spans(parse.text):
        word = parse.text[start:end]
        match = re.compile(re.escape(word), re.IGNORECASE).search(
            text, search_start, search_start + len(word) + _MAX_GAP
        )
        starts[start], ends[end] = match.span() if match else (search_start, search_start)
        search_start = ends[end]
    mentions = (replace(m, start=starts[m.start], end=ends[m.end]) for m in parse.mentions)
    return Parse(text, tuple(mentions), parse.edges)


def f1(predicted: Parse, reference: Parse, level: Level = "partial") -> float:
    """RadGraph F1 of two reports (Delbrouck et al., EMNLP Findings 2022), without regard to upper case.

    `published_f1` gives the value of the released library, which treats `Effusion` and `effusion` as two.

    Args:
        predicted: From `parse_annotation`.
        reference: From `parse_annotation`.
        level: `simple` compares words and labels of entities. `partial` also compares whether an entity has a
            relation, and `complete` its relations with the words they point to.
    """
    return Counts.of(_items_in_any_case(predicted, level), _items_in_any_case(reference, level)).f1


def _items_in_any_case(parse: Parse, level: Level) -> set[tuple[Any, ...]]:
    items: set[tuple[Any, ...]] = set()
    for index, mention in enumerate(parse.mentions):
        entity = (mention.text, mention.label, mention.uncertain, mention.denied)
        relations = [(kind, parse.mentions[tail].text) for head, kind, tail in parse.edges if head == index]
        if level == "complete" and relations:
            items |= {(*entity, *relation) for relation in relations}
        else:
            items.add((*entity, bool(relations) and level == "partial"))
    return items


def published_f1(
    predicted: Mapping[str, Any], reference: Mapping[str, Any], level: Level = "partial"
) -> float:
    """RadGraph F1 as `F1RadGraph` of radgraph 0.1.18 computes it (`radgraph/rewards.py`).

    Words are compared as they are written. Only at level `complete`, an entity with relations and the words
    it points to are compared in lower case.

    Args:
        predicted: The library's annotation of the predicted report, as `parse_annotation` takes it.
        reference: The library's annotation of the reference report.
        level: `simple`, `partial` or `complete`; see `f1`.

    Raises:
        InputError: If one of them is not an annotation of RadGraph.
    """
    return Counts.of(_published_items(predicted, level), _published_items(reference, level)).f1


def _published_items(annotation: Mapping[str, Any], level: Level) -> set[tuple[Any, ...]]:
    entities = entities_of(annotation)
    items: set[tuple[Any, ...]] = set()
    for entity in entities.values():
        if level == "complete" and entity.relations:
            head = (entity.tokens.lower(), entity.label)
            items |= {(*head, kind, entities[tail].tokens.lower()) for kind, tail in entity.relations}
        else:
            items.add((entity.tokens, entity.label, level == "partial" and bool(entity.relations)))
    return items


def check_model(model_type: str) -> None:
    """Refuse a model that `RadgraphExtractor` cannot have; the library is looked for, not imported.

    Raises:
        InputError: If the model is unknown, or the library is missing.
    """
    if model_type not in MODELS:
        raise InputError(f"extractor radgraph has no model {model_type!r}: use {', '.join(MODELS)}")
    if "radgraph" not in sys.modules and importlib.util.find_spec("radgraph") is None:
        raise InputError(f"extractor radgraph:{model_type} needs the library radgraph: {_INSTALL_ADVICE}")


class RadgraphExtractor:
    """RadGraph with our interface; satisfies `chexphi.graph.types.Extractor`.

    The model is tried on one sentence when it is opened. What the library prints goes to standard error.

    Args:
        model_type: One of `MODELS`. The first is the default of this project.

    Raises:
        InputError: If the model is unknown, the library is missing, or it cannot open the model.
    """

    def __init__(self, model_type: str = MODELS[0]) -> None:
        check_model(model_type)
        name = f"extractor radgraph:{model_type}"
        try:
            library = importlib.import_module("radgraph")
        except ModuleNotFoundError as error:
            raise InputError(f"{name} needs the library {error.name}: {_INSTALL_ADVICE}") from None
        self.version = f"radgraph-{_version('radgraph')}-{model_type}"
        try:
            with redirect_stdout(sys.stderr):
                self._model = library.RadGraph(model_type=model_type)
                self._model([_TEST_SENTENCE])
        except Exception as error:  # any error of the library: no weights, a newer transformers
            raise InputError(f"{name} cannot be opened ({_first_line(error)}): {_remedy()}") from error

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse per text, in order. A blank text is not passed on: RadGraph would read the word `None`.

        Raises:
            InputError: If RadGraph leaves a text out, or an annotation does not have its form.
        """
        parse_of_position = {index: Parse(text) for index, text in enumerate(texts) if not text.strip()}
        positions = [index for index in range(len(texts)) if index not in parse_of_position]
        with redirect_stdout(sys.stderr):
            annotations = self._model([texts[index] for index in positions]) if positions else {}
        for number, index in enumerate(positions):
            if str(number) not in annotations:
                raise InputError(
                    f"RadGraph left out text {index + 1} of {len(texts)}: see its message above; leave "
                    "the text out, or read it with another extractor"
                )
            parse_of_position[index] = align_to_text(parse_annotation(annotations[str(number)]), texts[index])
        return [parse_of_position[index] for index in range(len(texts))]

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph per text, in order."""
        return [parse.graph for parse in self.parse(texts)]

    def parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        """One parse per sentence, in order; `chexphi.graph.service.Service` calls this."""
        return self.parse(texts)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _first_line(error: Exception) -> str:
    """The type of an error and the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:200]


def _remedy() -> str:
    version = _version("transformers")
    if version.partition(".")[0].isdecimal() and int(version.partition(".")[0]) >= 5:
        return f"radgraph 0.1.18 runs with transformers below 5, and this is {version}: {_INSTALL_ADVICE}"
    return "its weights have to be in radgraph's own cache, and its tokenizer in that of transformers"
