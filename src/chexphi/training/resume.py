"""Find the checkpoint a run goes on from, and the place in the data that belongs to it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint folder and the step it was taken at."""

    path: Path
    step: int
    epochs: int = 0
    """Whole passes over the data before it."""


def last_checkpoint(run: Path) -> Checkpoint | None:
    """The newest checkpoint whose trainer state, written last by the Trainer, can be read."""
    found = []
    for state in run.glob("checkpoint-*/trainer_state.json"):
        try:
            read = json.loads(state.read_text(encoding="utf-8"))
            step, epochs = read["global_step"], math.floor(read.get("epoch") or 0)
        except (json.JSONDecodeError, KeyError):
            continue
        found.append(Checkpoint(state.parent, step, epochs))
    return max(found, key=lambda checkpoint: checkpoint.step, default=None)


def pass_over(sampler: Any, epochs: int) -> None:
    """Draw the orders of past epochs, which TRL's `RepeatSampler` would begin with again."""
    for _ in range(epochs if sampler.shuffle else 0):
        torch.randperm(sampler.num_samples, generator=sampler.generator)
