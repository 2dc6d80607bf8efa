"""Reads sentences with labelled spans and relations, and scores an extractor against them.

A file has one JSON object per line, in one of two forms. A sentence has `tokens`, `entities` as `[[first,
last, label]]` with token positions, and optionally `text` and `relations` as `[[head, type, tail]]`. A
document of PURE or ReXKG has `sentences`, `ner` and `relations`, with positions counted over the document.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi.files import json_lines, similar_names
from chexphi.graph.match import Counts
from chexphi.graph.types import LABELS, RELATION_TYPES, Extractor, Mention, Parse
from chexphi.kg.audit import figures
from chexphi.schema import InputError

LabelledSpan = tuple[int, int, str]
"""(first token, last token, label)"""
SpanRelation = tuple[LabelledSpan, str, LabelledSpan]


@dataclass(frozen=True, slots=True)
class AnnotatedSentence:
    """One sentence with the spans and relations that should be found in it."""

    text: str
    words: tuple[str, ...]
    tokens: tuple[tuple[int, int], ...]
    """First character and one past the last, of each token."""
    spans: frozenset[LabelledSpan]
    relations: frozenset[SpanRelation] | None
    """None: the relations were not annotated."""
    group: str = ""
    """The patient, document or sentence that it belongs to."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Counts summed over sentences. A span is correct if its first and last token are."""

    typed: Counts = field(default_factory=Counts)
    untyped: Counts = field(default_factory=Counts)
    tokens: Counts = field(default_factory=Counts)
    relations: Counts = field(default_factory=Counts)
    """A relation is correct if both spans, both labels and the type are."""
    by_label: Mapping[str, Counts] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Precision, recall and F1 of each kind of counts."""
        counts_of_kind = {
            "typed": self.typed,
            "untyped": self.untyped,
            "tokens": self.tokens,
            "relations": self.relations,
        }
        rows = {name: figures(counts) for name, counts in counts_of_kind.items() if not counts.empty}
        return rows | {"by_label": {name: figures(counts) for name, counts in self.by_label.items()}}


def read_annotated(path: Path) -> list[AnnotatedSentence]:
    """Read a file of annotated sentences.

    Raises:
        InputError: If the file is missing, or a row has no tokens, an unknown label or a position outside.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is not a file{similar_names(path)}: name a JSONL file of annotated sentences"
        )
    rows: list[AnnotatedSentence] = []
    lines = json_lines(path, advice="give JSON lines with tokens and entities")
    for number, (location, row) in enumerate(lines, 1):
        try:
            rows += _sentences_of_row(row, str(number))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise InputError(
                f"{location} is not an annotated sentence: give JSON lines with tokens and entities, or the "
                "folder of the IU reports"
            ) from None
    if not rows:
        raise InputError(f"{path} has no annotated sentence: give at least one")
    return rows


def _sentences_of_row(row: Mapping[str, Any], number: str) -> Iterator[AnnotatedSentence]:
    if "sentences" not in row:
        group = str(row.get("patient", row.get("id", number)))
        yield annotate(
            row["tokens"], row["entities"], row.get("relations"), text=row.get("text"), group=group
        )
        return
    relations_by_sentence: Sequence[Any] = row.get("relations") or [None] * len(row["sentences"])
    start = 0
    for words, ner, relation_rows in zip(row["sentences"], row["ner"], relations_by_sentence, strict=True):
        entities = [
            [first_token - start, last_token - start, label] for first_token, last_token, label in ner
        ]
        spans = [entity[:2] for entity in entities]
        relations = relation_rows and [
            [spans.index([a - start, b - start]), kind, spans.index([c - start, d - start])]
            for a, b, c, d, kind in relation_rows
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
) -> AnnotatedSentence:
    """One annotated sentence from its words and the positions of its entities and relations.

    Raises:
        ValueError, IndexError: If a position, a label or a type does not exist.
    """
    text = text or " ".join(words)
    spans = [_checked_span(entity, len(words)) for entity in entities]
    span_relations = None
    if relations is not None:
        for _, kind, _ in relations:
            RELATION_TYPES.index(kind)
        span_relations = frozenset((spans[head], kind, spans[tail]) for head, kind, tail in relations)
    return AnnotatedSentence(
        text, tuple(words), tuple(_token_positions(text, words)), frozenset(spans), span_relations, group
    )


def _checked_span(entity: Sequence[Any], token_count: int) -> LabelledSpan:
    first_token, last_token, label = entity
    if not 0 <= first_token <= last_token < token_count or label not in LABELS:
        raise ValueError(f"entity {entity}")
    return first_token, last_token, label


def _token_positions(text: str, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    at = 0
    for word in words:
        start = text.index(word, at)
        at = start + len(word)
        yield start, at


def evaluate(extractor: Extractor, rows: Sequence[AnnotatedSentence]) -> Scores:
    """Score an extractor on annotated sentences. It reads only their texts."""
    scores = Scores(by_label={label: Counts() for label in LABELS})
    for row, parse in zip(rows, extractor.parse([row.text for row in rows]), strict=True):
        scores = _add_sentence(scores, row, parse)
    return scores


def _add_sentence(scores: Scores, row: AnnotatedSentence, parse: Parse) -> Scores:
    span_of_index = [span_of_mention(row.tokens, mention) for mention in parse.mentions]
    # words have a label, whether they are claimed or not
    unclaimed_spans = (span_of_mention(row.tokens, mention) for mention in parse.unclaimed)
    spans = {span for span in (*span_of_index, *unclaimed_spans) if span}
    relations = {
        (head, kind, tail)
        for h, kind, t in parse.edges
        if (head := span_of_index[h]) and (tail := span_of_index[t])
    }
    by_label = {
        label: counts
        + Counts.of(
            {span for span in spans if span[2] == label}, {span for span in row.spans if span[2] == label}
        )
        for label, counts in scores.by_label.items()
    }
    return Scores(
        scores.typed + Counts.of(spans, row.spans),
        scores.untyped + Counts.of({span[:2] for span in spans}, {span[:2] for span in row.spans}),
        scores.tokens + Counts.of(_labelled_tokens(spans), _labelled_tokens(row.spans)),
        scores.relations + (Counts() if row.relations is None else Counts.of(relations, row.relations)),
        by_label,
    )


def span_of_mention(tokens: Sequence[tuple[int, int]], mention: Mention) -> LabelledSpan | None:
    """The span of the tokens that a mention overlaps; None if it overlaps none."""
    inside = [index for index, (a, b) in enumerate(tokens) if a < mention.end and mention.start < b]
    return (inside[0], inside[-1], mention.label) if inside else None


def _labelled_tokens(spans: set[LabelledSpan] | frozenset[LabelledSpan]) -> set[tuple[int, str]]:
    return {
        (index, label)
        for first_token, last_token, label in spans
        for index in range(first_token, last_token + 1)
    }
