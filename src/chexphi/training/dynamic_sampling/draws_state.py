"""What of dynamic sampling outlives a step: where the draws stand, and what became of each prompt."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from chexphi.files import read_json
from chexphi.runs.run_folder import atomic_write
from chexphi.schema import InputError
from chexphi.training.dynamic_sampling.spread_rule import Draws, Outcomes
from chexphi.training.recovery.saved_state import STATE

logger = logging.getLogger(__name__)


def is_outcomes(counts: Any) -> bool:
    """Whether a value of a checkpoint is what `Outcomes` counts."""
    return isinstance(counts, dict) and all(
        isinstance(row, list)
        and len(row) == 3
        and all(type(value) in (int, float) for value in row)
        and row[0] >= 1
        for row in counts.values()
    )


class DrawnOn(TrainerCallback, ExportableState):
    """A callback, so that the Trainer keeps its state in a checkpoint's `trainer_state.json`."""

    def __init__(self, draws: Draws, outcomes: Outcomes) -> None:
        self.draws = draws
        self.outcomes = outcomes

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"taken": self.draws.taken, "outcomes": self.outcomes.counts}}

    @classmethod
    def begin(cls, prompts: int, seed: int, checkpoint: Path | None) -> DrawnOn:
        """At the start of a run, or where a checkpoint stopped."""
        taken, counts = 0, dict[str, list[float]]()
        if checkpoint is not None:
            taken, counts = cls._saved(checkpoint)
        return cls(Draws(prompts, seed + 1, taken), Outcomes(counts))

    @classmethod
    def _saved(cls, checkpoint: Path) -> tuple[int, Any]:
        """Places taken and outcomes, as `state` gave them."""
        path = checkpoint / STATE
        part: Any = read_json(path, nan=True)
        for key in ("stateful_callbacks", cls.__name__, "attributes"):
            part = part.get(key) if isinstance(part, dict) else None
        taken, counts = (part.get("taken"), part.get("outcomes")) if isinstance(part, dict) else (None, None)
        if type(taken) is not int or taken < 0 or not is_outcomes(counts):
            raise InputError(
                f"{path} does not say where dynamic sampling was: remove this checkpoint, and go on from the "
                "one before it"
            )
        return taken, counts

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """List the prompts none of whose groups spread, in `never_spread.json` of the run."""
        if not state.is_world_process_zero:
            return
        rows = self.outcomes.never_spread()
        path = Path(args.output_dir) / "never_spread.json"
        atomic_write(path, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        if rows:
            logger.info(
                "%d of the %d prompts sampled never had a spread of rewards: see never_spread.json",
                len(rows), len(self.outcomes.counts),
            )  # fmt: skip
