"""Compares two graphs: counts that add up, and the scores computed from them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal, get_args

from chexphi.compat import Compat, is_original
from chexphi.graph.types import Graph
from chexphi.ranges import check_choices

Measure = Literal["jaccard", "f1"]
Empty = Literal["skip", "one", "zero"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
EMPTIES: tuple[Empty, ...] = get_args(Empty)


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives and false negatives; they add up over examples."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @classmethod
    def of(cls, predicted: Set[object], reference: Set[object]) -> Counts:
        tp = len(predicted & reference)
        return cls(tp, len(predicted) - tp, len(reference) - tp)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else 0.0

    @property
    def jaccard(self) -> float:
        total = self.tp + self.fp + self.fn
        return self.tp / total if total else 0.0

    @property
    def empty(self) -> bool:
        """Neither prediction nor reference has anything to compare."""
        return not (self.tp or self.fp or self.fn)


@dataclass(frozen=True, slots=True)
class GraphMatch:
    """The comparison of one predicted graph with one reference graph."""

    entities: Counts
    relations: Counts

    def __add__(self, other: GraphMatch) -> GraphMatch:
        return GraphMatch(self.entities + other.entities, self.relations + other.relations)

    @property
    def empty(self) -> bool:
        """Neither graph has entities or relations."""
        return self.entities.empty and self.relations.empty

    @property
    def reference_empty(self) -> bool:
        """The reference has nothing to compare with."""
        return not any(counts.tp or counts.fn for counts in (self.entities, self.relations))

    def score(self, measure: str = "jaccard", empty: str = "skip") -> float | None:
        """The value of the function `score`, from these counts."""
        if self.reference_empty and empty == "skip":
            return None
        part_scores = [_part_score(counts, measure, empty) for counts in (self.entities, self.relations)]
        defined_scores = [part_score for part_score in part_scores if part_score is not None]
        return sum(defined_scores) / len(defined_scores)

    @property
    def f1(self) -> float:
        """Mean of entity F1 and relation F1; one that is empty in both graphs is left out."""
        part_f1s = [counts.f1 for counts in (self.entities, self.relations) if not counts.empty]
        return sum(part_f1s) / len(part_f1s) if part_f1s else 0.0


def compare(predicted: Graph, reference: Graph, *, compat: Compat = "default") -> GraphMatch:
    """Count the entities and relations that are shared, only predicted, or missed.

    The ends of a relation are compared with their labels. In `compat="original"` only their texts are
    compared (`plugin.py:553-564`): there "no effusion" has the same relations as "effusion".
    """
    relations = _relations_without_labels if is_original(compat) else _relations_with_labels
    return GraphMatch(
        Counts.of(predicted.entities, reference.entities),
        Counts.of(relations(predicted), relations(reference)),
    )


def _relations_with_labels(graph: Graph) -> Set[object]:
    return graph.relations


def _relations_without_labels(graph: Graph) -> Set[object]:
    return {(head, kind, tail) for (head, _), kind, (tail, _) in graph.relations}


def _part_score(counts: Counts, measure: str, empty: str) -> float | None:
    if counts.empty:
        return {"skip": None, "one": 1.0, "zero": 0.0}[empty]
    return counts.jaccard if measure == "jaccard" else counts.f1


def score(
    predicted: Graph,
    reference: Graph,
    *,
    measure: str = "jaccard",
    empty: str = "skip",
    compat: Compat = "default",
) -> float | None:
    """Mean of the entity score and the relation score (R_kg of the paper; `plugin.py:533-600`).

    | reference | prediction | `skip` | `one` | `zero` |
    |---|---|---|---|---|
    | empty part | empty part | part left out of the mean | 1.0 | 0.0 |
    | empty part | something | 0.0 | 0.0 | 0.0 |
    | something | empty part | 0.0 | 0.0 | 0.0 |
    | both parts empty | anything | None: not scorable | by the rows above | by the rows above |

    A part is the entities or the relations. `compat="original"` compares relations without labels. There an
    empty part counts as `one` for Jaccard and as `zero` for F1, whatever `empty` is.

    Returns:
        A value in [0, 1], or None where the reference has nothing to compare with.

    Raises:
        InputError: If `measure` or `empty` is unknown.
    """
    check_choices("score", {"measure": measure, "empty": empty}, {"measure": MEASURES, "empty": EMPTIES})
    if is_original(compat):
        empty = "one" if measure == "jaccard" else "zero"
    return compare(predicted, reference, compat=compat).score(measure, empty)
