"""Noun phrases, the relations inside one, and what a sentence is about so far. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from chexphi.graph import cues
from chexphi.graph.lexicon.spans import FINDINGS, Span

Edge = tuple[int, str, int]
"""(head, type, tail): positions in the list of spans."""


def groups(spans: Sequence[Span]) -> list[list[int]]:
    """Noun phrases: spans without a word between them; `opacities suggestive of` are two."""
    found: list[list[int]] = []
    for index, span in enumerate(spans):
        if found and spans[index - 1].end == span.start and span.text != "suggestive":
            found[-1].append(index)
        else:
            found.append([index])
    return found


def of(spans: Sequence[Span], group: Sequence[int], *labels: str) -> list[int]:
    """The positions of a group that have one of the labels."""
    return [index for index in group if spans[index].label in labels]


def within(spans: Sequence[Span], group: Sequence[int]) -> set[Edge]:
    """Relations inside one noun phrase: `small left pleural effusion`, `heart size`."""
    places, heads = of(spans, group, "anatomy"), of(spans, group, *FINDINGS)
    edges: set[Edge] = {(head, "located_at", place) for head in heads[-1:] for place in places}
    edges |= {
        (first, "located_at", second)
        for first, second in pairwise(heads)
        if spans[first].label == "procedures"
    }
    for index in of(spans, group, "concept", "size"):
        edges |= {(index, "modify", tail) for tail in _qualified(spans[index], index, places, heads)}
    return edges


def _qualified(span: Span, index: int, places: Sequence[int], heads: Sequence[int]) -> list[int]:
    """What a qualifier in a noun phrase belongs to: side words to the anatomy, others to the finding."""
    words = set(span.words)
    if words & cues.ATTRIBUTE and places and places[0] < index:
        return [places[0]]
    after = [place for place in places if place > index]
    head = [finding for finding in heads if finding > index][-1:]
    tails = (after[:1] or head) if words & cues.SIDE else []
    before = [noun for noun in [*places, *heads] if noun < index]  # `heart enlarged`: no verb
    return tails + ((head or after[-1:] or before[-1:]) if words - cues.SIDE else [])


@dataclass(slots=True)
class State:
    """What the words so far are about."""

    findings: list[int] = field(default_factory=list)
    """The finding named last, with those joined to it."""
    places: list[int] = field(default_factory=list)
    """The place named last as a subject, with those joined to it."""
    lead: bool = False
    """The places opened the statement: `in the left lung there is …`."""
    subject: list[int] = field(default_factory=list)
    """What a predicate qualifies."""
    evidence: list[int] = field(default_factory=list)
    inferring: bool = False
    """`suggestive` stood before."""
    reason: bool = False
    """The evidence was opened by `because`."""
    pending: int | None = None
    """A side word that waits for its noun: `left and right lung`, `on the left there is …`."""
    held: Sequence[str] = ()
    """The words before the side word that waits: they belong to its noun."""
    spatial: int | None = None
    attribute: int | None = None
    quality: int | None = None
    last: str = ""
    """Kind of the phrase before."""
    again: Callable[[int], None] | None = None
    """Repeats the last relation for a phrase joined by `and`."""
