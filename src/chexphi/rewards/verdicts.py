"""Whether the reasoning of a completion entails its own answer, and what that is worth."""

from __future__ import annotations

from chexphi.graph.consistency.verdict import Verdict, consistency
from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.types import Extractor
from chexphi.prompts import Parsed, ParseStatus

VALUES: dict[Verdict, float] = {"entails": 1.0, "silent": 0.5, "contradicts": 0.0}
"""What a verdict is worth. A reasoning that says nothing of its answer is better than one that denies it."""


def verdict_of(
    parsed: Parsed, question: str, extractor: Extractor, ontology_file: str = ""
) -> Verdict | None:
    """Whether the reasoning of a completion entails its answer.

    The answer that it gives is looked at, whether it is right or wrong. None for a malformed completion, and
    for a reasoning in which nothing can be read: else words without meaning would be paid for their silence,
    or for saying the answer twice.
    """
    if parsed.status is not ParseStatus.ok:
        return None
    reasoning = parsed.think or ""
    verdict = consistency(question, parsed.answer, reasoning, extractor, open_ontology(ontology_file))
    return verdict if any(extractor.extract([reasoning])) else None


def value_of(verdict: Verdict | None) -> float:
    """In [0, 1]; 0 where there is no verdict."""
    return VALUES[verdict] if verdict else 0.0
