"""Questions about one film, answered and scored together: the film read once, and read for each. One table.

Seconds of the processor, the two sides in turn; small models in fp32. The last rows are batches in which
nothing is shared: what looking for it costs.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
import statistics
from collections.abc import Callable
from typing import Any

from _cells import SIZES, reports
from _policy import Shape, clock, policy
from rich.console import Console
from rich.table import Table
from transformers.utils import logging as transformers_logging

from chexphi.data.phantom.draw import render
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.evaluation.answer_probability import answer_probabilities
from chexphi.models.families import tiny
from chexphi.models.generate import generate
from chexphi.models.likelihood import sequence_logprobs
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.schema import Example

QUESTIONS, NEW_TOKENS, SAMPLES = 8, 20, 2
SMALL = Shape(112, 8, 8, full=False, sizes=SIZES)
CROPS = {300: 2, 1400: 5}
"""Height and width of a film in crops, by tokens of its prompts: 267 and 1,317 are the film's."""
OPTIONS = {"presence": ("no", "yes")}


def film(rng: random.Random, length: int) -> Any:
    """A film that brings a short prompt to about this length."""
    side = CROPS[length] * SMALL.crop
    return render(sample_scene(rng, sample_build(rng)), 128).resize((side, side)).convert("RGB")


def questions(number: int) -> list[str]:
    words = ("consolidation", "effusion", "nodule", "edema")
    return [f"Is there {words[i % 4]} in the {('left', 'right')[i // 4]} lung?" for i in range(number)]


def turns(model: Any, work: Callable[[], Any], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds with sharing and without, each first in turn, after a round that warms up."""
    causal = model.get_base_model()
    found: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds + 1):
        for shares in (turn % 2 == 0, turn % 2 == 1):
            causal.prompt_sharing = SharedPrompts(None if shares else "switched off to compare")
            start = clock()
            work()
            if turn:
                found[shares].append(clock() - start)
    return found[True], found[False]


def works(pair: Any, asked: list[str], films: list[list[Any]]) -> dict[str, Callable[[], Any]]:
    """What is measured."""
    examples = [Example(str(i), ("f",), q, ("yes",), question_type="presence") for i, q in enumerate(asked)]
    how = {"samples": SAMPLES, "max_new_tokens": NEW_TOKENS, "seed": 0}
    texts = [report[:120] for report in reports()[: len(asked)]]
    return {
        "generate, greedy": lambda: generate(*pair, asked, films, max_new_tokens=NEW_TOKENS),
        "sequence_logprobs": lambda: sequence_logprobs(*pair, asked, films, texts),
        "answer_probabilities": lambda: answer_probabilities(*pair, examples, films, OPTIONS, **how),
    }


def main() -> None:
    transformers_logging.set_verbosity_error()
    tokenizer = tiny.train_tokenizer(reports())
    pair = policy(tokenizer, SMALL, crops=36)
    rng = random.Random(0)
    parameters = sum(p.numel() for p in pair[0].parameters()) / 1e6
    title = (
        f"questions about one film: {NEW_TOKENS} new tokens, {SAMPLES} samples; {parameters:.1f} M parameters"
    )
    table = Table("shared / plain", "", "prompts", "shared, s", "plain, s", title=title)
    for name, length, same, rounds in (
        (f"{QUESTIONS} questions, one film", 300, True, 3),
        (f"{QUESTIONS} questions, one film", 1400, True, 1),
        (f"{QUESTIONS} questions, {QUESTIONS} films", 300, False, 7),
        ("1 question", 300, False, 9),
    ):
        asked = questions(1 if name == "1 question" else QUESTIONS)
        drawn = [film(rng, length) for _ in asked]
        films = [[drawn[0] if same else one] for one in drawn]
        for what, work in works(pair, asked, films).items():
            if what == "answer_probabilities" and not same:
                continue  # the continuations of a question share it
            shared, plain = turns(pair[0], work, rounds)
            ratios = sorted(a / b for a, b in zip(shared, plain, strict=True))
            ratio = f"{statistics.median(ratios):.3f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
            cells = [f"{statistics.median(seconds):.3f}" for seconds in (shared, plain)]
            table.add_row(ratio, what, f"{name}, ~{length} tokens", *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
