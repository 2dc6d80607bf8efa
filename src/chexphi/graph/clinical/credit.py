"""How much of a finding another finding says. Constants are set by reason, and none is fitted to data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from chexphi.graph.clinical.tidy import meet
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import Finding

WEIGHTS = {"urgent": 1.0, "actionable": 0.6, "minor": 0.25, "benign": 0.1}
"""Of a finding by its significance. Missing an urgent one costs more than missing two minor ones."""

STEP = 0.6
"""Credit for a parent or a child, for each step: `opacity` for `pneumonia`."""
ALIKE, INTERCHANGEABLE = 0.8, 0.95
"""Credit for a concept that is used for the same picture; the second if the indication speaks for it."""
FAMILY = 0.2
"""Credit for naming only the region: `abnormality of the lung`."""
LEAST = 0.25
"""With less credit it is another finding: one is missed, and one is invented."""
UNSAID = 0.95
"""A quality of the reference that is left out."""
SIDE_UNSAID, SIDE_WRONG = 0.85, 0.3
"""The side is where a drain goes: leaving it out costs more. A wrong one costs most of the credit, and what
is said of the other side is invented as a whole."""
ZONE_WRONG = 0.75
DEGREE_STEP = 0.15
"""For each step of the scale from trace to large."""
SIZE_WRONG = 0.4
"""The least credit for a size; the ratio of both sizes gives the rest."""
CHANGE_SIMILAR, CHANGE_OTHER, CHANGE_OPPOSITE = 0.9, 0.5, 0.4
"""`new` for `increased`, `new` for `unchanged`, `new` for `resolved`: what is new asks for action."""
TIME_WRONG = 0.5
"""`Healed` for `acute`: the one is treated and the other is not. What is not said of age costs nothing."""
DOUBT_ADDED, DOUBT_DROPPED = 0.85, 0.9
POSITION_UNSAID, POSITION_WRONG = 0.8, 0.2
EXPECTED = 0.25
"""Share of the price of what is invented, if it goes with a finding that the reference has: the large heart
of a stated heart failure, the clips of a bypass beside the wires of its sternotomy. Few reports name every
part of a picture: it is rather left out by one than invented by the other. It costs no more than the
whole."""
_COURSE = {"new": 1, "increased": 1, "unchanged": 0, "decreased": -1, "resolved": -1}
"""A change as worse, the same or better."""
DEGREES_APART = 1.5
"""A smaller difference of degree is a matter of taste, and no contradiction."""
SIZES_APART = 0.5
"""The same for the ratio of two sizes."""


class Factor(NamedTuple):
    """What one quality leaves of the credit."""

    value: float
    reason: str = ""
    wrong: float = 0.0
    """Share of the candidate's weight that counts as invented: both say it, and cannot both be right."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What a candidate's finding earns of a reference's, and what of it is wrong."""

    value: float
    """Share of the reference's weight, in [0, 1]."""
    wrong: float = 0.0
    """Share of the candidate's own weight that counts as invented."""
    reasons: tuple[str, ...] = ()
    """Why it is less than 1, in plain words."""
    contradicts: bool = False
    """Both texts name the finding, and one of its qualities differs so that they cannot both be right."""


NOTHING = Credit(0.0)


def weight(finding: Finding, ontology: Ontology) -> float:
    """The weight of a finding by its significance."""
    qualities = finding.qualities
    return WEIGHTS[
        ontology.significance(finding.concept, qualities.degree, qualities.position, qualities.time)
    ]


def credit(candidate: Finding, reference: Finding, ontology: Ontology, indication: str = "") -> Credit:
    """What the candidate's finding earns; nothing for another concept, or for the opposite claim."""
    if not (candidate.present and reference.present):
        return NOTHING
    kin, wrong, why = _kinship(candidate.concept, reference.concept, ontology, indication)
    if not kin:
        return NOTHING
    factors = [Factor(kin, why), *_factors(candidate, reference)]
    value = math.prod(factor.value for factor in factors)
    if value < LEAST and candidate.concept != reference.concept:
        return NOTHING
    wrong = max(wrong, *(factor.wrong for factor in factors))
    reasons = tuple(factor.reason for factor in factors if factor.value < 1 and factor.reason)
    return Credit(value, wrong, reasons, any(factor.wrong for factor in factors))


def _kinship(candidate: str, reference: str, ontology: Ontology, indication: str) -> tuple[float, float, str]:
    """Credit of one concept for another, the share of it that is invented, and why."""
    if candidate == reference:
        return 1.0, 0.0, ""
    above_candidate = ontology.ancestors.get(candidate, {})
    above_reference = ontology.ancestors.get(reference, {})
    if alike := _alike(candidate, reference, ontology, indication):
        return alike, 0.0, "another name for much the same picture"
    if candidate in above_reference:
        if ontology.concepts[candidate].family:
            return FAMILY, 0.0, "names the region only"
        return STEP ** above_reference[candidate], 0.0, "less specific"
    if reference in above_candidate:
        if ontology.concepts[reference].family:
            return 1.0, 0.0, ""
        share = STEP ** above_candidate[reference]
        return share, 1 - share, "more specific than the reference"
    common = [
        above_candidate[name] + above_reference[name]
        for name in above_candidate.keys() & above_reference.keys()
        if not ontology.concepts[name].family
    ]
    share = STEP ** min(common) if common else 0.0
    return share, 1 - share, "a related finding"


def _alike(candidate: str, reference: str, ontology: Ontology, indication: str) -> float:
    for name, other in ((candidate, reference), (reference, candidate)):
        concept = ontology.concepts.get(name)
        if concept and other in concept.alike:
            spoken = indication.lower()
            return INTERCHANGEABLE if any(word in spoken for word in concept.alike_for) else ALIKE
    return 0.0


def _factors(candidate: Finding, reference: Finding) -> list[Factor]:
    """Factors for side, zone, degree, size, change, doubt and position, where the reference says them."""
    mine, theirs = candidate.qualities, reference.qualities
    factors = []
    if theirs.sides:
        factors.append(_side(mine.sides, theirs.sides))
    if theirs.zones:
        factors.append(_zone(mine.zones, theirs.zones))
    if theirs.degree is not None:
        factors.append(_degree(mine.degree, theirs.degree))
    if theirs.size_mm:
        factors.append(_size(mine.size_mm, theirs.size_mm))
    if theirs.change and mine.change != theirs.change:
        factors.append(_change(mine.change, theirs.change))
    if mine.time and theirs.time and mine.time != theirs.time:
        factors.append(Factor(TIME_WRONG, "another age", 1 - TIME_WRONG))
    if candidate.certain != reference.certain:
        factors.append(
            Factor(DOUBT_ADDED, "with doubt") if reference.certain else Factor(DOUBT_DROPPED, "without doubt")
        )
    if theirs.position and mine.position != theirs.position:
        factors.append(
            Factor(POSITION_WRONG, "wrong position", wrong=1.0)
            if mine.position
            else Factor(POSITION_UNSAID, "its position is not said")
        )
    return factors


def _side(mine: frozenset[str], theirs: frozenset[str]) -> Factor:
    if not mine:
        return Factor(SIDE_UNSAID, "its side is not said")
    shared = len(mine & theirs) / len(mine | theirs)
    if not shared:
        return Factor(SIDE_WRONG, "wrong side", wrong=1.0)
    value = SIDE_WRONG + (1 - SIDE_WRONG) * shared
    if mine - theirs:
        return Factor(value, "a side too many", wrong=0.5)
    return Factor(value, "one side of two")


def _zone(mine: frozenset[str], theirs: frozenset[str]) -> Factor:
    if not mine:
        return Factor(UNSAID, "its zone is not said")
    return Factor(1.0) if mine & theirs else Factor(ZONE_WRONG, "another zone", 1 - ZONE_WRONG)


def _degree(mine: float | None, theirs: float) -> Factor:
    if mine is None:
        return Factor(UNSAID, "its degree is not said")
    steps = abs(theirs - mine)
    lost = DEGREE_STEP * steps
    return Factor(1 - lost, "another degree", lost if steps >= DEGREES_APART else 0.0)


def _size(mine: float | None, theirs: float) -> Factor:
    if not mine:
        return Factor(UNSAID, "its size is not said")
    ratio = min(mine, theirs) / max(mine, theirs)
    value = SIZE_WRONG + (1 - SIZE_WRONG) * ratio
    return Factor(value, "another size", 1 - value if ratio < SIZES_APART else 0.0)


def _change(mine: str | None, theirs: str) -> Factor:
    if mine is None:
        return Factor(UNSAID, "its change is not said")
    steps = abs(_COURSE[mine] - _COURSE[theirs])
    value = (CHANGE_SIMILAR, CHANGE_OTHER, CHANGE_OPPOSITE)[steps]
    return Factor(value, "another change", 1 - value if steps else 0.0)


def goes_with(claim: Finding, truth: Finding, ontology: Ontology) -> bool:
    """Whether a finding is often a part of what the reference has in the same place."""
    concept = ontology.concepts.get(claim.concept)
    return concept is not None and (
        not ontology.ancestors.get(truth.concept, {truth.concept: 0}).keys().isdisjoint(concept.goes_with)
        and meet(claim.qualities.sides, truth.qualities.sides)
    )
