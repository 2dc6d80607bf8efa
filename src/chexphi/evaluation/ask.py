"""One question to a policy: its reasoning, answer and graph, compared with a reference: `chexphi ask`."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from chexphi import answers, prompts, ranges
from chexphi.data.images import load_image
from chexphi.graph import match as matching
from chexphi.graph.match import Counts, GraphMatch
from chexphi.graph.open import open_extractor
from chexphi.graph.types import Extractor, Graph, Parse
from chexphi.models import policy_folder
from chexphi.prompts import Parsed
from chexphi.ranges import COUNT, NOT_NEGATIVE, SEED, TEMPERATURE
from chexphi.rewards.reading import Reading
from chexphi.rewards.score import gold_answer, is_right, judge
from chexphi.rewards.scored import Score
from chexphi.runs import terminal
from chexphi.schema import InputError, shown

if TYPE_CHECKING:
    from chexphi.models.generate import Generation

DICOM = (".dcm", ".dicom")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a reply is compared with; a field that is None or empty is not scorable."""

    gold: tuple[str, ...] | None
    graph: Graph
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
            "graph_reference": self.reference.graph.to_dict(),
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
            "graph_predicted": self.parse.graph.to_dict(),
            "comparison": self.comparison.to_dict() if self.comparison else None,
        }


def _figures(counts: Counts) -> dict[str, float]:
    figures = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
    return figures | {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn}


def compare(generation: Generation, predicted: Graph, reference: Reference) -> Comparison:
    """Score a generated text and the graph of its reasoning."""
    parsed, gold = generation.parsed, reference.gold
    match = matching.compare(predicted, reference.graph) if reference.graph else None
    rewards = judge(
        parsed, Reading(predicted), Reading(reference.graph), gold, reference_reasoning=reference.reasoning
    )
    return Comparison(reference, is_right(parsed, gold), match, rewards)


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


def split_words(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The paths of the films, and the question, which is the last word.

    Raises:
        InputError: The question is empty, is a file, or looks like the name of an image.
    """
    *images, question = words
    if not question.strip():
        raise InputError("the question is empty: write it last, in quotes, after the images")
    looks_like_image = os.path.splitext(question)[1].lower() in (*Image.registered_extensions(), *DICOM)
    if looks_like_image or os.path.isfile(question):
        raise InputError(
            f"the last word, {shown(question)}, is a file, not a question: add the question, in quotes"
        )
    return tuple(images), question


def read_films(images: Sequence[str]) -> list[Image.Image]:
    """The films in the order given, as 8-bit RGB.

    Raises:
        InputError: A film is missing, is a folder, or cannot be read as an image.
    """
    for image in images:
        if os.path.isdir(image):
            raise InputError(f"image {shown(image)} is a folder: name the files of the films")
        if not os.path.isfile(image):
            raise InputError(
                f"image {shown(image)} does not exist: check the path; the question comes last, in quotes"
            )
    paths = [Path(os.path.abspath(image)) for image in images]
    return [load_image(str(path), Path(path.anchor)) for path in paths]


def read_reference(text: str, extractor: Extractor) -> Reference:
    """The answer and the graph of a reference with tags, or the graph of a reasoning without tags.

    Raises:
        InputError: It has neither an answer nor a graph.
    """
    gold = gold_answer(text) or ()
    reasoning = prompts.reference_reasoning(text)
    (graph,) = extractor.extract([reasoning])
    if not answers.labels(gold) and not graph:
        raise InputError(
            "the reference has no answer and its reasoning no graph, so nothing can be compared: write "
            "'<think>REASONING</think><answer>ANSWER</answer>'"
        )
    return Reference(tuple(gold) if answers.labels(gold) else None, graph, reasoning)


def main(
    model: Path,
    words: Sequence[str],
    *,
    reference: str | None = None,
    extractor: str = "lexicon",
    max_new_tokens: int = 256,
    temperature: float = 0.0,
    dynamic_hd: int | None = None,
    seed: int = 0,
) -> Reply:
    """Ask a policy one question.

    Args:
        model: Folder of the policy.
        words: Paths of the films, prior before current, then the question.
        reference: What to compare with: reasoning and answer in their tags, or the reasoning alone.
        extractor: Name of the extractor.
        max_new_tokens: Length of the longest reply.
        temperature: 0 decodes greedily.
        dynamic_hd: Most tiles a film is cut into; None keeps the model's own setting.
        seed: Of the sampling at a temperature above 0.

    Raises:
        InputError: For bad words, films or references, before the model is loaded, and for a bad model.
    """
    limits = {
        "max_new_tokens": COUNT,
        "temperature": NOT_NEGATIVE if temperature == 0 else TEMPERATURE,
        "seed": SEED,
    }
    settings = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
    ranges.check(settings, limits, "ask")
    images, question = split_words(words)
    films = read_films(images)
    policy_folder.check(model, dynamic_hd=dynamic_hd)
    with terminal.loading_extractor(extractor):
        opened_extractor = open_extractor(extractor)
    expected = read_reference(reference, opened_extractor) if reference is not None else None
    with terminal.waiting("loading libraries"):  # torch takes seconds: only after the checks
        from chexphi.models import policy
        from chexphi.models.generate import generate

    with terminal.waiting("loading the model"):
        loaded, processor = policy.load(model, dynamic_hd=dynamic_hd)
    ((generation,),) = generate(
        loaded,
        processor,
        [question],
        [films],
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
    )
    parsed = generation.parsed
    (parse,) = opened_extractor.parse([parsed.think or ""])
    comparison = compare(generation, parse.graph, expected) if expected else None
    return Reply(question, images, generation, parsed, parse, comparison)
