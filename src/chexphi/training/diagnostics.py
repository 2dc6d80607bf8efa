"""Warnings about a GRPO run, from its metrics so far.

Each check is a pure function of the rows of `metrics.jsonl` that returns a sentence or None. The callback
gives each warning once, in the log and in `diagnostics.jsonl`. The limits are our choice.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from chexphi.runs import jsonl
from chexphi.runs.jsonl import JsonLines
from chexphi.runs.metric_figures import graph_f1

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]

WINDOW = 10
"""Rows that are averaged at the start of a run, and again at its end."""
ZERO_SPREAD_ROWS = 5
"""Consecutive rows in which no group has a spread of rewards."""
TRUNCATED_ROWS = 5
"""Consecutive rows in which `max_completion_length` ends every completion."""
MASKED = "masked"
"""Set in the rows of a run with `mask_truncated_completions`."""
SUMMARY = "train_runtime"
"""A key that only the last row of a run has, which belongs to no step."""
KL_ROWS = 3
"""Rows that are averaged for the KL, which moves fast."""
KL_LIMIT = 1
"""A KL above this many nats a token is a warning."""
KL_JUMP, KL_JUMP_ABOVE = 10, 0.1
"""So is a KL above this many times its recent mean, if it is also above this many nats a token."""
ENTROPY_FALL = 10
"""Entropy that has fallen by more than this factor is a warning."""
LENGTH_FACTOR = 2
"""Completions that have become this many times longer or shorter are a warning."""
SATURATED_MEAN, SATURATED_STD = 0.98, 0.2
"""A reward is saturated if every row of a window has at least this mean and less than this deviation."""
MIN_CHANGE, MIN_CHANGE_ERRORS = 0.05, 3
"""A change of a reward or of F1 counts from here on, if it is also above this many standard errors."""


class _Windows(NamedTuple):
    """The finite values of a metric in the first rows of a run and in its latest."""

    start: list[float]
    end: list[float]

    @property
    def means(self) -> tuple[float, float]:
        return statistics.fmean(self.start), statistics.fmean(self.end)


def _windows(rows: Sequence[Row], key: str) -> _Windows | None:
    """The windows of a metric; None while they would overlap, or one has fewer than two values."""
    if len(rows) < 2 * WINDOW:
        return None
    start, end = (
        [row[key] for row in window if math.isfinite(row.get(key, math.nan))]
        for window in (rows[:WINDOW], rows[-WINDOW:])
    )
    return _Windows(start, end) if len(start) > 1 and len(end) > 1 else None


def _change(windows: _Windows) -> float:
    """Difference of the windows' means; 0 if it is small or within their noise (Welch)."""
    start_mean, end_mean = windows.means
    difference = end_mean - start_mean
    error = math.sqrt(sum(statistics.variance(values) / len(values) for values in windows))
    counts = abs(difference) >= MIN_CHANGE and abs(difference) > MIN_CHANGE_ERRORS * error
    return difference if counts else 0.0


def entropy_collapse(rows: Sequence[Row]) -> str | None:
    """Entropy below a tenth of its beginning."""
    if (windows := _windows(rows, "entropy")) is None:
        return None
    start, end = windows.means
    if end >= start / ENTROPY_FALL:
        return None
    return (
        f"the policy's entropy fell from {start:.3g} to {end:.3g} nats a token: completions of a prompt "
        "become the same; raise temperature, beta or epsilon_high, or lower the learning rate"
    )


def length_drift(rows: Sequence[Row]) -> str | None:
    """Completions twice or half as long as at the beginning."""
    if (windows := _windows(rows, "completions/mean_length")) is None:
        return None
    start, end = windows.means
    if start / LENGTH_FACTOR <= end <= start * LENGTH_FACTOR:
        return None
    return (
        f"completions went from {start:.0f} to {end:.0f} tokens on average: read some in completions.jsonl, "
        "and see whether a reward pays for length"
    )


def reward_saturation(rows: Sequence[Row]) -> str | None:
    """A reward near its greatest value 1 for all completions: it teaches nothing more."""
    names = [
        key for key in (rows[-1] if rows else ()) if key.startswith("rewards/") and key.endswith("/mean")
    ]
    saturated = []
    for name in names:
        means = _windows(rows, name)
        deviations = _windows(rows, name.removesuffix("mean") + "std")
        if means is None or deviations is None:
            continue
        if all(SATURATED_MEAN <= mean <= 1 for mean in means.end) and max(deviations.end) < SATURATED_STD:
            saturated.append(name.split("/")[1])
    if not saturated:
        return None
    rewards = ", ".join(saturated)
    return f"nearly all completions earn the whole of {rewards}: choose harder examples, or stop here"


def zero_spread(rows: Sequence[Row]) -> str | None:
    """Steps that teach nothing, because in no group one completion earns more than another."""
    latest_rows = rows[-ZERO_SPREAD_ROWS:]
    no_spread = [
        row.get("dynamic/groups_spread", 1 - row.get("frac_reward_zero_std", 0)) <= 0 for row in latest_rows
    ]
    if len(latest_rows) < ZERO_SPREAD_ROWS or not all(no_spread):
        return None
    return (
        f"no group had a spread of rewards for {ZERO_SPREAD_ROWS} logged steps: nothing is learned; choose "
        "other examples, raise num_generations or temperature, or use dynamic_sample"
    )


def all_truncated(rows: Sequence[Row]) -> str | None:
    """Every completion is as long as it may be: none reaches its end."""
    latest_rows = rows[-TRUNCATED_ROWS:]
    all_cut = all(row.get("completions/clipped_ratio", 0) >= 1 for row in latest_rows)
    if len(latest_rows) < TRUNCATED_ROWS or not all_cut:
        return None
    consequence = (
        "nothing is learned, for mask_truncated_completions leaves them all out; "
        if latest_rows[-1].get(MASKED)
        else ""
    )
    return (
        f"max_completion_length cut every completion for {TRUNCATED_ROWS} logged steps, none reached its "
        f"end: {consequence}raise max_completion_length, or begin with a policy that ends its answers"
    )


def kl_blow_up(rows: Sequence[Row]) -> str | None:
    """KL to the reference above 1 nat a token, or ten times its recent mean."""
    if len(rows) < KL_ROWS or not all("kl" in row for row in rows[-KL_ROWS:]):
        return None
    kl = statistics.fmean(row["kl"] for row in rows[-KL_ROWS:])
    earlier_kls = [row["kl"] for row in rows[-KL_ROWS - WINDOW : -KL_ROWS] if "kl" in row]
    jumps = len(earlier_kls) == WINDOW and kl > max(KL_JUMP_ABOVE, KL_JUMP * statistics.fmean(earlier_kls))
    if kl <= KL_LIMIT and not jumps:
        return None
    return (
        f"the KL to the reference policy is {kl:.3g} nats a token: the policy leaves it; lower the learning "
        "rate or raise beta"
    )


def wrong_reason(rows: Sequence[Row]) -> str | None:
    """The answer reward rises while the graph F1 of the reasoning falls."""
    answers = _windows(rows, "rewards/external_r1v_acc/mean")
    graphs = _windows(
        [{"f1": value} if (value := reasoning_f1(row)) is not None else {} for row in rows], "f1"
    )
    if not answers or not graphs or _change(answers) <= 0 or _change(graphs) >= 0:
        return None
    answer_start, answer_end = answers.means
    f1_start, f1_end = graphs.means
    return (
        f"right for the wrong reason: the answer reward rose from {answer_start:.2f} to {answer_end:.2f} "
        f"while the reasoning's graph F1 fell from {f1_start:.2f} to {f1_end:.2f}; give the graph reward "
        "more weight, or combine them so that one needs the other"
    )


def reasoning_f1(row: Row) -> float | None:
    """The graph F1 of a row's completions; the graph reward where it is not logged."""
    value = graph_f1(row)
    return row.get("rewards/external_kg_jac/mean") if value is None else value


CHECKS: tuple[Callable[[Sequence[Row]], str | None], ...] = (
    entropy_collapse, length_drift, reward_saturation, zero_spread, all_truncated, kl_blow_up,
    wrong_reason,
)  # fmt: skip


def warnings(rows: Sequence[Row]) -> dict[str, str]:
    """The warnings about a run after these rows of its metrics, by the name of the check."""
    return {check.__name__: message for check in CHECKS if (message := check(rows)) is not None}


class Diagnostics(TrainerCallback):
    """Gives each warning once, in the log and as a line of `diagnostics.jsonl`, also in a resumed run."""

    def __init__(self, run: Path) -> None:
        metrics, path = run / "metrics.jsonl", run / "diagnostics.jsonl"
        rows = jsonl.read(metrics, nan=True) if metrics.is_file() else ()
        self._rows: list[Row] = [row for row in rows if SUMMARY not in row]
        self._warned_kinds = {row["kind"] for row in jsonl.read(path, nan=True)} if path.is_file() else set()
        self.lines = JsonLines(path)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or SUMMARY in (logs or {}):
            return
        values = {key: value for key, value in (logs or {}).items() if isinstance(value, int | float)}
        self._rows.append(values | {MASKED: getattr(args, "mask_truncated_completions", False)})
        for kind, message in warnings(self._rows).items():
            if kind not in self._warned_kinds:
                self._warned_kinds.add(kind)
                logger.warning("step %d: %s", state.global_step, message)
                self.lines.write({"step": state.global_step, "kind": kind, "message": message})
