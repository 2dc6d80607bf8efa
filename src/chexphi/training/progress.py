"""What both trainers write while they run: a line of `metrics.jsonl` at each log step, and a progress bar."""

from __future__ import annotations

import math
import time
from typing import Any

from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from chexphi.runs.jsonl import JsonLines
from chexphi.schema import NotFiniteError


class MetricsLog(TrainerCallback):
    """Append each set of logged metrics as one JSON line with its step; stop on a loss that is not finite.

    The last line also has `cpu_seconds`, the CPU time of the training, which other work does not lengthen.
    """

    def __init__(self, lines: JsonLines) -> None:
        self.lines = lines
        self._start_seconds = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._start_seconds = time.process_time()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        values = {key: value for key, value in (logs or {}).items() if isinstance(value, int | float)}
        for key in ("loss", "grad_norm"):
            if key in values and not math.isfinite(values[key]):
                raise NotFiniteError(
                    f"{key} is {values[key]} at step {state.global_step}: the last checkpoint is kept"
                )
        if "train_runtime" in values:
            values["cpu_seconds"] = round(time.process_time() - self._start_seconds, 3)
        if state.is_world_process_zero:
            self.lines.write({"step": state.global_step, **values})


class Bar(ProgressCallback):
    """The Trainer's bar on standard error, without its log lines on standard output."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Do nothing: `metrics.jsonl` has the lines."""


def quiet(trainer: Trainer) -> None:
    """Keep standard output free for `--json`."""
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(Bar)
