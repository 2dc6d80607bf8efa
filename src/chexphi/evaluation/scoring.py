"""Score one generated text against its example: the record that `evaluate` writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chexphi import answers, prompts
from chexphi.data.phantom.scene import Scene
from chexphi.data.phantom.truth import scene_match
from chexphi.graph.clinical.sums import figures_of
from chexphi.graph.types import Extractor, Graph
from chexphi.rewards.reading import Reading, compare_findings, read
from chexphi.rewards.rules import CLINICAL, AnswerRule, GraphRule
from chexphi.rewards.score import is_right
from chexphi.rewards.verdicts import verdict_of
from chexphi.schema import Example, Prediction

if TYPE_CHECKING:
    from chexphi.models.generate import Generation


def make_prediction(
    example: Example,
    generation: Generation,
    reference: Reading,
    predicted: Reading,
    root: Path,
    *,
    extractor: Extractor,
    tokens: bool,
    ontology: str = "",
    probabilities: dict[str, float] | None = None,
) -> Prediction:
    """The record of one generated text, scored against its example.

    Args:
        example: The question.
        generation: The policy's text.
        reference: What the example's reasoning says.
        predicted: What the policy's says.
        root: Folder of the images.
        extractor: What reads question and answer.
        tokens: Whether the record has each token with its probability.
        ontology: The file of concepts that both were read with, as in `reading_pairs`.
        probabilities: Of each answer; see `answer_probability.answer_probabilities`.
    """
    parsed = generation.parsed
    match = compare_findings(predicted, reference, ontology)
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
        graph_reference=reference.graph.to_dict(),
        graph_predicted=predicted.graph.to_dict(),
        kind=example.kind,
        question_type=example.question_type,
        semantic_type=example.semantic_type,
        subject_id=example.subject_id,
        predicted_answer=parsed.answer,
        reasoning_words=parsed.words,
        scene_counts=_scene_counts(example, predicted.graph),
        clinical=None if match is None else figures_of(match),
        present_findings=None
        if match is None
        else {"reference": _present(reference), "predicted": _present(predicted)},
        consistency=verdict_of(parsed, example.question, extractor, ontology),
        answer_probabilities=probabilities,
    )


def _present(reading: Reading) -> list[str]:
    """Names of the findings that are claimed to be present, with or without certainty."""
    return sorted({finding.concept for finding in reading.findings if finding.present})


def _scene_counts(example: Example, predicted: Graph) -> tuple[int, int, int] | None:
    """A graph against what is really on the film; None where that is not known."""
    if not example.scene:
        return None
    counts = scene_match(predicted, [Scene.from_dict(row) for row in example.scene])
    return counts.tp, counts.fp, counts.fn


def reading_pairs(
    examples: Sequence[Example],
    texts: Sequence[str],
    extractor: Extractor,
    *,
    opened_think: bool = False,
    ontology: str = "",
) -> Iterator[tuple[Reading, Reading]]:
    """(reference, prediction) of each example: graph and findings, each of the reasoning alone.

    `ontology` is a file of concepts that are added to those of the package; see `findings.ontology.load`.
    """
    thinks = [prompts.parse(text, opened_think=opened_think).think or "" for text in texts]
    rule = GraphRule(CLINICAL, ontology=ontology)
    predicted = read(thinks, extractor, rule)
    references = read(
        [prompts.reference_reasoning(example.explanation) for example in examples], extractor, rule
    )
    for example, reference, prediction in zip(examples, references, predicted, strict=True):
        given_graph = None if example.graph is None else Graph.from_dict(example.graph)
        yield reference if given_graph is None else replace(reference, graph=given_graph), prediction
