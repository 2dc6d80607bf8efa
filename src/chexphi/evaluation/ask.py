"""One question to a policy: its reasoning, answer and graph, compared with a reference: `chexphi ask`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from chexphi import answers, prompts, ranges
from chexphi.data.images import load_image
from chexphi.evaluation.ask_reply import Comparison, Reference, Reply
from chexphi.graph import match as matching
from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.open import open_extractor
from chexphi.graph.types import Extractor, Parse
from chexphi.models import policy_folder
from chexphi.ranges import COUNT, NOT_NEGATIVE, SEED, TEMPERATURE
from chexphi.rewards.reading import compare_findings, with_findings
from chexphi.rewards.score import gold_answer, is_right, judge
from chexphi.rewards.verdicts import verdict_of
from chexphi.runs import terminal
from chexphi.schema import InputError, shown

if TYPE_CHECKING:
    from chexphi.models.generate import Generation

DICOM = (".dcm", ".dicom")


def compare(generation: Generation, parse: Parse, reference: Reference, *, ontology: str = "") -> Comparison:
    """Score a generated text and what its reasoning says; `ontology` is that of `read_reference`."""
    parsed, gold, expected = generation.parsed, reference.gold, reference.reading
    predicted = with_findings(parse, ontology)
    match = matching.compare(predicted.graph, expected.graph) if expected.graph else None
    rewards = judge(parsed, predicted, expected, gold, reference_reasoning=reference.reasoning)
    findings_match = compare_findings(predicted, expected, ontology)
    return Comparison(reference, is_right(parsed, gold), match, rewards, findings_match)


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


def read_reference(text: str, extractor: Extractor, ontology: str = "") -> Reference:
    """The answer and the graph of a reference with tags, or the graph of a reasoning without tags.

    Args:
        text: The reference.
        extractor: What reads the graph.
        ontology: A file of concepts that are added to those of the package; see `findings.ontology.load`.

    Raises:
        InputError: It has neither an answer nor a graph.
    """
    gold = gold_answer(text) or ()
    reasoning = prompts.reference_reasoning(text)
    (parse,) = extractor.parse([reasoning])
    if not answers.labels(gold) and not parse.graph:
        raise InputError(
            "the reference has no answer and its reasoning no graph, so nothing can be compared: write "
            "'<think>REASONING</think><answer>ANSWER</answer>'"
        )
    labels = tuple(gold) if answers.labels(gold) else None
    return Reference(labels, with_findings(parse, ontology), reasoning)


def main(
    model: Path,
    words: Sequence[str],
    *,
    reference: str | None = None,
    extractor: str = "lexicon",
    ontology: str = "",
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
        ontology: A file of concepts that are added to those of the package; see `findings.ontology.load`.
        max_new_tokens: Length of the longest reply.
        temperature: 0 decodes greedily.
        dynamic_hd: Most tiles a film is cut into; None keeps the model's own setting.
        seed: Of the sampling at a temperature above 0.

    Raises:
        InputError: For bad words, films, concepts or references, before the model is loaded, and for a bad
            model.
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
    open_ontology(ontology)
    policy_folder.check(model, dynamic_hd=dynamic_hd)
    with terminal.loading_extractor(extractor):
        opened_extractor = open_extractor(extractor, ontology=ontology)
    expected = read_reference(reference, opened_extractor, ontology) if reference is not None else None
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
    comparison = compare(generation, parse, expected, ontology=ontology) if expected else None
    verdict = verdict_of(parsed, question, opened_extractor, ontology)
    return Reply(question, images, generation, parsed, parse, comparison, verdict)
