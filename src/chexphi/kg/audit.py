"""Many predicted graphs against their references. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chexphi.graph.match import Counts, GraphMatch, compare
from chexphi.graph.types import LABELS, RELATION_TYPES, Graph

Pair = tuple[str, Graph, Graph]
"""(key, reference, prediction)"""


def audit(pairs: Sequence[Pair], *, worst: int = 10) -> dict[str, Any]:
    """Figures of all pairs.

    Micro figures are of the summed counts; macro figures the mean over examples, each over those with
    anything to compare in that part (two empty parts agree, and say nothing).

    Returns:
        `n`, `entities` and `relations` (`precision`, `recall`, `f1`, `macro_f1`), `by_label`, `by_relation`,
        and `worst`: keys with their F1, the lowest first.
    """
    matches = {key: compare(predicted, reference) for key, reference, predicted in pairs}
    total = sum(matches.values(), start=GraphMatch(Counts(), Counts()))
    ranked = sorted(
        (key for key, match in matches.items() if not match.empty), key=lambda key: matches[key].f1
    )
    return {
        "n": len(pairs),
        "entities": figures(total.entities) | {"macro_f1": _mean(m.entities for m in matches.values())},
        "relations": figures(total.relations) | {"macro_f1": _mean(m.relations for m in matches.values())},
        "by_label": {name: figures(c) for name in LABELS if not (c := _only(pairs, "entities", name)).empty},
        "by_relation": {
            name: figures(c) for name in RELATION_TYPES if not (c := _only(pairs, "relations", name)).empty
        },
        "worst": [{"doc_key": key, "f1": matches[key].f1} for key in ranked[:worst]],
    }


def figures(counts: Counts) -> dict[str, float]:
    """Precision, recall and F1, and how many there are in the reference."""
    return {
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "n": counts.tp + counts.fn,
    }


def _mean(parts: Iterable[Counts]) -> float | None:
    values = [counts.f1 for counts in parts if not counts.empty]
    return sum(values) / len(values) if values else None


def _only(pairs: Sequence[Pair], part: str, name: str) -> Counts:
    """Counts of the entities of one label, or of the relations of one type: the second item of each."""

    def items(graph: Graph) -> set[object]:
        return {item for item in getattr(graph, part) if item[1] == name}

    return sum((Counts.of(items(predicted), items(gold)) for _, gold, predicted in pairs), start=Counts())


def matched(
    references: Mapping[str, Graph], predictions: Mapping[str, Graph]
) -> tuple[list[Pair], list[str]]:
    """Pairs of the same key, and the keys that only one side has."""
    both = [(key, graph, predictions[key]) for key, graph in references.items() if key in predictions]
    return both, sorted(references.keys() ^ predictions.keys())
