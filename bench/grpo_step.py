"""One GRPO step of plain TRL and of ours, in turn, and its parts: time, tokens forwarded, memory.

Plain is `trl.GRPOTrainer` on our Phi-4 classes. `PROMPTS` prompts a step of P tokens, films included, each
with G completions of 60 tokens, vision LoRA and own `lm_head`, beta > 0, new films every step. The
small model has about 6 M parameters; beside a GPU the same runs on the published sizes in bf16, with crops of
112 pixels there too so that a prompt can be short. No end token is sampled: both sides do the same work.
Random weights write no answer format, so the rewards read drawn reports in place of the completions.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")

import argparse
import gc
import statistics
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch
from _cells import DEMO, PROMPTS, Cell, Spoken, examples, grid, reports
from _policy import GPU, policy, unshared
from _turns import Parts, Turns, instrument, resident
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer

from chexphi.graph.lexicon import LexiconExtractor
from chexphi.models import tiny
from chexphi.runs import JsonLines
from chexphi.training.dataset import grpo_dataset
from chexphi.training.grpo import DEFAULTS, GRPORecipe, reward_functions
from chexphi.training.progress import quiet
from chexphi.training.trainer import LoggedGRPOTrainer

LENGTHS, GROUPS = (64, 300, 600, 1400), (2, 4, 8, 16)
PARTS = ("films", "vision", "prefill", "decode", "rewards", "reference pass", "policy pass", "backward")
PARTS += ("optimiser", "rest")


def plain(folder: Path, model: Any, **arguments: Any) -> Any:
    """TRL's trainer on our classes, no prompt shared."""
    return GRPOTrainer(model=unshared(model), **arguments)


def ours(folder: Path, **arguments: Any) -> Any:
    return LoggedGRPOTrainer(**arguments, completions=JsonLines(folder / "completions.jsonl"))


SIDES = {"ours": ours, "plain": plain}


@dataclass
class Run:
    """A side of a cell: its trainer, and what was measured of it."""

    turns: Turns
    parts: Parts
    trainer: Any
    seconds: list[float] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)
    tokens: int = 0
    peak: int = 0


def begin(side: str, cell: Cell, tokenizer: Any, folder: Path, steps: int, checkpointing: bool) -> Run:
    """A trainer that waits before its first step."""
    place = folder / side
    place.mkdir()
    model, processor = policy(tokenizer, cell.shape, crops=36)
    rows = cell.group if cell.shape.full else cell.prompts * cell.group
    args = GRPOConfig(
        **DEFAULTS | {"gradient_checkpointing": checkpointing} | cell.trainer,
        output_dir=str(place / "run"),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=cell.prompts * cell.group // rows,
        num_generations=cell.group,
        max_completion_length=cell.new_tokens,
        generation_kwargs={"suppress_tokens": model.config.eos_token_id},
        max_steps=steps,
        bf16=cell.shape.full,
        use_cpu=not GPU,
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
    )
    turns, parts = Turns(), Parts()
    rewards = reward_functions(GRPORecipe(), LexiconExtractor(), model.generation_config.eos_token_id)
    drawn = examples(cell, processor, cell.prompts * steps, place)
    trainer = SIDES[side](
        place,
        model=model,
        args=args,
        reward_funcs=[Spoken(reward, reports()) for reward in rewards],
        train_dataset=grpo_dataset(drawn, place),
        processing_class=processor,
        callbacks=[turns],
    )
    quiet(trainer)
    instrument(trainer, parts)
    turns.start(trainer)
    return Run(turns, parts, trainer)


def run(runs: list[Run], warm: int, steps: int) -> None:
    """The timed steps, who goes first taking turns, and one that follows memory."""
    for turn in range(warm + steps):
        for each in runs if turn % 2 else runs[::-1]:
            if turn == warm:
                each.seconds.clear()
                each.parts.clear()
            each.seconds.append(each.turns.step())
    for each in runs:
        each.tokens = each.parts.tokens // steps
        each.shares = {name: value / steps for name, value in each.parts.seconds.items()}
        each.shares["rest"] = sum(each.seconds) / steps - sum(each.shares.values())
        each.turns.step(memory=True)
        models = [m for m in (each.trainer.model, each.trainer.ref_model) if m is not None]
        each.peak = each.turns.peak + resident(*models, optimizer=each.trainer.optimizer)
        each.turns.finish()
        each.trainer = None


def compare(cell: Cell, warm: int, steps: int, checkpointing: bool) -> dict[str, Run]:
    """Both sides of a cell, without one that ran out of memory.

    Beside a GPU they run one after the other: two policies of full size do not fit.
    """
    tokenizer = tiny.train_tokenizer(reports())
    found: dict[str, Run] = {}
    for sides in [[side] for side in SIDES] if GPU else [list(SIDES)]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                runs = [
                    begin(side, cell, tokenizer, Path(folder), warm + steps + 1, checkpointing)
                    for side in sides
                ]
                run(runs, warm, steps)
                found |= zip(sides, runs, strict=True)
            except torch.cuda.OutOfMemoryError:
                runs = []
        gc.collect()
        if GPU:
            torch.cuda.empty_cache()
    return found


def each_round(found: dict[str, Run]) -> list[float]:
    """Ours over plain; empty if a side ran out of memory."""
    if len(found) < len(SIDES):
        return []
    return [a / b for a, b in zip(found["ours"].seconds, found["plain"].seconds, strict=True)]


def line(cell: Cell, found: dict[str, Run]) -> list[str]:
    """A row of the first table."""
    ratios, rounds = ["-"] * 4, each_round(found)
    if rounds:
        mine, theirs = found["ours"], found["plain"]
        shares = (statistics.median(rounds), mine.peak / theirs.peak, mine.tokens / theirs.tokens)
        ratios = [f"{share:.2f}" for share in shares]
        ratios.insert(1, f"{min(rounds):.2f} to {max(rounds):.2f}")
    sides = [found.get(side) for side in SIDES]
    return [
        *ratios,
        cell.name,
        *(f"{statistics.median(r.seconds):.2f}" if r else "out of memory" for r in sides),
        *(f"{r.peak / 1e6:,.0f}" if r else "-" for r in sides),
        *(f"{r.tokens:,}" if r else "-" for r in sides),
    ]


def plot(ratios: list[tuple[Cell, float]], file: Path) -> None:
    """Ratio against the prompt's length, a line for each G and number of films."""
    figure = go.Figure()
    for group, films in dict.fromkeys((cell.group, cell.films) for cell, _ in ratios if cell.length):
        own = [(c.length, r) for c, r in ratios if c.length and (c.group, c.films) == (group, films)]
        figure.add_scatter(
            x=[length for length, _ in own],
            y=[ratio for _, ratio in own],
            name=f"G = {group}, films: {films}",
            mode="lines+markers",
            line={"dash": "solid" if films == 1 else "dot"},
        )
    figure.update_layout(
        xaxis_title="tokens of a prompt, films included",
        yaxis_title="time of a GRPO step, ours / plain TRL",
        yaxis_rangemode="tozero",
        template="simple_white",
    )
    figure.write_html(file)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One GRPO step of plain TRL and of ours, in turn.")
    parser.add_argument("--full", action="store_true", help="the whole grid, 10 steps after 3: hours")
    some = {"type": int, "nargs": "+"}
    parser.add_argument("--lengths", **some, choices=LENGTHS, default=[300], help="tokens of a prompt")
    parser.add_argument("--groups", **some, choices=GROUPS, default=[8], help="completions of a prompt")
    parser.add_argument("--films", **some, choices=(1, 2), default=[1], help="films of a prompt")
    parser.add_argument("--steps", type=int, help="timed steps (3 after 1; from 10 on after 3)")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing in both")
    parser.add_argument("--plot", type=Path, help="an HTML file for a plot of the ratios")
    return parser.parse_args()


def main() -> None:
    asked = options()
    warnings.simplefilter("ignore")
    transformers_logging.set_verbosity_error()
    with torch.profiler.profile():  # what it sets up has to be set up in this thread
        pass
    chosen = (LENGTHS, GROUPS, (1, 2)) if asked.full else (asked.lengths, asked.groups, asked.films)
    cells = [*grid(*chosen), DEMO]
    steps = asked.steps or (10 if asked.full else 3)
    warm = 3 if steps >= 10 else 1
    device = torch.cuda.get_device_name() if GPU else f"CPU, {torch.get_num_threads()} thread(s)"
    whole = Table(
        *("time, ours / plain", "rounds", "peak", "tokens", f"GRPO step, {PROMPTS} prompts"),
        *("s, ours", "plain", "peak MB, ours", "plain", "tokens forwarded, ours", "plain"),
        title=f"{device}; median of {steps} steps after {warm}",
    )
    parts = Table("mean ms of a step", "", *PARTS)
    ratios: list[tuple[Cell, float]] = []
    for cell in track(cells, console=Console(stderr=True), transient=True):
        found = compare(cell, warm, steps, asked.checkpointing)
        whole.add_row(*line(cell, found))
        for side, each in found.items():
            times = [f"{1000 * each.shares.get(part, 0):,.0f}" for part in PARTS]
            parts.add_row(cell.name if side == "ours" else "", side, *times)
        ratios += [(cell, statistics.median(rounds)) for rounds in [each_round(found)] if rounds]
    for table in (whole, parts):
        Console(width=165).print(table)
    if asked.plot:
        plot(ratios, asked.plot)


if __name__ == "__main__":
    main()
