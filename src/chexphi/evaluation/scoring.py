"""Score one generated text against its example: the record that `evaluate` writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chexphi import answers, prompts
from chexphi.data.phantom.scene import Scene
from chexphi.data.phantom.truth import scene_match
from chexphi.graph.types import Extractor, Graph
from chexphi.rewards.rules import AnswerRule
from chexphi.rewards.score import is_right
from chexphi.schema import Example, Prediction

if TYPE_CHECKING:
    from chexphi.models.generate import Generation


def make_prediction(
    example: Example,
    generation: Generation,
    reference: Graph,
    predicted: Graph,
    root: Path,
    *,
    tokens: bool,
    probabilities: dict[str, float] | None = None,
) -> Prediction:
    """The record of one generated text, scored against its example.

    Args:
        example: The question.
        generation: The policy's text.
        reference: The graph of the example's reasoning.
        predicted: The graph of the policy's.
        root: Folder of the images.
        tokens: Whether the record has each token with its probability.
        probabilities: Of each answer; see `answer_probability.answer_probabilities`.
    """
    parsed = generation.parsed
    return Prediction(
        id=example.id,
        image_ids=tuple(
            Path(image).stem if not image.startswith("data:") else "data" for image in example.images
        ),
        question=example.question,
        answer=example.answer,
        explanation=example.explanation,
        generated_text=generation.text,
        is_correct=bool(is_right(parsed, example.answer)),
        correct_clinical=bool(is_right(parsed, example.answer, AnswerRule("clinical"))),
        correct_no_format_gate=bool(is_right(parsed, example.answer, AnswerRule(format_gate=False))),
        correct_substring=answers.score(generation.text, example.answer, "substring") == 1,
        parse_status=parsed.status.value,
        opened_think=generation.opened_think,
        image_paths=tuple(
            image if image.startswith("data:") else str(root / image) for image in example.images
        ),
        generated_tokens=generation.tokens if tokens else (),
        token_ids=generation.token_ids if tokens else (),
        token_logprobs=generation.logprobs if tokens else (),
        token_probabilities=tuple(map(math.exp, generation.logprobs)) if tokens else (),
        graph_reference=reference.to_dict(),
        graph_predicted=predicted.to_dict(),
        kind=example.kind,
        question_type=example.question_type,
        semantic_type=example.semantic_type,
        subject_id=example.subject_id,
        predicted_answer=parsed.answer,
        reasoning_words=parsed.words,
        scene_counts=_scene_counts(example, predicted),
        answer_probabilities=probabilities,
    )


def _scene_counts(example: Example, predicted: Graph) -> tuple[int, int, int] | None:
    """A graph against what is really on the film; None where that is not known."""
    if not example.scene:
        return None
    counts = scene_match(predicted, [Scene.from_dict(row) for row in example.scene])
    return counts.tp, counts.fp, counts.fn


def graph_pairs(
    examples: Sequence[Example], texts: Sequence[str], extractor: Extractor, *, opened_think: bool = False
) -> Iterator[tuple[Graph, Graph]]:
    """(reference graph, predicted graph) of each example, each of the reasoning alone."""
    thinks = [prompts.parse(text, opened_think=opened_think).think or "" for text in texts]
    predicted = extractor.extract(thinks)
    references = extractor.extract([prompts.reference_reasoning(example.explanation) for example in examples])
    for example, extracted_reference, predicted_graph in zip(examples, references, predicted, strict=True):
        yield (
            Graph.from_dict(example.graph) if example.graph is not None else extracted_reference,
            predicted_graph,
        )
