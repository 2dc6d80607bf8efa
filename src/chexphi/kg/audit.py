"""Compares many predicted graphs with their references. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chexphi.graph.match import Counts, GraphMatch, compare
from chexphi.graph.types import LABELS, RELATION_TYPES, Graph

Pair = tuple[str, Graph, Graph]
"""(key, reference, prediction)"""


def audit(pairs: Sequence[Pair], *, worst: int = 10) -> dict[str, Any]:
    """Precision, recall and F1 over all pairs of graphs.

    Micro figures are computed from the summed counts. A macro figure is the mean over the pairs that have
    entities (or relations) to compare. Two graphs without entities agree, but that says nothing.

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
        "by_label": {
            name: figures(c) for name in LABELS if not (c := _counts_of_name(pairs, "entities", name)).empty
        },
        "by_relation": {
            name: figures(c)
            for name in RELATION_TYPES
            if not (c := _counts_of_name(pairs, "relations", name)).empty
        },
        "worst": [{"doc_key": key, "f1": matches[key].f1} for key in ranked[:worst]],
    }


def figures(counts: Counts) -> dict[str, float]:
    """Precision, recall and F1 of counts, and `n`, how many the reference has."""
    return {
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "n": counts.tp + counts.fn,
    }


def _mean(counts_by_pair: Iterable[Counts]) -> float | None:
    values = [counts.f1 for counts in counts_by_pair if not counts.empty]
    return sum(values) / len(values) if values else None


def _counts_of_name(pairs: Sequence[Pair], field: str, name: str) -> Counts:
    """Counts of the entities with one label, or of the relations with one type."""

    def items(graph: Graph) -> set[object]:
        return {item for item in getattr(graph, field) if item[1] == name}

    return sum((Counts.of(items(predicted), items(gold)) for _, gold, predicted in pairs), start=Counts())


def pairs_by_key(
    references: Mapping[str, Graph], predictions: Mapping[str, Graph]
) -> tuple[list[Pair], list[str]]:
    """The pairs of graphs with the same key, and the keys that only one side has."""
    common = [(key, graph, predictions[key]) for key, graph in references.items() if key in predictions]
    return common, sorted(references.keys() ^ predictions.keys())
