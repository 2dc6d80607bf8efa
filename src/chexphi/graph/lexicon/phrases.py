"""Noun phrases, the relations inside them, and what a sentence is about so far. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

from chexphi.graph.lexicon.relation_words import ATTRIBUTE, HEDGES, JOIN, PREPOSITIONS, SIDE, SUSPICIOUS
from chexphi.graph.lexicon.spans import Span

Edge = tuple[int, str, int]
"""(head, type, tail): positions in the list of spans."""
_QUALIFIERS = frozenset({"concept", "size"})
_DONE_WITH = frozenset(
    {"removed", "placed", "inserted", "replaced", "withdrawn", "advanced", "repositioned"}
    | {"removal", "placement", "insertion", "exchange", "replacement", "withdrawal", "repositioning"}
)
"""What was done with a device, said after it."""
_LEADS = SUSPICIOUS | {"suggestive"}


def noun_phrases(spans: Sequence[Span]) -> list[list[int]]:
    """The noun phrases: runs of spans without a word between them; `opacities suggestive of` is two."""
    phrases: list[list[int]] = []
    for index, span in enumerate(spans):
        if (
            phrases
            and spans[index - 1].end == span.start
            and not (span.text in _LEADS and _leads_on(spans, index))
        ):
            phrases[-1].append(index)
        else:
            phrases.append([index])
    return phrases


def _leads_on(spans: Sequence[Span], index: int) -> bool:
    """Whether a word leads to what a finding may be: `opacities suggestive of`, `a lesion suspicious for`."""
    is_before_noun = spans[index].end in (span.start for span in spans[index + 1 : index + 2])
    return spans[index].text == "suggestive" or not is_before_noun


def with_labels(spans: Sequence[Span], phrase: Sequence[int], labels: Set[str]) -> list[int]:
    """The positions of a phrase whose span has one of the labels."""
    return [index for index in phrase if spans[index].label in labels]


def relations_within(
    spans: Sequence[Span], phrase: Sequence[int], regions: Sequence[int], heads: Sequence[int]
) -> set[Edge]:
    """Relations inside one noun phrase with its anatomy and its findings: `small left pleural effusion`."""
    if len(heads) > 1 and spans[heads[-1]].text in _DONE_WITH and spans[heads[-2]].label == "devices_present":
        heads = heads[:-1]  # the tube lies there: `right chest tube removed`
    edges: set[Edge] = {(head, "located_at", region) for head in heads[-1:] for region in regions}
    edges |= {
        (procedure, "located_at", head)
        for procedure, head in pairwise(heads)
        if spans[procedure].label == "procedures"
    }
    for index in with_labels(spans, phrase, _QUALIFIERS):
        edges |= {(index, "modify", tail) for tail in _qualified_by(spans[index], index, regions, heads)}
    return edges


def _qualified_by(span: Span, index: int, regions: Sequence[int], heads: Sequence[int]) -> list[int]:
    """What a qualifier in a noun phrase qualifies: side words the anatomy, other words the finding."""
    words = set(span.words)
    if words & ATTRIBUTE and regions and regions[0] < index:
        return [regions[0]]
    regions_after = [region for region in regions if region > index]
    finding_after = [head for head in heads if head > index][-1:]
    tails = (regions_after[:1] or finding_after) if words & SIDE else []
    nouns_before = [noun for noun in [*regions, *heads] if noun < index]  # `heart enlarged`: no verb
    return tails + ((finding_after or regions_after[-1:] or nouns_before[-1:]) if words - SIDE else [])


def is_hedged(spans: Sequence[Span], phrase: Sequence[int]) -> bool:
    """Whether a word of the phrase leaves a doubt: `possible aspiration`."""
    return any(not HEDGES.isdisjoint(spans[index].words) for index in phrase)


_DETERMINERS = frozenset({"the", "a", "an", "its", "this", "that", "either", "each", "both"})


@dataclass(frozen=True, slots=True)
class Gap:
    """The words between two noun phrases."""

    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.words)

    def has(self, cue_words: frozenset[str]) -> bool:
        return not cue_words.isdisjoint(self.words)

    def starts_with(self, *openings: str) -> bool:
        return self.words[:1] != () and self.words[0] in openings

    @property
    def joins(self) -> bool:
        """The gap only joins two phrases: `, and the`."""
        return bool(self.words) and JOIN.issuperset(self.words)

    @property
    def ends_in_preposition(self) -> bool:
        """Only an article may stand between the preposition and the phrase."""
        content_words = [word for word in self.words if word not in _DETERMINERS]
        return bool(content_words) and content_words[-1] in PREPOSITIONS

    def after_semicolon(self) -> Gap:
        """The words after the last semicolon, because those before it belong to another statement."""
        if ";" not in self.words:
            return self
        return Gap(self.words[len(self.words) - self.words[::-1].index(";") :])


@dataclass(slots=True)
class DiscourseState:
    """What the words so far are about. Numbers are positions in the list of spans."""

    findings: list[int] = field(default_factory=list)
    """The last finding, with those joined to it."""
    regions: list[int] = field(default_factory=list)
    """The last anatomical region that was a subject, with those joined to it."""
    regions_lead: bool = False
    """The regions start the statement: `in the left lung there is …`."""
    subject: list[int] = field(default_factory=list)
    """What a predicate qualifies."""
    evidence: list[int] = field(default_factory=list)
    inferring: bool = False
    """`suggestive` was said."""
    after_because: bool = False
    """The evidence started with `because`."""
    pending_side: int | None = None
    """A side word that waits for its noun: `left and right lung`, `on the left there is …`."""
    gap_before_side: Gap | None = None
    """The words before the side word that waits. They belong to its noun."""
    spatial: int | None = None
    attribute: int | None = None
    quality: int | None = None
    previous_kind: str = ""
    """Kind of the previous phrase: `finding`, `region` or `quality`."""
    repeat_relation: Callable[[int], None] | None = None
    """Adds the last relation again, for a phrase that is joined by `and`."""
