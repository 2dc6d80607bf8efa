"""Sentences with labelled spans and relations: read them, and score an extractor against them.

Standard library only. Forms that are read, a JSON object a line: `tokens` with `entities` `[[first, last,
label]]` (inclusive token positions) and, where annotated, `text` and `relations` `[[head, type, tail]]`;
documents of PURE and ReXKG, `sentences`, `ner` and `relations` with positions counted over the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi.files import json_lines
from chexphi.graph.match import Counts
from chexphi.graph.types import LABELS, RELATION_TYPES, Extractor, Mention, Parse
from chexphi.kg.audit import figures
from chexphi.schema import InputError

Place = tuple[int, int, str]
"""(first token, last token, label)"""
Link = tuple[Place, str, Place]


@dataclass(frozen=True, slots=True)
class Annotated:
    """One sentence with what should be found in it."""

    text: str
    words: tuple[str, ...]
    tokens: tuple[tuple[int, int], ...]
    """First character and one past the last, a token."""
    places: frozenset[Place]
    links: frozenset[Link] | None
    """None: the relations were not annotated."""
    group: str = ""
    """Whose sentence it is: patient, document or sentence."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Micro counts over sentences; a span is right if its first and last token are."""

    typed: Counts = field(default_factory=Counts)
    untyped: Counts = field(default_factory=Counts)
    tokens: Counts = field(default_factory=Counts)
    relations: Counts = field(default_factory=Counts)
    """Both ends, both labels and the type."""
    by_label: Mapping[str, Counts] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Precision, recall and F1 of each part."""
        parts = {
            "typed": self.typed,
            "untyped": self.untyped,
            "tokens": self.tokens,
            "relations": self.relations,
        }
        rows = {name: figures(counts) for name, counts in parts.items() if not counts.empty}
        return rows | {"by_label": {name: figures(counts) for name, counts in self.by_label.items()}}


def read_annotated(path: Path) -> list[Annotated]:
    """Read a file of annotated sentences.

    Raises:
        InputError: For a missing file, or a row without tokens, with an unknown label or a position outside.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file: name a JSONL file of annotated sentences")
    rows: list[Annotated] = []
    lines = json_lines(path, advice="give JSON lines with tokens and entities")
    for number, (where, row) in enumerate(lines, 1):
        try:
            rows += _rows(row, str(number))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise InputError(
                f"{where} is not an annotated sentence: give JSON lines with tokens and entities, or the "
                "folder of the IU reports"
            ) from None
    if not rows:
        raise InputError(f"{path} has no annotated sentence")
    return rows


def _rows(row: Mapping[str, Any], number: str) -> Iterator[Annotated]:
    if "sentences" not in row:
        group = str(row.get("patient", row.get("id", number)))
        yield annotate(
            row["tokens"], row["entities"], row.get("relations"), text=row.get("text"), group=group
        )
        return
    links: Sequence[Any] = row.get("relations") or [None] * len(row["sentences"])
    start = 0
    for words, ner, own in zip(row["sentences"], row["ner"], links, strict=True):
        entities = [[first - start, last - start, label] for first, last, label in ner]
        places = [entity[:2] for entity in entities]
        relations = own and [
            [places.index([a - start, b - start]), kind, places.index([c - start, d - start])]
            for a, b, c, d, kind in own
        ]
        if words:
            yield annotate(words, entities, relations, group=str(row.get("doc_key", number)))
        start += len(words)


def annotate(
    words: Sequence[str],
    entities: Sequence[Sequence[Any]],
    relations: Sequence[Sequence[Any]] | None = None,
    *,
    text: str | None = None,
    group: str = "",
) -> Annotated:
    """One sentence from its words and positions.

    Raises:
        ValueError, IndexError: If a position, a label or a type is none.
    """
    text = text or " ".join(words)
    places = [_place(entity, len(words)) for entity in entities]
    links = None
    if relations is not None:
        for _, kind, _ in relations:
            RELATION_TYPES.index(kind)
        links = frozenset((places[head], kind, places[tail]) for head, kind, tail in relations)
    return Annotated(text, tuple(words), tuple(_aligned(text, words)), frozenset(places), links, group)


def _place(entity: Sequence[Any], size: int) -> Place:
    first, last, label = entity
    if not 0 <= first <= last < size or label not in LABELS:
        raise ValueError(f"entity {entity}")
    return first, last, label


def _aligned(text: str, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    at = 0
    for word in words:
        start = text.index(word, at)
        at = start + len(word)
        yield start, at


def evaluate(extractor: Extractor, rows: Sequence[Annotated]) -> Scores:
    """Score an extractor on annotated sentences, from their text."""
    scores = Scores(by_label={label: Counts() for label in LABELS})
    for row, parse in zip(rows, extractor.parse([row.text for row in rows]), strict=True):
        scores = _add(scores, row, parse)
    return scores


def _add(scores: Scores, row: Annotated, parse: Parse) -> Scores:
    found = [place_of(row.tokens, mention) for mention in parse.mentions]
    apart = (
        place_of(row.tokens, mention) for mention in parse.unclaimed
    )  # labels are of words, not of claims
    places = {place for place in (*found, *apart) if place}
    links = {(head, kind, tail) for h, kind, t in parse.edges if (head := found[h]) and (tail := found[t])}
    by_label = {
        label: counts
        + Counts.of({p for p in places if p[2] == label}, {p for p in row.places if p[2] == label})
        for label, counts in scores.by_label.items()
    }
    return Scores(
        scores.typed + Counts.of(places, row.places),
        scores.untyped + Counts.of({p[:2] for p in places}, {p[:2] for p in row.places}),
        scores.tokens + Counts.of(_labelled(places), _labelled(row.places)),
        scores.relations + (Counts() if row.links is None else Counts.of(links, row.links)),
        by_label,
    )


def place_of(tokens: Sequence[tuple[int, int]], mention: Mention) -> Place | None:
    """The tokens that a mention touches."""
    inside = [index for index, (a, b) in enumerate(tokens) if a < mention.end and mention.start < b]
    return (inside[0], inside[-1], mention.label) if inside else None


def _labelled(places: set[Place] | frozenset[Place]) -> set[tuple[int, str]]:
    return {(index, label) for first, last, label in places for index in range(first, last + 1)}
