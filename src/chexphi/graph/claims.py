"""What a graph claims, and which claims of a reference another graph contradicts. Standard library only.

Jaccard and F1 count a wrong side or polarity like an omission. If one of three findings is put on the wrong
side, most entities still agree. But a contradiction is worse than an omission.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set

from chexphi.graph.types import Entity, Graph

OPPOSITE = {
    "disorder_present": "disorder_notpresent",
    "disorder_notpresent": "disorder_present",
    "devices_present": "devices_notpresent",
    "devices_notpresent": "devices_present",
}


def claims(graph: Graph) -> frozenset[Entity]:
    """What can be contradicted: findings and devices, present or absent, and all that is on one side only."""
    return _claims_of(graph, _sides_of(graph))


def _claims_of(graph: Graph, sides_of_entity: Mapping[Entity, Set[str]]) -> frozenset[Entity]:
    return frozenset(
        entity
        for entity in graph.entities
        if entity[1] in OPPOSITE or len(sides_of_entity.get(entity, ())) == 1
    )


def contradicted(predicted: Graph, reference: Graph) -> frozenset[Entity]:
    """The claims of the reference that the prediction contradicts. What it leaves out is not contradicted.

    There are two kinds of contradiction:

    * polarity: the prediction claims the opposite, the reference does not claim the opposite itself, and
      both may speak of the same side;
    * side: the prediction claims the same entity, but only on the other side.
    """
    reference_sides = _sides_of(reference)
    return _contradicted_claims(predicted, reference, _claims_of(reference, reference_sides), reference_sides)


def _contradicted_claims(
    predicted: Graph,
    reference: Graph,
    reference_claims: Set[Entity],
    reference_sides: Mapping[Entity, Set[str]],
) -> frozenset[Entity]:
    predicted_sides = _sides_of(predicted)
    denial_of_claim = {claim: (claim[0], OPPOSITE.get(claim[1], "")) for claim in reference_claims}
    return frozenset(
        claim
        for claim, denial in denial_of_claim.items()
        if _on_other_side(reference_sides[claim], predicted_sides[claim])
        or (
            denial in predicted.entities
            and denial not in reference.entities
            and _may_be_same_place(reference_sides[claim], predicted_sides[denial])
        )
    )


def agreement(predicted: Graph, reference: Graph) -> float:
    """The share of the reference's claims that the prediction does not contradict; 1 without claims."""
    reference_sides = _sides_of(reference)
    reference_claims = _claims_of(reference, reference_sides)
    if not reference_claims:
        return 1.0
    wrong_claims = _contradicted_claims(predicted, reference, reference_claims, reference_sides)
    return 1 - len(wrong_claims) / len(reference_claims)


def _may_be_same_place(sides: Set[str], other_sides: Set[str]) -> bool:
    return not sides or not other_sides or bool(sides & other_sides)


def _on_other_side(sides: Set[str], other_sides: Set[str]) -> bool:
    return len(sides) == 1 and bool(other_sides) and not sides & other_sides


def _sides_of(graph: Graph) -> Mapping[Entity, Set[str]]:
    """The sides of every entity; an empty set where the text names no side."""
    sides_of_entity: defaultdict[Entity, set[str]] = defaultdict(set)
    for entity, side in graph.sides:
        sides_of_entity[entity].add(side)
    return sides_of_entity
