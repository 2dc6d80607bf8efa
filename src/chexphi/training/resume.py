"""Find the checkpoint a run goes on from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint folder and the step it was taken at."""

    path: Path
    step: int


def last_checkpoint(run: Path) -> Checkpoint | None:
    """The newest checkpoint whose trainer state, written last by the Trainer, can be read."""
    found = []
    for state in run.glob("checkpoint-*/trainer_state.json"):
        try:
            step = json.loads(state.read_text(encoding="utf-8"))["global_step"]
        except (json.JSONDecodeError, KeyError):
            continue
        found.append(Checkpoint(state.parent, step))
    return max(found, key=lambda checkpoint: checkpoint.step, default=None)
