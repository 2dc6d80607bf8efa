"""What a checkpoint holds of dynamic sampling: how many prompts were drawn, and what became of each."""

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
from chexphi.training.dynamic_sampling.spread_rule import PromptDraws, PromptOutcomes
from chexphi.training.recovery.saved_state import STATE

logger = logging.getLogger(__name__)

EARLIER_NAME = "DrawnOn"
"""Under which name a checkpoint of an older version keeps the state; today it is the class's name."""


def is_outcomes(counts: Any) -> bool:
    """Whether a value of a checkpoint is what `PromptOutcomes` counts."""
    return isinstance(counts, dict) and all(
        isinstance(row, list)
        and len(row) == 3
        and all(type(value) in (int, float) for value in row)
        and row[0] >= 1
        for row in counts.values()
    )


class SamplingState(TrainerCallback, ExportableState):
    """A callback, so that the Trainer keeps its state in a checkpoint's `trainer_state.json`."""

    def __init__(self, draws: PromptDraws, outcomes: PromptOutcomes) -> None:
        self.draws = draws
        self.outcomes = outcomes

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"taken": self.draws.draws_taken, "outcomes": self.outcomes.counts}}

    @classmethod
    def begin(cls, prompts: int, seed: int, checkpoint: Path | None) -> SamplingState:
        """At the start of a run, or as it was at a checkpoint.

        Raises:
            InputError: If the checkpoint lacks it, or it is damaged.
        """
        draw_count, counts = 0, dict[str, list[float]]()
        if checkpoint is not None:
            draw_count, counts = _read(checkpoint / STATE)
        return cls(PromptDraws(prompts, seed + 1, draw_count), PromptOutcomes(counts))

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Rename the entry of an older checkpoint; the Trainer only saves into an entry that is there."""
        state.stateful_callbacks.pop(EARLIER_NAME, None)
        state.stateful_callbacks[type(self).__name__] = self.state()

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


def _read(path: Path) -> tuple[int, Any]:
    """The number of draws and the outcomes in a `trainer_state.json`, as `SamplingState.state` gave them."""
    callbacks = _entry(read_json(path, nan=True), "stateful_callbacks")
    states = [_entry(callbacks, name) for name in (SamplingState.__name__, EARLIER_NAME)]
    attributes = _entry(next((state for state in states if state is not None), None), "attributes")
    draw_count, counts = _entry(attributes, "taken"), _entry(attributes, "outcomes")
    if type(draw_count) is int and draw_count >= 0 and is_outcomes(counts):
        return draw_count, counts
    raise InputError(
        f"{path} does not say where dynamic sampling was: remove this checkpoint, and resume from the one "
        "before it"
    )


def _entry(mapping: Any, key: str) -> Any:
    """The value of a key; None if it is missing, or there is no mapping."""
    return mapping.get(key) if isinstance(mapping, dict) else None
