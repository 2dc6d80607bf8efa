"""One pure function under every reward: how good is a completion, given its reference?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chexphi import answers, prompts
from chexphi.answers import Match
from chexphi.graph import match as matching
from chexphi.graph.match import GraphMatch, Measure
from chexphi.graph.types import Graph
from chexphi.prompts import Parsed, ParseStatus


@dataclass(frozen=True, slots=True)
class Score:
    """The parts of one completion's reward; None is *not scorable*, which depends on the reference alone."""

    status: ParseStatus
    accuracy: float | None
    graph: float | None
    match: GraphMatch | None
    """Counts behind `graph`; None where it was not compared."""


def gold_answer(solution: str, answer: Sequence[str] | None = None) -> Sequence[str] | None:
    """The reference labels: given, or read from the solution's `<answer>`; None if there are none."""
    if answer:
        return answer
    written = prompts.parse(solution).answer
    return [written] if written else None


def accuracy(parsed: Parsed, gold: Sequence[str] | None, match: Match = "exact") -> float | None:
    """R_acc: 1 for the right answer in a well-formed completion, 0 for a wrong or malformed one."""
    if gold is None or not answers.labels(gold):
        return None
    if parsed.status is not ParseStatus.ok or parsed.answer is None:
        return 0.0
    return answers.score(parsed.answer, gold, match)


def score(
    completion: str,
    predicted: Graph,
    reference: Graph,
    gold: Sequence[str] | None,
    *,
    truncated: bool = False,
    match: Match = "exact",
    measure: Measure = "jaccard",
) -> Score:
    """Score one completion against its own reference.

    Args:
        completion: The generated text with its tags.
        predicted: The graph of the completion's reasoning (of the think part alone).
        reference: The graph of the reference's reasoning.
        gold: The reference labels, or None.
        truncated: Whether the completion ended at the length limit.
        match: How answers are compared.
        measure: Jaccard (the original's) or F1 of entities and of relations.
    """
    parsed = prompts.parse(completion, truncated=truncated)
    if not reference:
        return Score(parsed.status, accuracy(parsed, gold, match), None, None)
    if parsed.status is not ParseStatus.ok:
        predicted = Graph()
    return Score(
        parsed.status,
        accuracy(parsed, gold, match),
        matching.score(predicted, reference, measure=measure),
        matching.compare(predicted, reference),
    )
