"""What both trainers write while they run: a line of `metrics.jsonl` at each log step, and a progress bar."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
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

from chexphi.number_text import counted
from chexphi.runs import processes
from chexphi.runs.jsonl import JsonLines
from chexphi.runs.metric_figures import RUN_SECONDS, TOKENS_PER_SECOND, TOTAL_STEPS, as_text, series
from chexphi.runs.progress_display import ProgressDisplay
from chexphi.schema import NotFiniteError


class MetricsLog(TrainerCallback):
    """Append each set of logged metrics as one JSON line with its step; stop on a loss that is not finite.

    The last line also has `cpu_seconds`, the CPU time of the training, which other work does not lengthen.
    """

    def __init__(self, lines: JsonLines, verb: str) -> None:
        self.lines, self.verb = lines, verb
        self.has_bar = False
        """Whether a bar is shown while the run trains."""
        self._bar: ProgressDisplay | None = None
        self._start_cpu_seconds = self._start_time = self._log_time = 0.0
        self._token_count = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._start_cpu_seconds = time.process_time()
        self._start_time = self._log_time = time.monotonic()
        counts = [row["num_tokens"] for row in state.log_history if "num_tokens" in row]
        self._token_count = counts[-1] if counts else 0.0
        if self.has_bar:
            bar = ProgressDisplay(self.verb, state.max_steps, "steps", completed=state.global_step)
            self._bar = bar.__enter__()

    def close_bar(self) -> None:
        """Leave the last state of the bar on the terminal."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        self._bar = None

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._bar is not None:
            self._bar.update(state.global_step)

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
            values["cpu_seconds"] = round(time.process_time() - self._start_cpu_seconds, 3)
        elif state.is_world_process_zero:
            values |= self._speed(values) | {TOTAL_STEPS: state.max_steps}
            if self._bar is not None:
                figures = {n: as_text(n, value) for n, value in series(values).items() if n != "length"}
                self._bar.update(state.global_step, figures)
        if state.is_world_process_zero:
            self.lines.write({"step": state.global_step, **values})

    def _speed(self, values: dict[str, Any]) -> dict[str, float]:
        """Seconds since training began or went on, and tokens a second since the last log."""
        now = time.monotonic()
        speed = {RUN_SECONDS: round(now - self._start_time, 3)}
        if "num_tokens" in values:
            count = values["num_tokens"] - self._token_count
            speed[TOKENS_PER_SECOND] = round(count / max(now - self._log_time, 1e-9), 1)
            self._token_count = values["num_tokens"]
        self._log_time = now
        return speed


def length_of(args: TrainingArguments) -> str:
    """How long a run trains, as its settings have it: in steps, or in passes over the data."""
    if args.max_steps > 0:
        return counted(args.max_steps, "step")
    return "1 epoch" if args.num_train_epochs == 1 else f"{args.num_train_epochs:g} epochs"


@contextmanager
def shown_progress(trainer: Trainer) -> Iterator[None]:
    """For a block that trains: our bar in place of the Trainer's, and none with `disable_tqdm`.

    Standard output stays free for `--json`.
    """
    metrics = next(each for each in trainer.callback_handler.callbacks if isinstance(each, MetricsLog))
    trainer.remove_callback(PrinterCallback)
    metrics.has_bar = trainer.pop_callback(ProgressCallback) is not None and processes.is_main()
    try:
        yield
    finally:
        metrics.close_bar()
