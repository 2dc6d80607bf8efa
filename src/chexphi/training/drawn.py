"""What of dynamic sampling outlives a step: where the draws stand, and what became of each prompt."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from chexphi.files import read_object
from chexphi.runs import atomic_write
from chexphi.training.dynamic import Draws, Outcomes

logger = logging.getLogger(__name__)


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
        taken, counts = 0, {}
        if checkpoint is not None:
            state = read_object(checkpoint / "trainer_state.json")
            kept = state["stateful_callbacks"][cls.__name__]["attributes"]
            taken, counts = kept["taken"], kept["outcomes"]
        return cls(Draws(prompts, seed + 1, taken), Outcomes(counts))

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
