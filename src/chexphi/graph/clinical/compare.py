"""Compares what two texts find. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from chexphi.graph.clinical.assignment import best_assignment
from chexphi.graph.clinical.credit import EXPECTED, NOTHING, Credit, credit, goes_with, weight
from chexphi.graph.clinical.tidy import halved_like, meet, tidy
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import Finding

SLACK = 0.2
"""Added to both parts of the score, so that a report with few findings is not all or nothing. A report that
misses the one actionable finding (weight 0.6) is then worth 0.25."""
DENIED = 0.25
"""Further share of a finding's weight where one text claims it and the other denies it."""
BROADER = 0.5
"""Credit for `no abnormality` where the reference has `no pneumothorax`, among denials."""
Kind = Literal["contradicted", "invented", "missed", "partly", "matched"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What becomes of a finding, the worst first."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One finding of the comparison."""

    kind: Kind
    reference: Finding | None
    candidate: Finding | None
    weight: float
    credit: float = 0.0
    cost: float = 0.0
    reasons: tuple[str, ...] = ()
    contradicts: bool = False
    """Both texts speak of it, and they cannot both be right."""


class Denials(NamedTuple):
    """What both texts deny."""

    by_candidate: tuple[Finding, ...] = ()
    by_reference: tuple[Finding, ...] = ()
    shares: tuple[tuple[float, ...], ...] = ()
    """For each of the candidate's, how much of each of the reference's it denies; see `_covered`."""

    @property
    def share(self) -> float:
        """Of what the reference denies the share that the candidate denies too, of all that either denies; 1
        where the reference denies nothing."""
        if not self.by_reference:
            return 1.0
        covered = sum(max(column) for column in zip(*self.shares, strict=True))
        idle_count = sum(not any(row) for row in self.shares)
        return covered / (len(self.by_reference) + idle_count)


@dataclass(frozen=True, slots=True)
class ClinicalMatch:
    """The comparison of a candidate's findings with a reference's."""

    judged: tuple[Judged, ...]
    denials: Denials

    @property
    def worst_first(self) -> list[Judged]:
        """By kind in the order of `KINDS`, then the heavier first."""
        return sorted(self.judged, key=lambda item: (KINDS.index(item.kind), -item.weight))

    @property
    def possible(self) -> float:
        """Total weight of the reference's findings."""
        return sum(
            item.weight for item in self.judged if item.reference is not None and item.reference.present
        )

    @property
    def earned(self) -> float:
        return sum(item.credit for item in self.judged)

    @property
    def cost(self) -> float:
        """Weight of what is invented or contradicted."""
        return sum(item.cost for item in self.judged)

    @property
    def is_wrong(self) -> bool:
        """Whether anything is invented or contradicted."""
        return any(item.kind == "invented" or item.contradicts for item in self.judged)

    @property
    def affirmed(self) -> float:
        """`Denials.share`."""
        return self.denials.share

    @property
    def score(self) -> float:
        """In (0, 1]: for comparing reports of different patients. Silence has some, as it invents nothing."""
        return (self.earned + SLACK) / (self.possible + self.cost + SLACK)

    @property
    def signed(self) -> float:
        """The score on a scale on which silence is 0: at most 1, and below 0 where the report misleads.

        Where the reference names no finding, silence has no score of its own. Then it is the score times the
        share of the reference's denials that are made.
        """
        if not self.possible:
            return self.score * self.affirmed
        silence = SLACK / (self.possible + SLACK)
        return (self.score - silence) / (1 - silence)

    @property
    def reward(self) -> float:
        """In [0, 1]: `signed`, and 0 in place of what is below it. Training is paid this."""
        return max(0.0, self.signed)


def denies(denial: Finding, claim: Finding, ontology: Ontology) -> bool:
    """Whether a denial speaks of the claim: of its concept or one above it, in its place, time and degree."""
    if denial.concept not in ontology.ancestors.get(claim.concept, {claim.concept: 0}):
        return False
    denial_qualities, claim_qualities = denial.qualities, claim.qualities
    concept = ontology.concepts.get(claim.concept)
    is_old = claim_qualities.time == "chronic" or bool(concept and concept.chronic)
    if denial_qualities.time == "acute" and is_old:
        return False
    if denial_qualities.change == "new" and claim_qualities.change != "new":
        return False
    denied_degree = denial_qualities.degree or 0.0
    if denied_degree >= 3 and (claim_qualities.degree or 2) < denied_degree:
        return False
    return meet(denial_qualities.sides, claim_qualities.sides) and meet(
        denial_qualities.zones, claim_qualities.zones
    )


def _is_taken_back(claim: Finding, denials: Sequence[Finding], ontology: Ontology) -> bool:
    """Whether the same text denies the claim in so many words: it earns nothing, and costs if it is false."""
    return any(denial.concept == claim.concept and denies(denial, claim, ontology) for denial in denials)


def compare(
    candidate: Sequence[Finding], reference: Sequence[Finding], ontology: Ontology, indication: str = ""
) -> ClinicalMatch:
    """Match findings one to one, and price what is missed, invented or contradicted.

    Args:
        candidate: Findings of the text that is judged, as `findings` reads them.
        reference: Those of the text that is right.
        ontology: Kinship and significance.
        indication: Why the film was taken; with it two names may count nearly as one.
    """
    tidied, true_findings = tidy(candidate, ontology), tidy(reference, ontology)
    tidied, true_findings = halved_like(tidied, true_findings), halved_like(true_findings, tidied)
    denials = [f for f in tidied if not f.present]
    claims = [f for f in tidied if f.present and not _is_taken_back(f, denials, ontology)]
    retracted = [f for f in tidied if f.present and _is_taken_back(f, denials, ontology)]
    true_claims, true_denials = (
        [f for f in true_findings if f.present],
        [f for f in true_findings if not f.present],
    )
    credits = [[credit(c, r, ontology, indication) for c in claims] for r in true_claims]
    weights = [weight(r, ontology) for r in true_claims]
    gains = [[w * entry.value for entry in row] for w, row in zip(weights, credits, strict=True)]
    column_of_row = dict(best_assignment(gains))
    judged = []
    for row, (true_claim, value) in enumerate(zip(true_claims, weights, strict=True)):
        column = column_of_row.get(row)
        if column is not None:
            judged.append(_matched(claims[column], true_claim, value, credits[row][column], ontology))
        else:
            judged.append(_missed(true_claim, value, denials, ontology))
    for column in sorted(set(range(len(claims))) - set(column_of_row.values())):
        judged.append(_invented(claims[column], true_claims, true_denials, ontology))
    true_names = {finding.concept for finding in true_claims}
    judged += [_invented(f, (), true_denials, ontology) for f in retracted if f.concept not in true_names]
    return ClinicalMatch(tuple(judged), _denials(denials, true_denials, ontology))


def _matched(claim: Finding, truth: Finding, value: float, earned: Credit, ontology: Ontology) -> Judged:
    kind: Kind = "matched" if earned.value == 1 else "partly"
    cost = earned.wrong * weight(claim, ontology) if earned is not NOTHING else 0.0
    return Judged(kind, truth, claim, value, value * earned.value, cost, earned.reasons, earned.contradicts)


def _missed(truth: Finding, value: float, denials: Sequence[Finding], ontology: Ontology) -> Judged:
    if (denial := next((d for d in denials if denies(d, truth, ontology)), None)) is not None:
        return Judged(
            "contradicted", truth, denial, value, cost=DENIED * value, reasons=("denied",), contradicts=True
        )
    return Judged("missed", truth, None, value)


def _invented(
    claim: Finding, true_claims: Sequence[Finding], true_denials: Sequence[Finding], ontology: Ontology
) -> Judged:
    value = weight(claim, ontology)
    if (denial := next((d for d in true_denials if denies(d, claim, ontology)), None)) is not None:
        return Judged(
            "contradicted",
            denial,
            claim,
            value,
            cost=(1 + DENIED) * value,
            reasons=("the reference denies it",),
            contradicts=True,
        )
    if wholes := [weight(truth, ontology) for truth in true_claims if goes_with(claim, truth, ontology)]:
        reasons = ("goes with what the reference has",)
        cost = EXPECTED * min(value, *wholes)
        return Judged("invented", None, claim, value, cost=cost, reasons=reasons)
    return Judged("invented", None, claim, value, cost=value)


def _denials(denials: Sequence[Finding], true_denials: Sequence[Finding], ontology: Ontology) -> Denials:
    if not true_denials:
        return Denials(tuple(denials))
    shares = [tuple([_covered(denial, truth, ontology) for truth in true_denials]) for denial in denials]
    return Denials(tuple(denials), tuple(true_denials), tuple(shares))


def _covered(denial: Finding, truth: Finding, ontology: Ontology) -> float:
    """How much of a denial another denial makes: all by the same concept, a part by one above it.

    It has to be of as wide a place.
    """
    steps = ontology.ancestors.get(truth.concept, {truth.concept: 0}).get(denial.concept)
    sides, zones = denial.qualities.sides, denial.qualities.zones
    is_narrower = (bool(sides) and not (truth.qualities.sides and truth.qualities.sides <= sides)) or (
        bool(zones) and not (truth.qualities.zones and truth.qualities.zones <= zones)
    )
    if steps is None or is_narrower:
        return 0.0
    return BROADER if steps else 1.0
