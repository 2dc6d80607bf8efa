"""What one completion earned, and the way to ask why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chexphi.graph.clinical.compare import ClinicalMatch
from chexphi.graph.match import GraphMatch
from chexphi.number_text import figure_text
from chexphi.prompts import ParseStatus
from chexphi.rewards.combine import ACCURACY, CONSISTENCY, FORMAT, GRAPH
from chexphi.rewards.explain.evidence import Evidence

if TYPE_CHECKING:
    from chexphi.rewards.explain.explanation import Explanation


def parts_of(
    status: ParseStatus, accuracy: float | None, graph: float | None, consistency: float | None = None
) -> dict[str, float | None]:
    """The rewards by their public names; that for consistency only where the question is known."""
    parts = {ACCURACY: accuracy, GRAPH: graph, FORMAT: float(status is ParseStatus.ok)}
    return parts if consistency is None else parts | {CONSISTENCY: consistency}


@dataclass(frozen=True, slots=True, repr=False)
class Score:
    """The parts of one completion's reward. None means *not scorable* and depends on the reference alone.

    `repr` has figures only. `print(score)` and a notebook say why: they show words of the texts. The
    explanation is made when it is asked for; until then a score holds its texts and graphs by reference.

    >>> from chexphi import score
    >>> reference = "<think>There is a small left effusion.</think><answer>yes</answer>"
    >>> result = score("<think>There is a small right effusion.</think><answer>yes</answer>", reference)
    >>> result
    Score(ok, accuracy 1.000, graph 0.000, total 1.000)
    >>> [(item.name, item.note) for item in result.explain().contradicted]
    [('effusion', 'right here, left in the reference')]
    """

    status: ParseStatus
    accuracy: float | None
    graph: float | None
    match: GraphMatch | None
    """Counts behind `graph`; None where it was not compared."""
    agreement: float | None
    """Share of the reference's claims that are not contradicted; None where it was not compared."""
    words: int
    """Length of the reasoning."""
    total: float | None
    evidence: Evidence = field(compare=False)
    """The texts, graphs and rules that it was made from."""
    clinical: ClinicalMatch | None = None
    """What was matched, missed, invented or contradicted, where the measure is `clinical`."""
    consistency: float | None = None
    """1 where the reasoning entails its own answer, 0.5 where it says nothing of it, 0 where it contradicts
    it; None where the question is not known."""

    @property
    def parts(self) -> dict[str, float | None]:
        """The rewards by their public names."""
        return parts_of(self.status, self.accuracy, self.graph, self.consistency)

    def explain(self) -> Explanation:
        """What matched, was missed, invented or contradicted, and where the total comes from."""
        from chexphi.rewards.explain.explanation import explain  # training pays for none of it

        return explain(self.evidence, self.parts, self.total)

    def __repr__(self) -> str:
        figures = {"accuracy": self.accuracy, "graph": self.graph, "total": self.total}
        figure_texts = (f"{name} {figure_text(value)}" for name, value in figures.items())
        return f"Score({self.status}, {', '.join(figure_texts)})"

    def __str__(self) -> str:
        return str(self.explain())

    def _repr_html_(self) -> str:
        return self.explain()._repr_html_()
