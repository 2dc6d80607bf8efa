"""Answers of a policy to a batch of questions, as the records that `evaluate` writes. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi.evaluation.answer_probability import answer_probabilities
from chexphi.evaluation.evaluate_recipe import EvaluateRecipe
from chexphi.evaluation.scoring import make_prediction, reading_pairs
from chexphi.graph.types import Extractor
from chexphi.models.generate import generate
from chexphi.models.rollout.drafting import Drafter
from chexphi.schema import Example, Prediction


def answer_batch(
    recipe: EvaluateRecipe,
    model: Any,
    processor: Any,
    extractor: Extractor,
    batch: Sequence[Example],
    films: Sequence[Sequence[Any]],
    root: Path,
    options: Mapping[str, tuple[str, str]],
    drafter: Drafter,
) -> Iterator[Prediction]:
    """Generate the answers to a batch of questions, and score each of them."""
    questions = [example.question for example in batch]
    generations = generate(
        model, processor, questions, films, max_new_tokens=recipe.max_new_tokens, drafter=drafter
    )
    texts, opened_think = [samples[0].text for samples in generations], generations[0][0].opened_think
    readings = reading_pairs(batch, texts, extractor, opened_think=opened_think, ontology=recipe.ontology)
    probabilities = _probabilities(recipe, model, processor, batch, films, options, drafter)
    for example, (generation,), pair, chances in zip(
        batch, generations, readings, probabilities, strict=True
    ):
        yield make_prediction(
            example,
            generation,
            *pair,
            root,
            extractor=extractor,
            tokens=recipe.tokens,
            ontology=recipe.ontology,
            probabilities=chances or None,
        )


def _probabilities(
    recipe: EvaluateRecipe,
    model: Any,
    processor: Any,
    batch: Sequence[Example],
    films: Sequence[Sequence[Any]],
    options: Mapping[str, tuple[str, str]],
    drafter: Drafter,
) -> list[dict[str, float] | None]:
    if not options:
        return [None] * len(batch)
    return answer_probabilities(
        model,
        processor,
        batch,
        films,
        options,
        samples=recipe.answer_samples,
        max_new_tokens=recipe.max_new_tokens,
        seed=recipe.seed,
        drafter=drafter,
    )
