"""How fast a trained policy samples, and in how much memory: the library's loop and ours. Two tables.

    python bench/rollouts.py
    python bench/rollouts.py --policy runs/demo/sft/model --data runs/demo/data/annotations/test/test.json

Greedy answers to 64 questions a batch, by the policy of `grpo_step`'s demo cell or by another; then the call
in which TRL's trainer samples, for 2 prompts of 300 tokens with 8 completions of 60. Seconds of the
processor, the sides in turn, the median of all rounds after 3. Films are opened before.

`library` is `--sampling library`: the library's loop on our shared prompts. The last round follows memory.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from _cells import DEMO, Cell, examples, grid, tokenizer
from _policy import policy as bench_policy
from _trained import POLICIES, weights_of
from _turns import Peak
from rich.console import Console
from rich.table import Table
from transformers.utils import logging as transformers_logging

from chexphi.data.images import load_image
from chexphi.data.read import image_root_of, read_examples
from chexphi.models import adapter
from chexphi.models import policy as saved_policy
from chexphi.models.generate import generate
from chexphi.models.rollout.drafting import Drafter, DraftLimits, fed_drafter
from chexphi.models.rollout.native import Rollouts
from chexphi.models.shared_prompts import read_prompts

ROWS, NEW_TOKENS, WARM_UP = 64, 72, 3
GROUP_CELL = next(iter(grid([300], [8], [1])))
Completions = list[tuple[int, ...]]
Call = Callable[[Sequence[str], Sequence[Any]], Completions]


def drafters(processor: Any, references: Sequence[str]) -> dict[str, Drafter | None]:
    """Of each side; None is the library's loop."""
    fed = fed_drafter(processor.tokenizer, references, "cpu")
    return {"library": None, "ours, no drafts": Drafter(DraftLimits(1.0, 0)), "ours, drafts": fed}


def greedy(model: Any, processor: Any, drafter: Drafter | None) -> Call:
    """Answers to one question a row."""
    if drafter is None:
        return lambda questions, films: by_library(model, processor, questions, films, do_sample=False)

    def ours(questions: Sequence[str], films: Sequence[Any]) -> Completions:
        found = generate(model, processor, questions, films, max_new_tokens=NEW_TOKENS, drafter=drafter)
        return [samples[0].token_ids for samples in found]

    return ours


def sampled(model: Any, processor: Any, drafter: Drafter | None, cell: Cell) -> Call:
    """What TRL's trainer calls: each prompt as often as it has completions."""
    rollouts = drafter and Rollouts(0, drafter)

    def call(questions: Sequence[str], films: Sequence[Any]) -> Completions:
        rows = [row for row in range(len(questions)) for _ in range(cell.group)]
        model.rollouts = rollouts
        if rollouts:
            rollouts.begin_call(1, 0, first_row=0)
        found = by_library(
            model, processor, [questions[row] for row in rows], [films[row] for row in rows],
            do_sample=True, top_k=0, new_tokens=cell.new_tokens, suppress_tokens=model.config.eos_token_id,
        )  # fmt: skip
        model.rollouts = None
        return found

    return call


def by_library(
    model: Any, processor: Any, questions: Any, films: Any, *, new_tokens: int = NEW_TOKENS, **settings: Any
) -> Completions:
    """The library's `generate`; completions with their end token."""
    with read_prompts.evaluating(model):
        _, inputs = read_prompts.encode(model, processor, questions, films)
        found = model.generate(**inputs, max_new_tokens=new_tokens, **settings)
    ends = set(model.generation_config.eos_token_id)
    rows = found[:, inputs["input_ids"].shape[1] :].tolist()
    stops = [next((at + 1 for at, token in enumerate(row) if token in ends), len(row)) for row in rows]
    return [tuple(row[:stop]) for row, stop in zip(rows, stops, strict=True)]


def measured(calls: dict[str, Call], batches: Sequence[tuple[Any, Any]], rounds: int, title: str) -> Table:
    """The sides in turn; the last round's allocations are followed, which takes time."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    peaks: dict[str, int] = {}
    equal = total = 0
    names = list(calls)
    for turn in range(WARM_UP + rounds + 1):
        batch, answers = batches[turn % len(batches)], {}
        for name in names[turn % 3 :] + names[: turn % 3]:
            begun = time.process_time()
            if turn == WARM_UP + rounds:
                with Peak() as peak:
                    answers[name] = calls[name](*batch)
                peaks[name] = peak.bytes
                continue
            answers[name] = calls[name](*batch)
            if turn >= WARM_UP:
                seconds[name].append(time.process_time() - begun)
        same = [first == second for first, second in zip(*map(answers.get, names[1:]), strict=True)]
        equal, total = equal + sum(same), total + len(same)
    table = Table("side", "s a call", "of the library", "peak MB", "of the library", title=title)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        shares = median / medians["library"], peaks[name] / peaks["library"]
        table.add_row(
            name, f"{median:.3f}", f"{shares[0]:.2f}", f"{peaks[name] / 1e6:.1f}", f"{shares[1]:.2f}"
        )
    table.caption = f"{equal} of {total} completions are the same with drafts and without"
    return table


def drawn(cell: Cell, processor: Any, count: int) -> list[tuple[str, list[Any], str]]:
    """Questions about drawn films, the films, and references."""
    with tempfile.TemporaryDirectory() as folder:
        found = examples(cell, processor, count, Path(folder))
        return [
            (each.question, [load_image(name, Path(folder)) for name in each.images], each.explanation)
            for each in found
        ]


def of_file(path: Path, count: int) -> list[tuple[str, list[Any], str]]:
    root = image_root_of(path, None)
    return [
        (each.question, [load_image(name, root) for name in each.images], each.explanation)
        for each in read_examples(path, limit=count)
    ]


def batches_of(rows: Sequence[tuple[str, list[Any], str]], size: int) -> list[tuple[list[str], list[Any]]]:
    whole = [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
    return [([row[0] for row in batch], [row[1] for row in batch]) for batch in whole]


def cell_policy(cell: Cell, folder: Path) -> tuple[Any, Any]:
    """The trained policy of a cell, in evaluation mode and without PEFT around it."""
    weights = weights_of(cell, tokenizer(), folder)
    model, processor = bench_policy(tokenizer(), cell.shape, crops=36, weights=weights)
    return adapter.unwrapped(model).eval(), processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--policy", type=Path, help="a policy for the answers, with --data")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--policies", type=Path, default=POLICIES, help="where trained policies are kept")
    parser.add_argument("--rounds", type=int, default=10)
    words = parser.parse_args()
    if (words.policy is None) != (words.data is None):
        parser.error("give --policy and --data together")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers_logging.set_verbosity_error()
    count = ROWS * (WARM_UP + words.rounds + 1)  # no question twice: drafts would know its answer
    model, processor = saved_policy.load(words.policy) if words.policy else cell_policy(DEMO, words.policies)
    rows = of_file(words.data, count) if words.data else drawn(DEMO, processor, count)
    by_name = drafters(processor, [reference for _, _, reference in rows])
    calls = {name: greedy(model, processor, each) for name, each in by_name.items()}
    title = f"{ROWS} greedy answers, up to {NEW_TOKENS} tokens"
    Console().print(measured(calls, batches_of(rows, ROWS), words.rounds, title))

    model, processor = cell_policy(GROUP_CELL, words.policies)
    rows = drawn(GROUP_CELL, processor, GROUP_CELL.prompts * (WARM_UP + words.rounds + 1))
    by_name = drafters(processor, [reference for _, _, reference in rows])
    calls = {name: sampled(model, processor, each, GROUP_CELL) for name, each in by_name.items()}
    title = f"2 prompts of {GROUP_CELL.length} tokens, 8 completions of {GROUP_CELL.new_tokens}"
    Console().print(measured(calls, batches_of(rows, GROUP_CELL.prompts), words.rounds, title))


if __name__ == "__main__":
    main()
