"""The parts of an explanation, and how it is made from the evidence of a score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chexphi.graph import claims
from chexphi.graph.clinical.wording import both_phrases
from chexphi.graph.findings.records import Finding
from chexphi.graph.types import Entity, Graph, Parse, Relation
from chexphi.prompts import ParseStatus
from chexphi.rewards.explain import as_html, as_text, reasons
from chexphi.rewards.explain.evidence import Evidence
from chexphi.rewards.explain.items import Item, Span
from chexphi.rewards.explain.reasons import Reason
from chexphi.rewards.rules import CLINICAL

SpansOfItems = Mapping[Entity | Relation, Sequence[Span]]


@dataclass(frozen=True)
class Explanation:
    """Why one completion earned what it did. It shows both texts: it is patient data, as they are."""

    reasons: tuple[Reason, ...]
    """Each part of the reward with its value, and why: `format`, the answer, the graph, `total`."""
    items: tuple[Item, ...]
    """Every entity, then every relation, of either graph; with the measure `clinical` every finding that is
    claimed, in place of them. What is contradicted or missed comes first."""
    evidence: Evidence

    @property
    def matched(self) -> tuple[Item, ...]:
        """What both graphs have."""
        return tuple(item for item in self.items if item.verdict == "matched")

    @property
    def missed(self) -> tuple[Item, ...]:
        """What only the reference has."""
        return tuple(item for item in self.items if item.verdict == "missed")

    @property
    def invented(self) -> tuple[Item, ...]:
        """What only the completion has."""
        return tuple(item for item in self.items if item.verdict == "invented")

    @property
    def contradicted(self) -> tuple[Item, ...]:
        """The reference's claims that the completion contradicts; each is also matched or missed."""
        return tuple(item for item in self.items if item.contradicted)

    def __str__(self) -> str:
        return as_text.table(self.reasons, self.items)

    def _repr_html_(self) -> str:
        """For notebooks: both texts with marks, and the comparison; everything of the texts is escaped."""
        return as_html.page(self.reasons, self.items, self.evidence)


def explain(evidence: Evidence, rewards: Mapping[str, float | None], total: float | None) -> Explanation:
    """Compare both graphs item by item, and say where the total comes from.

    Args:
        evidence: What the score was made from.
        rewards: The rewards by their public names.
        total: The total of the score.
    """
    if evidence.as_original:
        items: tuple[Item, ...] | list[Item] = ()
    elif evidence.graph_rule.measure == CLINICAL:
        items = sorted(compared_findings(evidence), key=urgency)
    else:
        items = sorted(compared(evidence), key=urgency)
    return Explanation(reasons.reasons(evidence, rewards, total), tuple(items), evidence)


def compared(evidence: Evidence) -> tuple[Item, ...]:
    """Every entity and relation of either graph: matched, missed or invented, and contradicted or not."""
    predicted, reference = evidence.predicted, evidence.reference
    completion_spans, reference_spans = map(spans_of, evidence.parses)
    notes = contradictions(predicted, reference)
    items = []
    for entity in sorted(reference.entities | predicted.entities):
        note, opposing = notes.get(entity, ("", entity))
        items.append(
            Item(
                verdict=verdict_of(entity in predicted.entities, entity in reference.entities),
                kind="entity",
                name=entity[0],
                label=entity[1],
                in_completion=tuple(completion_spans.get(opposing, ())),
                in_reference=tuple(reference_spans.get(entity, ())),
                contradicted=bool(note),
                note=note,
            )
        )
    for relation in sorted(reference.relations | predicted.relations):
        (head, _), kind, (tail, _) = relation
        items.append(
            Item(
                verdict=verdict_of(relation in predicted.relations, relation in reference.relations),
                kind="relation",
                name=f"{head} {kind} {tail}",
                label=kind,
                in_completion=tuple(completion_spans.get(relation, ())),
                in_reference=tuple(reference_spans.get(relation, ())),
            )
        )
    return tuple(items)


def compared_findings(evidence: Evidence) -> list[Item]:
    """Every finding that either reasoning claims; none where a completion is malformed."""
    if evidence.clinical is None or evidence.parsed.status is not ParseStatus.ok:
        return []
    completion, reference = evidence.parses
    return [
        Item(
            verdict=verdict_of(_claims(judged.candidate), _claims(judged.reference)),
            kind="finding",
            name=both_phrases(judged),
            label=(judged.reference or judged.candidate or Finding("")).concept,
            in_completion=_span(completion.text, judged.candidate),
            in_reference=_span(reference.text, judged.reference),
            contradicted=judged.contradicts,
            note=", ".join(judged.reasons),
        )
        for judged in evidence.clinical.judged
    ]


def _claims(finding: Finding | None) -> bool:
    return finding is not None and finding.present


def _span(text: str, finding: Finding | None) -> tuple[Span, ...]:
    if finding is None or not finding.end:  # a denial that stands for several has no place
        return ()
    return (Span(text[finding.start : finding.end], finding.start, finding.end),)


def urgency(item: Item) -> tuple[bool, bool, int]:
    """Entities before relations; in each what is contradicted, missed, invented, and then what matched."""
    order = ("missed", "invented", "matched")
    return item.kind == "relation", not item.contradicted, order.index(item.verdict)


def verdict_of(is_predicted: bool, is_reference: bool) -> Literal["matched", "missed", "invented"]:
    """What becomes of an item that is in one graph or in both."""
    if is_predicted and is_reference:
        return "matched"
    return "invented" if is_predicted else "missed"


def contradictions(predicted: Graph, reference: Graph) -> dict[Entity, tuple[str, Entity]]:
    """Each claim of the reference that is contradicted: how, and the entity that contradicts it."""
    contradiction_of: dict[Entity, tuple[str, Entity]] = {}
    for claim in claims.contradicted(predicted, reference):
        sides, own_sides = sides_of(predicted, claim), sides_of(reference, claim)
        if sides and own_sides and not sides & own_sides:
            words = f"{' and '.join(sorted(sides))} here, {' and '.join(sorted(own_sides))} in the reference"
            contradiction_of[claim] = (words, claim)
        else:
            word = "denied" if claim[1].endswith("_present") else "claimed"
            contradiction_of[claim] = (f"{word} here", (claim[0], claims.OPPOSITE[claim[1]]))
    return contradiction_of


def sides_of(graph: Graph, entity: Entity) -> set[str]:
    """The sides on which a graph has an entity."""
    return {side for named_entity, side in graph.sides if named_entity == entity}


def spans_of(parse: Parse) -> SpansOfItems:
    """Where a text names each entity, and both ends of each relation."""
    spans: defaultdict[Entity | Relation, list[Span]] = defaultdict(list)
    mention_spans = [Span(parse.text[m.start : m.end], m.start, m.end) for m in parse.mentions]
    for mention, span in zip(parse.mentions, mention_spans, strict=True):
        spans[mention.entity].append(span)
    for head, kind, tail in sorted(parse.edges):
        relation = (parse.mentions[head].entity, kind, parse.mentions[tail].entity)
        spans[relation] += [mention_spans[head], mention_spans[tail]]
    return spans
