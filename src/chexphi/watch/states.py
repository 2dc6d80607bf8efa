"""What is known of a run: a record for the picture and for `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Activity = Literal["waiting", "starting", "running", "ended", "stopped", "crashed", "gone"]


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
