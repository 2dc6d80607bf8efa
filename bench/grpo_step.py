"""One GRPO step of plain TRL and of ours, in turn, and its parts: time, tokens forwarded, memory.

Plain is `trl.GRPOTrainer` on our Phi-4 classes. `PROMPTS` prompts a step of P tokens, films included, each
with G completions of 60 tokens, vision LoRA and own `lm_head`, beta > 0, new films every step. The
small model has about 6 M parameters; beside a GPU the same runs on the published sizes in bf16, with crops of
112 pixels there too so that a prompt can be short. Only in the demo's cell an end token is sampled: elsewhere
all sides do the same work.

The small policy has learnt to write reports (`_trained`), as a policy has before GRPO; `--random` takes
random weights. Rewards read drawn reports in place of the completions, because random weights write none.
Sides, apart from `plain`:

* `ours`: samples by fixed numbers, with drafts from the references, as `chexphi grpo` has them by default;
* `no drafts`: the same with `--draft_tokens 0`;
* `library`: `--sampling library`, TRL's path with our shared prompts;
* `right 75%` and `right 55%`: drafts that are right with that chance. They know what `no drafts` has sampled.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")

import argparse
import gc
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from _cells import DEMO, GROUPS, LENGTHS, PROMPTS, Cell, Spoken, examples, grid, reports, tokenizer
from _drafters import Known, Remembering
from _policy import GPU, every_row, policy, silence, unshared
from _results import Comparison, Side, append, plot, read, tables
from _trained import POLICIES, weights_of
from _turns import Parts, Turns, instrument, resident
from rich.console import Console
from rich.progress import track
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.models.rollout.drafting import Drafter, DraftLimits, fed_drafter
from chexphi.runs.jsonl import JsonLines
from chexphi.training.dataset import grpo_dataset
from chexphi.training.grpo_recipe import DEFAULTS, GRPORecipe
from chexphi.training.grpo_run import reward_functions
from chexphi.training.grpo_trainer import LoggedGRPOTrainer

DRAFTS_RIGHT = {"right 75%": 0.75, "right 55%": 0.55}
UNDRAFTED = "no drafts"
SIDES = (UNDRAFTED, "ours", *DRAFTS_RIGHT, "library", "plain")
DEFAULT_SIDES = (UNDRAFTED, "ours", "library", "plain")


def drafter_of(side: str, tokenizer: Any, texts: list[str]) -> Drafter | None:
    """Where a side's drafts come from; None leaves sampling to the library."""
    device = "cuda" if GPU else "cpu"
    if side in DRAFTS_RIGHT:
        return Known(DraftLimits.of(device), DRAFTS_RIGHT[side])
    if side == UNDRAFTED:
        return Remembering()
    return fed_drafter(tokenizer, texts, device) if side == "ours" else None


def make_trainer(side: str, folder: Path, drafter: Drafter | None, *, model: Any, **arguments: Any) -> Any:
    """TRL's trainer on our classes, no prompt and no film shared, or ours."""
    if side == "plain":
        every_row(arguments["processing_class"])
        return GRPOTrainer(model=unshared(model), **arguments)
    lines = JsonLines(folder / "completions.jsonl")
    return LoggedGRPOTrainer(model, completions=lines, drafter=drafter, **arguments)


@dataclass
class Run:
    """A side of a cell: its trainer, and what was measured of it."""

    drafter: Drafter | None
    turns: Turns
    parts: Parts
    trainer: Any
    seconds: list[float] = field(default_factory=list)


def config(cell: Cell, model: Any, place: Path, steps: int, **changed: Any) -> GRPOConfig:
    """Of a side; `changed` comes before what the recipe and the cell say."""
    rows = cell.group if cell.shape.full else cell.prompts * cell.group
    settings = {"logging_strategy": "no"} | DEFAULTS | cell.trainer | changed
    return GRPOConfig(
        **settings,
        output_dir=str(place / "run"),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=cell.prompts * cell.group // rows,
        num_generations=cell.group,
        max_completion_length=cell.new_tokens,
        generation_kwargs={"suppress_tokens": model.config.eos_token_id} if cell.length else {},
        max_steps=steps,
        bf16=cell.shape.full,
        use_cpu=not GPU,
        save_strategy="no",
        disable_tqdm=True,
    )


def begin(side: str, cell: Cell, weights: Path | None, folder: Path, steps: int, checkpointing: bool) -> Run:
    """A trainer that waits before its first step."""
    place = folder / side
    place.mkdir()
    model, processor = policy(tokenizer(), cell.shape, crops=36, weights=weights)
    args = config(cell, model, place, steps, gradient_checkpointing=checkpointing)
    turns, parts = Turns(), Parts()
    rewards = reward_functions(GRPORecipe(), LexiconExtractor(), model.generation_config.eos_token_id)
    drawn = examples(cell, processor, cell.prompts * steps, place)
    drafter = drafter_of(side, tokenizer(), [example.explanation for example in drawn])
    trainer = make_trainer(
        side,
        place,
        drafter,
        model=model,
        args=args,
        reward_funcs=[Spoken(reward, reports()) for reward in rewards],
        train_dataset=grpo_dataset(drawn, place, None if side == "plain" else processor.prepare_film),
        processing_class=processor,
        callbacks=[turns],
    )
    silence(trainer)
    instrument(trainer, parts)
    turns.start(trainer)
    return Run(drafter, turns, parts, trainer)


def run(runs: dict[str, Run], warm: int, steps: int) -> dict[str, Side]:
    """The timed steps, who goes first taking turns, and one that follows memory.

    Drafts of set quality know what `no drafts` has sampled, which goes before them.
    """

    def prepare(each: Run) -> None:
        if isinstance(each.drafter, Known):
            each.drafter.prepare(runs[UNDRAFTED].drafter.completions)

    for turn in range(warm + steps):
        for name in sorted(list(runs)[:: 1 if turn % 2 else -1], key=lambda name: name in DRAFTS_RIGHT):
            each = runs[name]
            prepare(each)
            if turn == warm:
                each.seconds.clear()
                each.parts.clear()
            each.seconds.append(each.turns.step())
    found = {}
    for name, each in runs.items():
        prepare(each)
        found[name] = finished(each, steps)
    return found


def finished(run: Run, steps: int) -> Side:
    tokens = run.parts.tokens // steps
    parts = {name: value / steps for name, value in run.parts.seconds.items()}
    parts["rest"] = sum(run.seconds) / steps - sum(parts.values())
    run.turns.step(memory=True)
    models = [model for model in (run.trainer.model, run.trainer.ref_model) if model is not None]
    peak = run.turns.peak + resident(*models, optimizer=run.trainer.optimizer)
    run.turns.finish()
    run.trainer = None
    return Side(run.seconds, parts, tokens, peak)


def compare(
    cell: Cell, sides: Sequence[str], weights: Path | None, warm: int, steps: int, checkpointing: bool
) -> dict[str, Side]:
    """The sides of a cell, without one that ran out of memory.

    Beside a GPU they run one after the other: two policies of full size do not fit.
    """
    found: dict[str, Side] = {}
    for together in [[side] for side in sides] if GPU else [sides]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                runs = {
                    side: begin(side, cell, weights, Path(folder), warm + steps + 1, checkpointing)
                    for side in together
                }
                found |= run(runs, warm, steps)
            except torch.cuda.OutOfMemoryError:
                pass
            runs = {}
        gc.collect()
        if GPU:
            torch.cuda.empty_cache()
    return found


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One GRPO step of plain TRL and of ours, in turn.")
    parser.add_argument("--full", action="store_true", help="the whole grid, 10 steps after 3: hours")
    some = {"type": int, "nargs": "+"}
    parser.add_argument("--lengths", **some, choices=LENGTHS, default=[300], help="tokens of a prompt")
    parser.add_argument("--groups", **some, choices=GROUPS, default=[8], help="completions of a prompt")
    parser.add_argument("--films", **some, choices=(1, 2), default=[1], help="films of a prompt")
    parser.add_argument("--steps", type=int, help="timed steps (3 after 1; from 10 on after 3)")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing in all")
    parser.add_argument("--random", action="store_true", help="a policy with random weights")
    parser.add_argument("--policies", type=Path, default=POLICIES, help="where trained policies are kept")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=DEFAULT_SIDES, help="what is compared")
    parser.add_argument(
        "--results", type=Path, help="a JSON Lines file; what it has already is not run again"
    )
    parser.add_argument("--plot", type=Path, help="an SVG file for a plot of the ratios")
    asked = parser.parse_args()
    if DRAFTS_RIGHT.keys() & set(asked.sides) and (GPU or UNDRAFTED not in asked.sides):
        parser.error(f"{', '.join(DRAFTS_RIGHT)} run beside the side '{UNDRAFTED}', on a CPU")
    asked.sides = [side for side in SIDES if side in asked.sides]
    return asked


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
    known = {each.name: each for each in (read(asked.results) if asked.results else [])}
    for cell in track(cells, console=Console(stderr=True), transient=True):
        if cell.name not in known:
            is_random = asked.random or cell.shape.full
            weights = None if is_random else weights_of(cell, tokenizer(), asked.policies)
            sides = compare(cell, asked.sides, weights, warm, steps, asked.checkpointing)
            known[cell.name] = Comparison(cell.name, device, cell.length, cell.group, cell.films, sides)
            if asked.results:
                append(asked.results, known[cell.name])
    found = [known[cell.name] for cell in cells]
    kind = "random" if asked.random or GPU else "trained"
    title = f"{device}; {PROMPTS} prompts a step; {kind} policy; median of {steps} steps after {warm}"
    for table in tables(found, title):
        Console(width=165).print(table)
    if asked.plot:
        plot(found, asked.plot)


if __name__ == "__main__":
    main()
