"""What a graph claims, and which claims of a reference another graph contradicts. Standard library only.

Jaccard and F1 count a wrong side or polarity like an omission. If one of three findings is put on the wrong
side, most entities still agree. But a contradiction is worse than an omission.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Set

from chexphi.graph.types import Entity, Graph

OPPOSITE = {
    "disorder_present": "disorder_notpresent",
    "disorder_notpresent": "disorder_present",
    "devices_present": "devices_notpresent",
    "devices_notpresent": "devices_present",
}

_NO_SIDES: frozenset[str] = frozenset()


def claims(graph: Graph) -> frozenset[Entity]:
    """What can be contradicted: findings and devices, present or absent, and all that is on one side only."""
    return _claims_of(graph.entities, graph.sides)


@functools.lru_cache(maxsize=1024)  # a reference is compared with a whole group
def _claims_of(entities: frozenset[Entity], sides: frozenset[tuple[Entity, str]]) -> frozenset[Entity]:
    sides_of_entity = _sides_of(sides)
    return frozenset(
        entity for entity in entities if entity[1] in OPPOSITE or len(sides_of_entity.get(entity, ())) == 1
    )


def contradicted(predicted: Graph, reference: Graph) -> frozenset[Entity]:
    """The claims of the reference that the prediction contradicts. What it leaves out is not contradicted.

    There are two kinds of contradiction:

    * polarity: the prediction claims the opposite, the reference does not claim the opposite itself, and
      both may speak of the same side;
    * side: the prediction claims the same entity, but only on the other side.
    """
    reference_sides, predicted_sides = _sides_of(reference.sides), _sides_of(predicted.sides)

    def is_contradicted(claim: Entity) -> bool:
        sides = reference_sides.get(claim, _NO_SIDES)
        if _on_other_side(sides, predicted_sides.get(claim, _NO_SIDES)):
            return True
        denial = (claim[0], OPPOSITE.get(claim[1], ""))
        if denial not in predicted.entities or denial in reference.entities:
            return False
        return _may_be_same_place(sides, predicted_sides.get(denial, _NO_SIDES))

    return frozenset(filter(is_contradicted, claims(reference)))


def agreement(predicted: Graph, reference: Graph) -> float:
    """The share of the reference's claims that the prediction does not contradict; 1 without claims."""
    reference_claims = claims(reference)
    if not reference_claims:
        return 1.0
    return 1 - len(contradicted(predicted, reference)) / len(reference_claims)


def _may_be_same_place(sides: Set[str], other_sides: Set[str]) -> bool:
    return not sides or not other_sides or bool(sides & other_sides)


def _on_other_side(sides: Set[str], other_sides: Set[str]) -> bool:
    return len(sides) == 1 and bool(other_sides) and not sides & other_sides


@functools.lru_cache(maxsize=4096)
def _sides_of(sides: frozenset[tuple[Entity, str]]) -> Mapping[Entity, Set[str]]:
    """The sides of every entity that has one."""
    sides_of_entity: defaultdict[Entity, set[str]] = defaultdict(set)
    for entity, side in sides:
        sides_of_entity[entity].add(side)
    return dict(sides_of_entity)
