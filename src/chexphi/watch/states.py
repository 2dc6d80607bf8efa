"""What is known of a run, for the picture and for `--json`, and the files of each stage that tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Activity = Literal["waiting", "starting", "running", "ended", "stopped", "crashed", "gone"]
OVER = ("stopped", "crashed", "gone")
"""Activities of a run that has not reached its end and does not go on by itself."""
LAST_FILES = {
    "sft": "model/complete.json", "grpo": "model/complete.json", "evaluate": "summary.json",
    "mine": "summary.json", "demo": "results.json", "study": "results.json",
}  # fmt: skip
"""The file that a stage writes last. A sweep has none: its `summary.json` is written again and again."""
ROW_FILES = {"evaluate": "predictions", "mine": "scored"}
"""Begin of the names of the files whose rows a stage writes; other processes have files of their own."""
LOOPS = ("demo", "study", "sweep")
"""Stages that carry out other stages, in folders below their own."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of ours in `train.log`; it holds no text of a report and no patient."""

    time: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class RunState:
    """What is known of a run."""

    folder: str
    stage: str = ""
    activity: Activity = "waiting"
    done: int = 0
    total: int | None = None
    unit: str = "steps"
    seconds_left: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    """The latest figures by name."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """All values of each figure so far."""
    log: Sequence[LogLine] = ()
    """The last lines of ours in `train.log`."""
    reason: str | None = None
    """Why it stopped or crashed."""
    resume: str | None = None
    """The command that goes on with it."""
    stages: Sequence[RunState] = ()
    """The stages of a loop, in the order in which they began."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
