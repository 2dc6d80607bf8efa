"""A reply of a policy to one question, and its comparison with a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chexphi import prompts
from chexphi.graph.clinical.compare import ClinicalMatch
from chexphi.graph.consistency.verdict import Verdict
from chexphi.graph.match import Counts, GraphMatch
from chexphi.graph.types import Parse
from chexphi.kg import compared_findings
from chexphi.prompts import Parsed
from chexphi.rewards.reading import Reading
from chexphi.rewards.scored import Score

if TYPE_CHECKING:
    from chexphi.models.generate import Generation


@dataclass(frozen=True, slots=True)
class Reference:
    """What a reply is compared with; a field that is None or empty is not scorable."""

    gold: tuple[str, ...] | None
    reading: Reading
    """Graph and findings of the reasoning."""
    reasoning: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A reply against its reference."""

    reference: Reference
    is_correct: bool | None
    """As in `evaluate`: the answer earns a reward of 1; never true for a malformed completion."""
    match: GraphMatch | None
    """As in `evaluate`: also a malformed completion's graph is compared if its reasoning can be read."""
    rewards: Score
    """As in GRPO: a malformed completion earns nothing."""
    findings: ClinicalMatch | None = None
    """The findings of both reasonings, compared; None where the reference has none."""

    def to_dict(self) -> dict[str, Any]:
        match = self.match
        return {
            "answer": list(self.reference.gold) if self.reference.gold is not None else None,
            "is_correct": self.is_correct,
            "external_r1v_acc": self.rewards.accuracy,
            "external_kg_jac": self.rewards.graph,
            "graph_f1": match.f1 if match else None,
            "entities": _figures(match.entities) if match else None,
            "relations": _figures(match.relations) if match else None,
            "graph_reference": self.reference.reading.graph.to_dict(),
            "findings": compared_findings.to_dict(self.findings) if self.findings else None,
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """What a policy replied to one question."""

    question: str
    images: tuple[str, ...]
    generation: Generation
    parsed: Parsed
    parse: Parse
    """Mentions and relations of the reasoning."""
    comparison: Comparison | None
    consistency: Verdict | None = None
    """Whether the reasoning entails the answer; None for a malformed reply."""

    def to_dict(self) -> dict[str, Any]:
        """The reply with the keys of `predictions.jsonl`; `comparison` is None without a reference."""
        return {
            "question": self.question,
            "image_paths": list(self.images),
            "generated_text": self.generation.text,
            "opened_think": self.generation.opened_think,
            "parse_status": self.parsed.status.value,
            "reasoning": self.parsed.think,
            "predicted_answer": self.parsed.answer,
            "answer_probability": answer_probability(self.generation),
            "consistency": self.consistency,
            "graph_predicted": self.parse.graph.to_dict(),
            "comparison": self.comparison.to_dict() if self.comparison else None,
        }


def _figures(counts: Counts) -> dict[str, float]:
    figures = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
    return figures | {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn}


def answer_probability(generation: Generation) -> float | None:
    """How probable the policy found its answer, given its own reasoning; None without an answer.

    It is the product of the probabilities, at temperature 1, of the tokens between `<answer>` and
    `</answer>`, without the tags. `answer_probability.py` averages over the reasoning, for
    questions with two answers.
    """
    span = prompts.answer_span("".join(generation.tokens), opened_think=generation.opened_think)
    if span is None:
        return None
    total, position = 0.0, 0
    for token, logprob in zip(generation.tokens, generation.logprobs, strict=True):
        if position < span[1] and position + len(token) > span[0]:
            total += logprob
        position += len(token)
    return math.exp(total)
