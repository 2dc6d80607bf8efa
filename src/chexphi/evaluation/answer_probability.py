"""How probable a policy finds each answer of a two-way question, its reasoning averaged out.

A policy that reasons first is sure of its answer once the reasoning is written, whatever it is worth.
So the reasoning is sampled K times, both answers are scored behind each, and the mean is taken:
p(answer) = 1/K sum_k p(answer | reasoning_k).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from chexphi import prompts
from chexphi.models.generate import generate
from chexphi.models.likelihood import sequence_logprobs
from chexphi.schema import Example


def answer_options(examples: Sequence[Example]) -> dict[str, tuple[str, str]]:
    """The two answers of each question type that has exactly two among `examples`."""
    seen: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        seen[example.question_type].update(
            example.answer if len(example.answer) == 1 else ("", "", *example.answer)
        )
    return {
        kind: (min(found), max(found)) for kind, found in seen.items() if len(found) == 2 and "" not in found
    }


def answer_probabilities(
    model: Any,
    processor: Any,
    examples: Sequence[Example],
    films: Sequence[Sequence[Any]],
    options: Mapping[str, tuple[str, str]],
    *,
    samples: int,
    max_new_tokens: int,
    seed: int,
) -> list[dict[str, float] | None]:
    """Probability of each option, one row an example; None where the question has no two options."""
    wanted = [index for index, example in enumerate(examples) if example.question_type in options]
    if not wanted:
        return [None] * len(examples)
    questions, images = [examples[i].question for i in wanted], [films[i] for i in wanted]
    found = generate(
        model,
        processor,
        questions,
        images,
        max_new_tokens=max_new_tokens,
        temperature=1.0,
        samples=samples,
        seed=seed,
    )
    rows = [
        (place, sample.parsed.think or "", option)
        for place, group in enumerate(found)
        for sample in group
        for option in options[examples[wanted[place]].question_type]
    ]
    opened_think = found[0][0].opened_think
    logps = sequence_logprobs(
        model,
        processor,
        [questions[place] for place, _, _ in rows],
        [images[place] for place, _, _ in rows],
        [prompts.render(think, option, opened_think=opened_think) for _, think, option in rows],
    )
    result: list[dict[str, float] | None] = [None] * len(examples)
    for place, index in enumerate(wanted):
        first, second = options[examples[index].question_type]
        pairs = [logp for (where, _, _), logp in zip(rows, logps, strict=True) if where == place]
        odds = [1 / (1 + math.exp(min(b - a, 700.0))) for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
        p = sum(odds) / len(odds)
        result[index] = {first: p, second: 1 - p}
    return result
