"""What a graph claims, and which claims of a reference another graph contradicts. Standard library only.

Jaccard and F1 count a wrong side or polarity as they count an omission: of three findings of which the one
with a side is put on the other side, most entities still agree. A contradiction is worse than an omission.
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
    """What can be contradicted: findings and devices, there or not, and anything said to be on one side."""
    return _claims(graph, _sides(graph))


def _claims(graph: Graph, sides: Mapping[Entity, Set[str]]) -> frozenset[Entity]:
    return frozenset(
        entity for entity in graph.entities if entity[1] in OPPOSITE or len(sides.get(entity, ())) == 1
    )


def contradicted(predicted: Graph, reference: Graph) -> frozenset[Entity]:
    """The claims of the reference that the prediction contradicts; what it leaves out is none of them.

    * polarity: it claims the opposite, which the reference does not, of a place that is not on another side;
    * side: it claims the same, and only on the other side.
    """
    here = _sides(reference)
    return _contradicted(predicted, reference, _claims(reference, here), here)


def _contradicted(
    predicted: Graph, reference: Graph, made: Set[Entity], here: Mapping[Entity, Set[str]]
) -> frozenset[Entity]:
    there = _sides(predicted)
    opposite = {claim: (claim[0], OPPOSITE.get(claim[1], "")) for claim in made}
    return frozenset(
        claim
        for claim, denial in opposite.items()
        if _elsewhere(here[claim], there[claim])
        or (
            denial in predicted.entities
            and denial not in reference.entities
            and _may_meet(here[claim], there[denial])
        )
    )


def agreement(predicted: Graph, reference: Graph) -> float:
    """The share of the reference's claims that the prediction does not contradict; 1 if it makes none."""
    here = _sides(reference)
    made = _claims(reference, here)
    return 1 - len(_contradicted(predicted, reference, made, here)) / len(made) if made else 1.0


def _may_meet(here: Set[str], there: Set[str]) -> bool:
    return not here or not there or bool(here & there)


def _elsewhere(here: Set[str], there: Set[str]) -> bool:
    return len(here) == 1 and bool(there) and not here & there


def _sides(graph: Graph) -> Mapping[Entity, Set[str]]:
    """The sides of every entity; none where nothing is said of one."""
    found: defaultdict[Entity, set[str]] = defaultdict(set)
    for entity, side in graph.sides:
        found[entity].add(side)
    return found
