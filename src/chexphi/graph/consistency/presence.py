"""Whether statements entail one more finding, or contradict it. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from chexphi.graph.consistency.changes import ABSENT_NOW, ON_BOTH_FILMS
from chexphi.graph.consistency.fit import fit
from chexphi.graph.consistency.hypotheses import Claim, Hypothesis
from chexphi.graph.consistency.statements import Statement
from chexphi.graph.findings.ontology import Ontology

Verdict = Literal["entails", "silent", "contradicts"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
OPPOSITE: dict[Verdict, Verdict] = {"entails": "contradicts", "contradicts": "entails", "silent": "silent"}
SIGNS = frozenset({"blunted_costophrenic_angle"})
"""Concepts that speak for the one above them, and may also have another cause."""
LUNG = "lung_abnormality"
"""Only what is under it lies in zones; the zone of an angle or of a `limit` is none."""
BOTH_SIDES = frozenset({"left", "right"})


def joint_status(claim: Claim, statements: Sequence[Statement], ontology: Ontology) -> Verdict:
    """The verdict on all hypotheses of a claim together, or on any of them where one is enough."""
    verdicts = [
        status(hypothesis, statements, ontology)
        for hypotheses in map(_by_sides, claim.hypotheses)
        for hypothesis in hypotheses
    ]
    strongest: Verdict = "entails" if claim.any_is_enough else "contradicts"
    weakest = OPPOSITE[strongest]
    if strongest in verdicts:
        return strongest
    return weakest if all(verdict == weakest for verdict in verdicts) else "silent"


def _by_sides(hypothesis: Hypothesis) -> list[Hypothesis]:
    """A bilateral finding as one on each side."""
    sides = hypothesis.qualities.sides
    if len(sides) < 2 or hypothesis.side_is_asked or not hypothesis.present:
        return [hypothesis]
    return [
        replace(hypothesis, qualities=replace(hypothesis.qualities, sides=frozenset({side})))
        for side in sorted(sides)
    ]


def status(hypothesis: Hypothesis, statements: Sequence[Statement], ontology: Ontology) -> Verdict:
    """Whether statements entail a hypothesis, or contradict it."""
    verdict = _presence(hypothesis, statements, ontology)
    if hypothesis.present:
        return verdict
    claims = _claims(hypothesis, statements, ontology)
    only_signs = claims and all(claim.finding.concept in SIGNS - hypothesis.concepts for claim in claims)
    return "silent" if verdict == "entails" and only_signs else OPPOSITE[verdict]


def is_kind_of(concept: str, hypothesis: Hypothesis, ontology: Ontology) -> bool:
    """Whether a finding is of a kind that a hypothesis names; without a name, whether it is no device."""
    ancestors = ontology.ancestors.get(concept, {concept: 0})
    if not hypothesis.concepts:
        return "device" not in ancestors
    return not hypothesis.concepts.isdisjoint(ancestors)


def _presence(hypothesis: Hypothesis, statements: Sequence[Statement], ontology: Ontology) -> Verdict:
    if hypothesis.changes & ABSENT_NOW:
        return _of_change(hypothesis, statements, ontology)
    claims = _claims(hypothesis, statements, ontology)
    certain_claims = [claim for claim in claims if claim.finding.certain]
    if hypothesis.side_is_asked and (sides := _sides(certain_claims)):
        return "entails" if sides == hypothesis.qualities.sides else "contradicts"
    fits = [fit(claim, hypothesis) for claim in certain_claims]
    denials = [s for s in statements if not (s.finding.present or s.is_elsewhere) and s.finding.certain]
    fitting = [claim for claim, is_fit in zip(certain_claims, fits, strict=True) if is_fit]
    if fitting:
        taken_back = all(any(_takes_back(d, claim) for d in denials) for claim in fitting)
        return "silent" if taken_back else "entails"
    if _are_denied(hypothesis, denials, ontology):
        return "silent" if len(certain_claims) < len(claims) else "contradicts"
    return "contradicts" if fits and all(is_fit is False for is_fit in fits) else "silent"


def _sides(claims: Sequence[Statement]) -> frozenset[str]:
    return frozenset[str]().union(*(claim.finding.qualities.sides for claim in claims))


def _claims(hypothesis: Hypothesis, statements: Sequence[Statement], ontology: Ontology) -> list[Statement]:
    """Claims of a finding by its own name; without one, those of its kinds, unless the name is denied.

    A nodule is an opacity, but not for a text that says `no opacity` beside it.
    """
    named_statements = [s for s in statements if s.finding.concept in hypothesis.concepts]
    if named_statements:
        return [s for s in named_statements if s.finding.present and not s.is_elsewhere]
    return [
        s
        for s in statements
        if s.finding.present and not s.is_elsewhere and is_kind_of(s.finding.concept, hypothesis, ontology)
    ]


def _takes_back(denial: Statement, claim: Statement) -> bool:
    """Whether a denial is of the same finding in the same place as a claim."""
    denied, claimed = denial.finding, claim.finding
    return (
        denied.concept == claimed.concept
        and (not denied.qualities.sides or claimed.qualities.sides <= denied.qualities.sides)
        and bool(claimed.qualities.sides or not denied.qualities.sides)
        and denied.qualities.zones == claimed.qualities.zones
        and not _is_narrow(denial, claimed.qualities.degree)
    )


def _is_narrow(denial: Statement, degree: float | None) -> bool:
    """Whether only something large or new is denied: `no large effusion`, `no new nodule`."""
    denied_degree = denial.finding.qualities.degree or 0.0
    return "unchanged" in denial.changes or (denied_degree >= 3 and (degree or 2) < denied_degree)


def _are_denied(hypothesis: Hypothesis, denials: Sequence[Statement], ontology: Ontology) -> bool:
    """Whether denials together leave no place for a finding."""
    degree, target = hypothesis.qualities.degree, hypothesis.qualities
    sides = set[str]()
    for denial in denials:
        if not _is_denied_by(denial, hypothesis, ontology):
            continue
        if _is_narrow(denial, degree) and not (
            "unchanged" in denial.changes and hypothesis.changes == {"new"}
        ):
            continue
        qualities = denial.finding.qualities
        if denial.changes == {"resolved"}:
            return True  # the one that was there
        is_of_lung = LUNG in ontology.ancestors.get(denial.finding.concept, ())
        if is_of_lung and qualities.zones and not (target.zones and target.zones <= qualities.zones):
            continue
        if not qualities.sides:
            return True
        sides |= qualities.sides
    return bool(target.sides & sides) if target.sides else sides == BOTH_SIDES


def _is_denied_by(denial: Statement, hypothesis: Hypothesis, ontology: Ontology) -> bool:
    """Whether a denial is of a finding, or of one above it."""
    if not hypothesis.concepts:
        return False
    concepts = [ontology.concepts.get(name) for name in hypothesis.concepts]
    is_old = any(concept is not None and concept.chronic for concept in concepts)
    if denial.finding.qualities.time == "acute" and is_old:
        return False
    return any(
        denial.finding.concept in ontology.ancestors.get(name, {name: 0}) for name in hypothesis.concepts
    )


def _of_change(hypothesis: Hypothesis, statements: Sequence[Statement], ontology: Ontology) -> Verdict:
    """A finding that may be gone: its claims and its denials count alike.

    What has resolved is itself meant, or one of its kinds; what is on no film leaves none of its kinds.
    """
    named_statements = [s for s in statements if s.finding.concept in hypothesis.concepts]
    kin = [
        s
        for s in statements
        if (
            is_kind_of(s.finding.concept, hypothesis, ontology)
            if s.finding.present or s.changes == {"resolved"}
            else _is_denied_by(s, hypothesis, ontology)
        )
    ]
    relevant = [s for s in named_statements or kin if s.finding.certain and not s.is_elsewhere]
    fits = [fit(statement, hypothesis) for statement in relevant]
    if True in fits:
        return "contradicts" if _is_left_elsewhere(hypothesis, relevant) else "entails"
    return "contradicts" if fits and None not in fits else "silent"


def _is_left_elsewhere(hypothesis: Hypothesis, statements: Sequence[Statement]) -> bool:
    """Whether what is gone on one side was on the other, too, and still is, where no side is asked for."""
    sides_gone, sides_of_rest = (
        frozenset[str]().union(*(s.finding.qualities.sides for s in statements if s.changes <= kinds))
        for kinds in (ABSENT_NOW, ON_BOTH_FILMS)
    )
    return not hypothesis.qualities.sides and bool(sides_gone and sides_of_rest - sides_gone)
