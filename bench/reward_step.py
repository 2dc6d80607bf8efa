"""What rewards, records and metrics add to a GRPO step: ours beside plain TRL with a constant reward.

Plain is `trl.GRPOTrainer` on our Phi-4 classes, paid 1 for everything, without a file. Ours has both rewards,
`completions.jsonl` with its log-probabilities, `metrics.jsonl` and the diagnostics, once with prompts shared
and once without: the second is what those alone cost. No end token is sampled, so that all sides do the same
work; the rewards read drawn reports in place of a random model's completions.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import dataclasses
import logging
import statistics
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from _cells import DEMO, Cell, Spoken, examples, grid, reports
from _policy import GPU, policy, silence, unshared
from _turns import Parts, Turns, instrument
from grpo_step import Run, config, make_trainer
from rich.console import Console
from rich.table import Table
from transformers.utils import logging as transformers_logging

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.models.families import tiny
from chexphi.runs.jsonl import JsonLines
from chexphi.training.dataset import grpo_dataset
from chexphi.training.diagnostics import Diagnostics
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.grpo_run import reward_functions
from chexphi.training.grpo_trainer import LoggedGRPOTrainer
from chexphi.training.progress import MetricsLog

CELLS = {
    "prompt": grid([300], [8], [1])[0],
    "demo": dataclasses.replace(
        DEMO, name=f"{DEMO.name}, T 0.9", trainer=DEMO.trainer | {"temperature": 0.9}
    ),
}
"""Both at a temperature that is not 1, where the logged log-probabilities are a product of their own."""
SIDES = ("plain", "not shared", "shared")


def constant(completions: Sequence[Any], **columns: Any) -> list[float]:
    return [1.0] * len(completions)


def begin(side: str, cell: Cell, tokenizer: Any, folder: Path, steps: int) -> Run:
    """A trainer that waits before its first step."""
    place = folder / side
    place.mkdir()
    model, processor = policy(tokenizer, cell.shape, crops=36)
    bare, turns, parts = side == "plain", Turns(), Parts()
    drawn = examples(cell, processor, cell.prompts * steps, place)
    arguments: dict[str, Any] = {
        "args": config(cell, model, place, steps, logging_strategy="steps"),
        "train_dataset": grpo_dataset(drawn, place, None if bare else processor.prepare_film),
        "processing_class": processor,
    }
    if bare:
        trainer = make_trainer(
            side, place, None, model=model, **arguments, reward_funcs=constant, callbacks=[turns]
        )
    else:
        rewards = reward_functions(GRPORecipe(), LexiconExtractor(), model.generation_config.eos_token_id)
        trainer = LoggedGRPOTrainer(
            model if side == "shared" else unshared(model),
            **arguments,
            completions=JsonLines(place / "completions.jsonl"),
            share_prefix=side == "shared",
            reward_funcs=[Spoken(reward, reports()) for reward in rewards],
            callbacks=[MetricsLog(JsonLines(place / "metrics.jsonl"), "grpo"), Diagnostics(place), turns],
        )
    silence(trainer)
    instrument(trainer, parts)
    turns.start(trainer)
    return Run(None, turns, parts, trainer)


def compare(cell: Cell, warm: int, steps: int) -> Table:
    """All sides of a cell, a step each in turn, in an order that turns as well."""
    tokenizer = tiny.train_tokenizer(reports())
    walls: list[list[float]] = [[] for _ in SIDES]
    with tempfile.TemporaryDirectory() as folder:
        runs = [begin(side, cell, tokenizer, Path(folder), warm + steps) for side in SIDES]
        for turn in range(warm + steps):
            for i in [(turn + k) % len(SIDES) for k in range(len(SIDES))]:
                if turn == warm:
                    runs[i].parts.clear()
                runs[i].seconds.append(runs[i].turns.step())
                walls[i].append(runs[i].turns.wall)
        for each in runs:
            each.turns.finish()
    title = f"{cell.name}; median of {steps} steps after {warm}"
    table = Table("side", "processor s", "/ plain", "range", "wall s", "/ plain", "rewards, ms", title=title)
    for side, each, wall in zip(SIDES, runs, walls, strict=True):
        times = [values[warm:] for values in (each.seconds, runs[0].seconds, wall, walls[0])]
        processor, walled = ([a / b for a, b in zip(times[i], times[i + 1], strict=True)] for i in (0, 2))
        table.add_row(
            side,
            f"{statistics.median(times[0]):.3f}",
            f"{statistics.median(processor):.3f}",
            f"{min(processor):.2f} to {max(processor):.2f}",
            f"{statistics.median(times[2]):.3f}",
            f"{statistics.median(walled):.3f}",
            f"{1000 * each.parts.seconds['rewards'] / steps:.1f}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="What rewards, records and metrics add to a GRPO step.")
    parser.add_argument("--steps", type=int, default=3, help="timed steps, after a quarter of them")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS), help="which comparisons")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers_logging.set_verbosity_error()
    logging.getLogger("chexphi").setLevel(logging.ERROR)  # every completion is cut, as it has to be here
    device = torch.cuda.get_device_name() if GPU else f"CPU, {torch.get_num_threads()} thread(s)"
    console = Console(width=120)
    console.print(device)
    for name in asked.cells:
        console.print(compare(CELLS[name], max(1, asked.steps // 4), asked.steps))


if __name__ == "__main__":
    main()
