"""How fast a trained policy answers: the library's loop, ours, and ours with drafts. One table.

    python bench/rollouts.py runs/demo/sft/model runs/demo/data/annotations/test/test.json

Greedy answers to 64 questions a batch, seconds of the processor, the sides in turn: the median of all rounds.
Films are prepared before. A policy with random weights shows what drafts cost where none is ever right.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from chexphi.data.images import load_image
from chexphi.data.read import image_root_of, read_examples
from chexphi.models import policy
from chexphi.models.generate import generate
from chexphi.models.rollout.drafting import Drafter, DraftLimits, fed_drafter
from chexphi.models.shared_prompts import read_prompts

ROWS, NEW_TOKENS, WARM_UP = 64, 72, 3


def sides(model: Any, processor: Any, examples: Any) -> dict[str, Callable[..., Any]]:
    """What answers questions about films, by name."""
    texts = [example.explanation for example in examples]
    drafter = fed_drafter(processor.tokenizer, texts, model.device.type)
    no_drafts = Drafter(DraftLimits(1.0, 0))

    def library(questions: Any, films: Any) -> list[tuple[int, ...]]:
        with read_prompts.evaluating(model):
            _, inputs = read_prompts.encode(model, processor, questions, films)
            found = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
        ends = set(model.generation_config.eos_token_id)
        rows = found[:, inputs["input_ids"].shape[1] :].tolist()
        stops = [next((at + 1 for at, token in enumerate(row) if token in ends), len(row)) for row in rows]
        return [tuple(row[:stop]) for row, stop in zip(rows, stops, strict=True)]

    def ours(drafter: Drafter) -> Callable[..., list[tuple[int, ...]]]:
        return lambda questions, films: [
            samples[0].token_ids
            for samples in generate(
                model, processor, questions, films, max_new_tokens=NEW_TOKENS, drafter=drafter
            )
        ]

    return {"library": library, "ours, no drafts": ours(no_drafts), "ours, drafts": ours(drafter)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("policy", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    words = parser.parse_args()
    torch.set_num_threads(1)
    model, processor = policy.load(words.policy)
    root = image_root_of(words.data, None)
    examples = read_examples(words.data, limit=ROWS * 3)
    films = [[load_image(image, root) for image in example.images] for example in examples]
    by_name = sides(model, processor, examples)
    seconds: dict[str, list[float]] = {name: [] for name in by_name}
    equal = total = 0
    for turn in range(WARM_UP + words.rounds):
        start = ROWS * (turn % (len(examples) // ROWS))
        batch = [example.question for example in examples[start : start + ROWS]]
        answers = {}
        names = list(by_name)
        for name in names[turn % 3 :] + names[: turn % 3]:
            begun = time.process_time()
            answers[name] = by_name[name](batch, films[start : start + ROWS])
            if turn >= WARM_UP:
                seconds[name].append(time.process_time() - begun)
        equal += sum(len(set(row)) == 1 for row in zip(*answers.values(), strict=True))
        total += len(batch)
    table = Table(
        "side", "s a batch", "of the library", "of ours without drafts", title=f"{ROWS} greedy answers"
    )
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        ratios = (median / medians[other] for other in ("library", "ours, no drafts"))
        table.add_row(name, f"{median:.3f}", *(f"{ratio:.2f}" for ratio in ratios))
    Console().print(table)
    Console().print(f"{equal} of {total} answers are the same on all sides")


if __name__ == "__main__":
    main()
