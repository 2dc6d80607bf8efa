"""What the reasonings of a policy's samples earn against the references of their examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chexphi import prompts
from chexphi.graph.types import Extractor
from chexphi.prompts import Parsed
from chexphi.rewards.reading import read
from chexphi.rewards.rules import GraphRule
from chexphi.rewards.score import reasoning, score_graph
from chexphi.schema import Example

if TYPE_CHECKING:
    from chexphi.models.generate import Generation


def graph_rewards(
    examples: Sequence[Example],
    samples: Sequence[Sequence[Generation]],
    extractor: Extractor,
    rule: GraphRule,
) -> list[tuple[float | None, ...]]:
    """The graph reward of each sample of each example, as `grpo` pays it (`rewards.score.score_graph`).

    Args:
        examples: The questions.
        samples: The policy's answers to each of them.
        extractor: What reads the graphs.
        rule: How they are compared.

    Returns:
        One tuple an example, one number in [0, 1] a sample: 0 for a malformed one. All are None where the
        reference has nothing to compare.
    """
    reference_texts = [prompts.reference_reasoning(example.explanation) for example in examples]
    parsed = [[sample.parsed for sample in group] for group in samples]
    texts = [reasoning(completion) for group in parsed for completion in group]
    distinct_texts = list(dict.fromkeys([*reference_texts, *texts]))
    reading_of = dict(zip(distinct_texts, read(distinct_texts, extractor, rule), strict=True))

    def earned(completion: Parsed, reference_text: str) -> float | None:
        predicted, reference = reading_of[reasoning(completion)], reading_of[reference_text]
        return score_graph(completion, predicted, reference, rule, reference_reasoning=reference_text).value

    return [
        tuple(earned(completion, reference_text) for completion in group)
        for reference_text, group in zip(reference_texts, parsed, strict=True)
    ]
