"""Answers of a policy to a batch of questions, as the records that `evaluate` writes. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi.evaluation.answer_probability import answer_probabilities
from chexphi.evaluation.evaluate_recipe import EvaluateRecipe
from chexphi.evaluation.scoring import make_prediction, reading_pairs
from chexphi.graph.types import Extractor
from chexphi.models.generate import generate
from chexphi.models.rollout.drafting import Drafter
from chexphi.schema import Example, Prediction


@dataclass(frozen=True)
class Answering:
    """A policy that answers batches of questions, and what reads its answers."""

    recipe: EvaluateRecipe
    model: Any
    processor: Any
    extractor: Extractor
    root: Path
    """Folder of the images."""
    drafter: Drafter
    options: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """The two answers of each question that has two, where their probabilities are asked for."""

    def batch(self, batch: Sequence[Example], films: Sequence[Sequence[Any]]) -> Iterator[Prediction]:
        """Generate the answers to a batch of questions, and score each of them."""
        questions, recipe = [example.question for example in batch], self.recipe
        generations = generate(
            self.model,
            self.processor,
            questions,
            films,
            max_new_tokens=recipe.max_new_tokens,
            drafter=self.drafter,
        )
        texts, opened_think = [samples[0].text for samples in generations], generations[0][0].opened_think
        readings = reading_pairs(
            batch, texts, self.extractor, opened_think=opened_think, ontology=recipe.ontology
        )
        probabilities = self._probabilities(batch, films)
        for example, (generation,), pair, chances in zip(
            batch, generations, readings, probabilities, strict=True
        ):
            yield make_prediction(
                example,
                generation,
                *pair,
                self.root,
                extractor=self.extractor,
                tokens=recipe.tokens,
                ontology=recipe.ontology,
                probabilities=chances or None,
            )

    def _probabilities(
        self, batch: Sequence[Example], films: Sequence[Sequence[Any]]
    ) -> list[dict[str, float] | None]:
        if not self.options:
            return [None] * len(batch)
        return answer_probabilities(
            self.model,
            self.processor,
            batch,
            films,
            self.options,
            samples=self.recipe.answer_samples,
            max_new_tokens=self.recipe.max_new_tokens,
            seed=self.recipe.seed,
            drafter=self.drafter,
        )
