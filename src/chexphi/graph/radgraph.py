"""RadGraph's output as our graphs, its own F1, and the extractor where the library is installed.

Both written forms are read: the labels of `radgraph` (`Observation::definitely present`) and their short
forms (`OBS-DP`). Standard library only; the library itself needs numpy < 2 and an environment of its own.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from chexphi.graph.match import Counts
from chexphi.graph.normalize import normalize
from chexphi.graph.types import RELATION_TYPES, Graph, Mention, Parse
from chexphi.schema import InputError

Level = Literal["simple", "partial", "complete"]

_LABELS = {
    "anatomy::definitely present": ("anatomy", False),
    "anatomy::definitely absent": ("anatomy", False),
    "anatomy::uncertain": ("anatomy", True),
    "observation::definitely present": ("disorder_present", False),
    "observation::definitely absent": ("disorder_notpresent", False),
    "observation::uncertain": ("disorder_present", True),
}
_SHORT = {
    "anat": "anatomy",
    "obs": "observation",
    "dp": "definitely present",
    "da": "definitely absent",
    "u": "uncertain",
}
_GAP = 20
"""Characters between two words of RadGraph at most, in the text it read: spaces, line ends, what it drops."""
MISSING = (
    "extractor radgraph needs the library radgraph: pip install radgraph, in an environment of its own (it "
    "needs numpy < 2)"
)


def label_of(name: str) -> tuple[str, bool]:
    """Our label, and whether it is uncertain.

    >>> label_of("OBS-U")
    ('disorder_present', True)

    Raises:
        ValueError: For a label that RadGraph has not.
    """
    parts = name.strip().lower().replace("::", "-", 1).split("-", 1)
    known = "::".join(_SHORT.get(part, part) for part in parts)
    if known not in _LABELS:
        raise ValueError(f"{name!r} is no label of RadGraph")
    return _LABELS[known]


def read(annotation: Mapping[str, Any]) -> Parse:
    """The parse of one report: `{"text", "entities": {id: {tokens, label, start_ix, end_ix, relations}}}`.

    Places are those of the words of `text`, which RadGraph separates by single spaces.

    Raises:
        ValueError, KeyError: If a label, a relation or a place is none of RadGraph's.
    """
    text = annotation["text"]
    words = _places(text)
    order = sorted(annotation["entities"], key=lambda key: (annotation["entities"][key]["start_ix"], key))
    rows = [annotation["entities"][key] for key in order]
    mentions, edges = [], set()
    for index, row in enumerate(rows):
        label, uncertain = label_of(row["label"])
        first, last = int(row["start_ix"]), int(row["end_ix"])
        if not 0 <= first <= last < len(words):
            raise ValueError(f"entity {order[index]} lies at words {first} to {last} of {len(words)}")
        denied = row["label"].lower().endswith(("absent", "da"))
        mentions.append(
            Mention(normalize(row["tokens"]), label, words[first][0], words[last][1], uncertain, denied)
        )
        for kind, other in row["relations"]:
            if kind not in RELATION_TYPES:
                raise ValueError(f"{kind!r} is no relation of RadGraph")
            edges.add((index, kind, order.index(other)))
    return Parse(text, tuple(mentions), frozenset(edges))


def _places(text: str) -> list[tuple[int, int]]:
    places, at = [], 0
    for word in text.split(" "):
        places.append((at, at + len(word)))
        at += len(word) + 1
    return places


def aligned(parse: Parse, text: str) -> Parse:
    """The same parse with its places in the text that RadGraph read: it cuts words and marks apart.

    A word that does not stand near its turn keeps the place where the one before it ended.
    """
    starts, ends, at = {}, {}, 0
    for start, end in _places(parse.text):
        word = parse.text[start:end]
        found = re.compile(re.escape(word), re.IGNORECASE).search(text, at, at + len(word) + _GAP)
        starts[start], ends[end] = found.span() if found else (at, at)
        at = ends[end]
    mentions = (replace(m, start=starts[m.start], end=ends[m.end]) for m in parse.mentions)
    return Parse(text, tuple(mentions), parse.edges)


def f1(predicted: Parse, reference: Parse, level: Level = "partial") -> float:
    """RadGraph F1 of two reports (Delbrouck et al., ACL Findings 2022; Jain et al., 2021).

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


class RadgraphExtractor:
    """RadGraph behind our interface; satisfies `chexphi.graph.types.Extractor`.

    Raises:
        InputError: Where the library cannot be imported.
    """

    def __init__(self, model_type: str = "modern-radgraph-xl") -> None:
        try:
            library = importlib.import_module("radgraph")
        except ImportError:
            raise InputError(MISSING) from None
        self.version = f"radgraph-{getattr(library, '__version__', '?')}-{model_type}"
        self._model = library.RadGraph(model_type=model_type)

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a text, in order."""
        if not texts:
            return []
        found = self._model(list(texts))
        return [aligned(read(found[str(index)]), text) for index, text in enumerate(texts)]

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph a text, in order."""
        return [parse.graph for parse in self.parse(texts)]

    def parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        """As `parse`: for the resident service."""
        return self.parse(texts)
