"""Generation and one GRPO step at full size on a GPU, beside plain transformers and TRL. One table.

Phi-4-multimodal in its published sizes with random weights in bf16, a vision LoRA of rank 256 and its own
`lm_head`: 8 prompts of one 448-pixel film, 8 completions each, 256 new tokens. Random weights write no answer
format, so the rewards' parsing is in the step and their graphs are not. Plain RoPE: prompts stay below the
length at which LongRoPE switches. Without a GPU the same runs on the small model, in fp32, and is
timed in seconds of the processor.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import functools
import gc
import random
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _policy import GPU, Shape, clock, policy, silence, unshared
from rich.console import Console
from rich.table import Table
from transformers import TrainerCallback
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer

from chexphi.data.phantom.draw import render
from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.models.families import tiny
from chexphi.models.generate import generate
from chexphi.prompts import messages
from chexphi.runs.jsonl import JsonLines
from chexphi.schema import Example
from chexphi.training.dataset import grpo_dataset
from chexphi.training.grpo_recipe import DEFAULTS, GRPORecipe
from chexphi.training.grpo_run import reward_functions
from chexphi.training.grpo_trainer import LoggedGRPOTrainer

PROMPTS, GROUP = 8, 8
TEMPERATURE, BETA = 0.9, 0.5  # configs/grpo_kg.yaml
QUESTION = "Which findings are present?"


@dataclass(frozen=True)
class Size:
    """What is run."""

    name: str
    shape: Shape
    new_tokens: int
    rows: int
    """Of a micro-batch."""
    repeats: int
    """Runs that are timed, after one that warms up; the median counts."""


SIZE = (
    Size("Phi-4-multimodal, random weights, bf16", Shape(448, 14, 256, full=True), 256, 8, 1)
    if GPU
    else Size("small model, fp32", Shape(64, 16, 8, full=False), 32, 64, 3)
)


def films() -> tuple[list[Any], list[str]]:
    """A film for each prompt, and texts for the tokenizer."""
    rng = random.Random(0)
    scenes = [sample_scene(rng, sample_build(rng)) for _ in range(200)]
    texts = [caption(rng, scene, "train")[1].think for scene in scenes]
    return [render(scene, SIZE.shape.crop).convert("RGB") for scene in scenes[:PROMPTS]], texts


def ours(model: Any, processor: Any, drawn: list[Any]) -> int:
    """Our generation; returns how many tokens were sampled."""
    rows = generate(
        model,
        processor,
        [QUESTION] * PROMPTS,
        [[film] for film in drawn],
        max_new_tokens=SIZE.new_tokens,
        temperature=TEMPERATURE,
        samples=GROUP,
    )
    return sum(len(sample.token_ids) for row in rows for sample in row)


def plain(model: Any, processor: Any, drawn: list[Any]) -> int:
    """The library's `generate`, every prompt as often as it has completions: what TRL runs."""
    prompt = processor.apply_chat_template(messages(QUESTION, 1), add_generation_prompt=True)
    rows = [[film] for film in drawn for _ in range(GROUP)]
    inputs = processor(text=[prompt] * len(rows), images=rows, padding=True, return_tensors="pt").to(
        model.device
    )
    with torch.inference_mode():
        ids = (
            unshared(model)
            .eval()
            .generate(
                **inputs, do_sample=True, temperature=TEMPERATURE, top_k=0, max_new_tokens=SIZE.new_tokens
            )
        )
    new = ids[:, inputs["input_ids"].shape[1] :]
    ends = torch.isin(new, torch.tensor(model.config.eos_token_id, device=new.device))
    return int((ends.cumsum(1) - ends.long() == 0).sum())  # the end token counts, what follows does not


def dataset(drawn: list[Any], texts: list[str], folder: Path) -> Any:
    """The prompts of a step, their films saved in the folder."""
    for i, film in enumerate(drawn):
        film.save(folder / f"{i}.png")
    examples = [
        Example(id=str(i), images=(f"{i}.png",), question=QUESTION, answer=("yes",), explanation=texts[i])
        for i in range(PROMPTS)
    ]
    return grpo_dataset(examples, folder)


class StepClock(TrainerCallback):
    """Seconds of each optimiser step, generation included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.start = clock()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds.append(clock() - self.start)


def step(
    trainer_class: Any,
    model: Any,
    processor: Any,
    data: Any,
    folder: Path,
    checkpointing: bool,
    size: Size = SIZE,
) -> float:
    """Seconds of a GRPO step."""
    args = GRPOConfig(
        **DEFAULTS | {"gradient_checkpointing": checkpointing},
        output_dir=str(folder / "run"),
        per_device_train_batch_size=size.rows,
        gradient_accumulation_steps=PROMPTS * GROUP // size.rows,
        num_generations=GROUP,
        max_completion_length=size.new_tokens,
        temperature=TEMPERATURE,
        beta=BETA,
        loss_type="grpo",
        max_steps=1 + size.repeats,
        bf16=GPU,
        use_cpu=not GPU,
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
    )
    timer = StepClock()
    extra = {"completions": JsonLines(folder / "completions.jsonl")}
    if trainer_class is GRPOTrainer:
        model, extra = unshared(model), {}
    trainer = trainer_class(
        model=model,
        args=args,
        reward_funcs=reward_functions(GRPORecipe(), LexiconExtractor(), model.generation_config.eos_token_id),
        train_dataset=data,
        processing_class=processor,
        callbacks=[timer],
        **extra,
    )
    silence(trainer)
    trainer.train()
    return statistics.median(timer.seconds[1:])


def measured(action: Callable[[], float]) -> tuple[float | None, str]:
    """What the action returns, None if memory runs out, and the GPU's peak."""
    if not GPU:
        return action(), "-"
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    try:
        found = action()
    except torch.cuda.OutOfMemoryError:
        return None, "out of memory"
    return found, f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB"


def rate(tokenizer: Any, drawn: list[Any], action: Callable[..., int]) -> float:
    """Seconds a token."""
    model, processor = policy(tokenizer, SIZE.shape)
    action(model, processor, drawn)
    found = []
    for _ in range(SIZE.repeats):
        start = clock()
        tokens = action(model, processor, drawn)
        found.append((clock() - start) / tokens)
    return statistics.median(found)


def row(table: Table, name: str, pair: list[tuple[float | None, str]], show: Callable[[float], str]) -> None:
    (mine, my_peak), (theirs, their_peak) = pair
    ratio = f"{theirs / mine:.2f}" if mine and theirs else "-"
    cells = [show(value) if value else "-" for value in (mine, theirs)]
    table.add_row(ratio, name, *cells, my_peak, their_peak)


def main() -> None:
    transformers_logging.set_verbosity_error()
    drawn, texts = films()
    tokenizer = tiny.train_tokenizer(texts)
    device = torch.cuda.get_device_name() if GPU else f"CPU, {torch.get_num_threads()} thread(s)"
    work = f"{PROMPTS} prompts x {GROUP} completions x {SIZE.new_tokens} tokens"
    work += f", one {SIZE.shape.crop}-pixel film each"
    table = Table(
        *("plain / ours, time", "what", "ours", "plain HF, TRL", "peak, ours", "peak, plain"),
        title=f"{SIZE.name}; {device}; {work}",
    )
    pair = [measured(lambda run=run: rate(tokenizer, drawn, run)) for run in (ours, plain)]
    row(table, "generation", pair, lambda s: f"{1 / s:,.0f} tokens/s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = dataset(drawn, texts, folder)
        fresh = functools.partial(policy, tokenizer, SIZE.shape)
        for on in (False, True):
            pair = [
                measured(lambda kind=kind, on=on: step(kind, *fresh(), data, folder, on))
                for kind in (LoggedGRPOTrainer, GRPOTrainer)
            ]
            row(table, f"GRPO step, checkpointing {'on' if on else 'off'}", pair, lambda s: f"{s:.2f} s")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
