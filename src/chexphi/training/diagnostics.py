"""What stops a GRPO run and what it is warned of, from its metrics so far.

Each check is a pure function of the rows of `metrics.jsonl` that returns a sentence or None; the callback
says each of them once, in the log and in `diagnostics.jsonl`. The limits are our choice.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from chexphi.runs import jsonl
from chexphi.runs.jsonl import JsonLines

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]

WINDOW = 10
"""Rows that are averaged at the beginning of a run and at its end."""
ZERO_SPREAD = 5
"""Rows in a row in which no group has a spread of rewards."""
TRUNCATED = 5
"""Rows in a row in which `max_completion_length` ends every completion."""
MASKED = "masked"
"""Set in the rows of a run with `mask_truncated_completions`."""
SUMMARY = "train_runtime"
"""What only the last row of a run has, which is of no step."""
KL_ROWS = 3
"""Rows that are averaged for the KL, which moves fast."""
CHANGE = 0.05
"""Least change of a reward or of F1 that counts, and beyond three standard errors of the windows' means."""


def _windows(rows: Sequence[Row], key: str) -> tuple[list[float], list[float]] | None:
    """The first and the last rows' values; None while the two windows would overlap or one has none."""
    if len(rows) < 2 * WINDOW:
        return None
    first, last = (
        [row[key] for row in part if math.isfinite(row.get(key, math.nan))]
        for part in (rows[:WINDOW], rows[-WINDOW:])
    )
    return (first, last) if len(first) > 1 and len(last) > 1 else None


def _change(windows: tuple[list[float], list[float]]) -> float:
    """Difference of the windows' means; 0 if it is small or within their noise (Welch, three errors)."""
    first, last = windows
    difference = statistics.fmean(last) - statistics.fmean(first)
    error = math.sqrt(sum(statistics.variance(part) / len(part) for part in windows))
    return difference if abs(difference) >= CHANGE and abs(difference) > 3 * error else 0.0


def entropy_collapse(rows: Sequence[Row]) -> str | None:
    """Entropy below a tenth of its beginning."""
    if (windows := _windows(rows, "entropy")) is None:
        return None
    first, last = map(statistics.fmean, windows)
    if last >= first / 10:
        return None
    return (
        f"the policy's entropy fell from {first:.3g} to {last:.3g} nats a token: completions of a prompt "
        "become the same; raise temperature, beta or epsilon_high, or lower the learning rate"
    )


def length_drift(rows: Sequence[Row]) -> str | None:
    """Completions twice or half as long as at the beginning."""
    if (windows := _windows(rows, "completions/mean_length")) is None:
        return None
    first, last = map(statistics.fmean, windows)
    if first / 2 <= last <= first * 2:
        return None
    return (
        f"completions went from {first:.0f} to {last:.0f} tokens on average: read some in completions.jsonl, "
        "and see whether a reward pays for length"
    )


def reward_saturation(rows: Sequence[Row]) -> str | None:
    """A reward near its greatest value 1 for all completions: it teaches nothing more."""
    names = [
        key for key in (rows[-1] if rows else ()) if key.startswith("rewards/") and key.endswith("/mean")
    ]
    full = []
    for name in names:
        windows = _windows(rows, name)
        spread = _windows(rows, name.removesuffix("mean") + "std")
        if windows and spread and all(0.98 <= value <= 1 for value in windows[1]) and max(spread[1]) < 0.2:
            full.append(name.split("/")[1])
    if not full:
        return None
    return f"nearly all completions earn the whole of {', '.join(full)}: choose harder examples, or stop here"


def zero_spread(rows: Sequence[Row]) -> str | None:
    """Steps that teach nothing, because in no group one completion earns more than another."""
    last = rows[-ZERO_SPREAD:]
    empty = [row.get("dynamic/groups_spread", 1 - row.get("frac_reward_zero_std", 0)) <= 0 for row in last]
    if len(last) < ZERO_SPREAD or not all(empty):
        return None
    return (
        f"no group had a spread of rewards for {ZERO_SPREAD} logged steps: nothing is learned; choose other "
        "examples, raise num_generations or temperature, or use dynamic_sample"
    )


def all_truncated(rows: Sequence[Row]) -> str | None:
    """Every completion is as long as it may be: none comes to its end."""
    last = rows[-TRUNCATED:]
    if len(last) < TRUNCATED or not all(row.get("completions/clipped_ratio", 0) >= 1 for row in last):
        return None
    learned = (
        "nothing is learned, for mask_truncated_completions leaves them all out; "
        if last[-1].get(MASKED)
        else ""
    )
    return (
        f"max_completion_length cut every completion for {TRUNCATED} logged steps, none came to its end: "
        f"{learned}raise max_completion_length, or begin with a policy that ends its answers"
    )


def kl_blow_up(rows: Sequence[Row]) -> str | None:
    """KL to the reference above 1 nat a token, or ten times what it just was."""
    if len(rows) < KL_ROWS or not all("kl" in row for row in rows[-KL_ROWS:]):
        return None
    now = statistics.fmean(row["kl"] for row in rows[-KL_ROWS:])
    before = [row["kl"] for row in rows[-KL_ROWS - WINDOW : -KL_ROWS] if "kl" in row]
    jump = len(before) == WINDOW and now > max(0.1, 10 * statistics.fmean(before))
    if now <= 1 and not jump:
        return None
    return (
        f"the KL to the reference policy is {now:.3g} nats a token: the policy leaves it; lower the learning "
        "rate or raise beta"
    )


def wrong_reason(rows: Sequence[Row]) -> str | None:
    """The answer reward rises while the graph F1 of the reasoning falls."""
    answers = _windows(rows, "rewards/external_r1v_acc/mean")
    graphs = _windows([{"f1": value} if (value := graph_f1(row)) is not None else {} for row in rows], "f1")
    if not answers or not graphs or _change(answers) <= 0 or _change(graphs) >= 0:
        return None
    (a, b), (c, d) = (map(statistics.fmean, windows) for windows in (answers, graphs))
    return (
        f"right for the wrong reason: the answer reward rose from {a:.2f} to {b:.2f} while the reasoning's "
        f"graph F1 fell from {c:.2f} to {d:.2f}; give the graph reward more weight, or combine them so that "
        "one needs the other"
    )


def graph_f1(row: Row) -> float | None:
    """Mean of entity and relation F1 of a row's completions; the graph reward where they are missing."""
    found = []
    for part in ("entity", "relation"):
        precision, recall = row.get(f"graph/{part}_precision"), row.get(f"graph/{part}_recall")
        if precision is not None and recall is not None:
            found.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return statistics.fmean(found) if found else row.get("rewards/external_kg_jac/mean")


CHECKS: tuple[Callable[[Sequence[Row]], str | None], ...] = (
    entropy_collapse, length_drift, reward_saturation, zero_spread, all_truncated, kl_blow_up,
    wrong_reason,
)  # fmt: skip


def warnings(rows: Sequence[Row]) -> dict[str, str]:
    """What is to be said of a run after these rows of its metrics, by the name of the check."""
    return {check.__name__: said for check in CHECKS if (said := check(rows)) is not None}


class Diagnostics(TrainerCallback):
    """Says each warning once, in the log and as a line of `diagnostics.jsonl`; a resumed run goes on."""

    def __init__(self, run: Path) -> None:
        metrics, path = run / "metrics.jsonl", run / "diagnostics.jsonl"
        rows = jsonl.read(metrics, nan=True) if metrics.is_file() else ()
        self._rows: list[Row] = [row for row in rows if SUMMARY not in row]
        self._said = {row["kind"] for row in jsonl.read(path, nan=True)} if path.is_file() else set()
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
            if kind not in self._said:
                self._said.add(kind)
                logger.warning("step %d: %s", state.global_step, message)
                self.lines.write({"step": state.global_step, "kind": kind, "message": message})
