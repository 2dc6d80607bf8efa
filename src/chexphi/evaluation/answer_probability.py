"""How probable a policy finds each answer to a question with two answers, averaged over its reasoning.

A policy that reasons first is sure of its answer after the reasoning, whether or not the reasoning is right.
So the reasoning is sampled K times, both answers are scored after each sample, and the mean is taken:
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
from chexphi.models.rollout.drafting import Drafter
from chexphi.models.rollout.numbers import number_of_id
from chexphi.schema import Example


def answer_options(examples: Sequence[Example]) -> dict[str, tuple[str, str]]:
    """The two answers of each question type that has exactly two among `examples`."""
    answers_of_type: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        answers_of_type[example.question_type].update(
            example.answer if len(example.answer) == 1 else ("", "", *example.answer)
        )
    return {
        question_type: (min(answers), max(answers))
        for question_type, answers in answers_of_type.items()
        if len(answers) == 2 and "" not in answers
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
    drafter: Drafter | None = None,
) -> list[dict[str, float] | None]:
    """Probability of each option, one row an example; None where the question does not have two options."""
    two_way_indices = [index for index, example in enumerate(examples) if example.question_type in options]
    if not two_way_indices:
        return [None] * len(examples)
    questions, images = [examples[i].question for i in two_way_indices], [films[i] for i in two_way_indices]
    generations = generate(
        model,
        processor,
        questions,
        images,
        max_new_tokens=max_new_tokens,
        temperature=1.0,
        samples=samples,
        seed=seed,
        numbers=[number_of_id(examples[i].id) for i in two_way_indices],
        drafter=drafter,
    )
    rows = [
        (position, sample.parsed.think or "", option)
        for position, group in enumerate(generations)
        for sample in group
        for option in options[examples[two_way_indices[position]].question_type]
    ]
    opened_think = generations[0][0].opened_think
    logps = sequence_logprobs(
        model,
        processor,
        [questions[position] for position, _, _ in rows],
        [images[position] for position, _, _ in rows],
        [prompts.render(think, option, opened_think=opened_think) for _, think, option in rows],
    )
    probabilities: list[dict[str, float] | None] = [None] * len(examples)
    for position, index in enumerate(two_way_indices):
        option_a, option_b = options[examples[index].question_type]
        probability = _mean_probability(logps[2 * samples * position : 2 * samples * (position + 1)])
        probabilities[index] = {option_a: probability, option_b: 1 - probability}
    return probabilities


def _mean_probability(logps: Sequence[float]) -> float:
    """The probability of the first of two options, as a mean over the samples.

    Args:
        logps: (2 x samples,): the log-probability of the first and of the second option after each sample.
    """
    pairs = zip(logps[::2], logps[1::2], strict=True)
    of_samples = [1 / (1 + math.exp(min(logp_b - logp_a, 700.0))) for logp_a, logp_b in pairs]
    return sum(of_samples) / len(of_samples)
