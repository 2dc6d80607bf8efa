"""Ways to sample the rollouts of a GRPO step at full size on one GPU. Three tables, in at most `--minutes`.

Phi-4-multimodal in its published sizes as in `gpu_step.py`: 8 prompts of one film, 8 completions each. Random
weights would accept no draft, so the next token is made a function of the last one, by hooks that every side
has. Drafts are then right with a chance that is set. No end token is sampled: all sides give as many tokens.

What there is no time for, and what needs a GPU that is not there, is said in the table. Without a GPU the
same runs on the small model, in seconds of the processor.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_step
from _drafters import Known, Remembering
from _logits import head_table
from _policy import GPU, clock, policy
from _scripted import next_ids, scripted
from gpu_step import GROUP, PROMPTS, QUESTION, TEMPERATURE, measured
from rich.console import Console
from rich.table import Table
from transformers.utils import logging as transformers_logging
from trl import GRPOTrainer

from chexphi.models import adapter
from chexphi.models.families import tiny
from chexphi.models.rollout import static_sizes
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.rollout.native import Rollouts
from chexphi.models.rollout.recording import CudaCapture, Recorder
from chexphi.models.shared_prompts import read_prompts
from chexphi.prompts import messages
from chexphi.training.grpo_trainer import LoggedGRPOTrainer

SIZE = dataclasses.replace(gpu_step.SIZE, new_tokens=128 if GPU else 24, repeats=1)
STATIC_SECONDS = 100.0
"""That the library's static cache may take to compile, and to sample twice."""


def recorder() -> Recorder | None:
    """Of a GPU's steps; without one the buffers are used all the same."""
    return Recorder(CudaCapture() if GPU else None)


class Calls:
    """Calls of `generate` on one policy, each with a way of its own to sample."""

    def __init__(self, model: Any, processor: Any, drawn: list[Any]) -> None:
        self._model = adapter.unwrapped(model)
        prompt = processor.apply_chat_template(messages(QUESTION, 1), add_generation_prompt=True)
        rows = [[film] for film in drawn for _ in range(GROUP)]
        inputs = processor(text=[prompt] * len(rows), images=rows, padding=True, return_tensors="pt")
        self._inputs = inputs.to(self._model.device)
        self.completions: list[list[int]] = []
        """Of the last call; those of all calls are the same."""

    def seconds(self, rollouts: Rollouts | None, calls: int, **settings: Any) -> tuple[float, str]:
        """Of the last of some calls, and its forwards."""
        settings = {"do_sample": True, "temperature": TEMPERATURE, "top_k": 0} | settings
        self._model.rollouts = rollouts
        with scripted(self._model), read_prompts.evaluating(self._model):
            for _ in range(calls):
                if rollouts:
                    rollouts.begin_call(1, 0, first_row=0)
                    rollouts.drafter.take_counts()
                start = clock()
                ids = self._model.generate(**self._inputs, max_new_tokens=SIZE.new_tokens, **settings)
                seconds = clock() - start
        self._model.rollouts = None
        length = self._inputs["input_ids"].shape[1]
        vocabulary = self._model.config.vocab_size
        assert ids.shape[1] == length + SIZE.new_tokens
        assert (ids[:, length + 1 :] == next_ids(ids[:, length:-1], vocabulary)).all()
        self.completions = ids[:, length:].tolist()
        forwards = rollouts.drafter.take_counts() if rollouts else {"forwards": float(SIZE.new_tokens)}
        return seconds, f"{forwards['forwards']:.0f}"


def sides(calls: Calls) -> dict[str, Callable[[], tuple[float, str]] | None]:
    """What samples, by name; None: needs a GPU."""

    def ours(drafter: Callable[[], Drafter], recorded: bool, count: int, tokens: int = 128) -> Any:
        def run() -> tuple[float, str]:
            rollouts = Rollouts(0, drafter(), recorder=recorder() if recorded else None)
            static_sizes.MOST_TOKENS = tokens
            try:
                seconds, forwards = calls.seconds(rollouts, calls=count)
            finally:
                static_sizes.MOST_TOKENS = 128
            sizes = f", {rollouts.recorder.recordings} sizes" if rollouts.recorder else ""
            return seconds, forwards + sizes

        return run

    def quality(chance_right: float) -> Callable[[], Drafter]:
        def drafter() -> Drafter:
            known = Known(DraftLimits.of("cuda" if GPU else "cpu"), chance_right)
            known.prepare(calls.completions)
            return known

        return drafter

    on_gpu = {
        "recorded": ours(Remembering, True, 3),
        "recorded, drafts right at 0.75": ours(quality(0.75), True, 4),
        "recorded, drafts right at 0.55": ours(quality(0.55), True, 4),
        "recorded, 0.75, 512 tokens a forward": ours(quality(0.75), True, 4, 512),
    }
    return {
        "the library's draws (--sampling library)": lambda: calls.seconds(None, calls=2),
        "ours, no drafts": ours(Remembering, False, 2),
        "ours, drafts right at 0.75": ours(quality(0.75), False, 2),
        **({} if GPU else {"static buffers, kernel by kernel": ours(Remembering, True, 2)}),
        **(on_gpu if GPU else dict.fromkeys(on_gpu)),
        "the library's static cache": lambda: calls.seconds(None, calls=3, cache_implementation="static"),
    }


def trainers() -> dict[str, Any]:
    """Whose steps are timed, by name; None: needs a GPU."""
    recorded = functools.partial(LoggedGRPOTrainer, drafter=Remembering(), recorder=recorder())
    return {
        "plain TRL": GRPOTrainer,
        "ours, sampling library": LoggedGRPOTrainer,
        "ours, recorded": recorded if GPU else None,
    }


class Budget:
    """Seconds of the wall that are left."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes

    def allows(self, seconds: float) -> bool:
        """Whether something that takes about so long may begin."""
        return time.monotonic() + seconds < self._end


def sampling_table(calls: Calls, budget: Budget) -> tuple[Table, float]:
    """The table of all sides, and the seconds of the wall that a call of today's path takes."""
    table = Table(
        *("side", "ms a token", "s a call", "forwards", "tokens/s", "of the first", "peak memory"),
        title=f"Sampling {PROMPTS} x {GROUP} completions of {SIZE.new_tokens} tokens: {SIZE.name}",
    )
    today: float | None = None
    wall = 0.0
    for name, run in sides(calls).items():
        if run is None:
            table.add_row(name, "not run: no GPU")
            continue
        if not budget.allows(STATIC_SECONDS * GPU if "static cache" in name else 4 * wall):
            table.add_row(name, "no time")
            continue
        begun = time.monotonic()
        try:
            found, peak = measured(run)
        except Exception as error:  # the other sides are measured all the same
            table.add_row(name, f"failed: {str(error).partition(chr(10))[0]}")
            continue
        wall = wall or (time.monotonic() - begun) / 2
        if found is None:
            table.add_row(name, peak)
            continue
        seconds, forwards = found
        today = today or seconds
        rate = PROMPTS * GROUP * SIZE.new_tokens / seconds
        milliseconds = f"{1000 * seconds / SIZE.new_tokens:.1f}"
        table.add_row(
            name, milliseconds, f"{seconds:.2f}", forwards, f"{rate:,.0f}", f"{seconds / today:.2f}", peak
        )
    return table, wall


def step_table(tokenizer: Any, drawn: list[Any], texts: list[str], budget: Budget, wall: float) -> Table:
    """Whole GRPO steps, the second of two; a step takes about three calls of today's path."""
    table = Table("trainer", "s a step", "of plain TRL", "peak memory", title="A GRPO step")
    plain: float | None = None
    with tempfile.TemporaryDirectory() as name:
        data = gpu_step.dataset(drawn, texts, Path(name))
        for trainer_name, kind in trainers().items():
            if kind is None:
                table.add_row(trainer_name, "not run: no GPU")
                continue
            if not budget.allows(8 * wall):
                table.add_row(trainer_name, "no time")
                continue

            def run(kind: Any = kind) -> float:
                pair = policy(tokenizer, SIZE.shape)
                return gpu_step.step(kind, *pair, data, Path(name), False, SIZE)

            seconds, peak = measured(run)
            plain = plain or seconds
            ratio = f"{seconds / plain:.2f}" if seconds and plain else "-"
            table.add_row(trainer_name, f"{seconds:.2f}" if seconds else "-", ratio, peak)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Ways to sample rollouts, at full size on a GPU.")
    parser.add_argument("--minutes", type=float, default=6.0, help="time for all of it (6)")
    budget = Budget(parser.parse_args().minutes)
    transformers_logging.set_verbosity_error()
    drawn, texts = gpu_step.films()
    tokenizer = tiny.train_tokenizer(texts)
    console = Console(width=120)
    console.print(head_table())
    table, wall = sampling_table(Calls(*policy(tokenizer, SIZE.shape), drawn), budget)
    console.print(table)
    console.print(step_table(tokenizer, drawn, texts, budget, wall))


if __name__ == "__main__":
    main()
