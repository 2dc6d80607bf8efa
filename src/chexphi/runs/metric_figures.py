"""What people see of a row of `metrics.jsonl`, in the bar of a run and in `chexphi watch`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from chexphi.number_text import count_text, figure_text

Row = Mapping[str, Any]

SHORT_NAMES = {"external_r1v_acc": "answer", "external_kg_jac": "graph"}
"""What a reward is called beside a bar; others go by the end of their own name."""
RUN_SECONDS, TOKENS_PER_SECOND, TOTAL_STEPS = "run_seconds", "tokens_per_second", "total_steps"
"""Keys of a row that are ours: seconds since training began or went on, speed, and steps of the whole run."""


def finite(row: Row, key: str) -> float | None:
    """A figure of a row; None if it is missing or not finite."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def graph_f1(row: Row) -> float | None:
    """Mean of entity F1 and relation F1, from the precision and recall that the graph reward logs.

    Both are of all completions of a batch together. None where the graph reward does not run.
    """
    f1s = []
    for kind in ("entity", "relation"):
        precision, recall = finite(row, f"graph/{kind}_precision"), finite(row, f"graph/{kind}_recall")
        if precision is not None and recall is not None:
            f1s.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return statistics.fmean(f1s) if f1s else None


def reward_name(name: str) -> str:
    """A short name of a reward.

    >>> reward_name("external_kg_jac"), reward_name("mine:brevity")
    ('graph', 'brevity')
    """
    return SHORT_NAMES.get(name, name.rpartition(":")[2])


def series(row: Row) -> dict[str, float]:
    """The figures of a row by the names that people see, the most important ones first."""
    figures = {"loss": finite(row, "loss"), "reward": finite(row, "reward")}
    for key in row:
        if key.startswith("rewards/") and key.endswith("/mean"):
            figures[reward_name(key.split("/", 1)[1].removesuffix("/mean"))] = finite(row, key)
    figures |= {
        "graph F1": graph_f1(row),
        "token accuracy": finite(row, "mean_token_accuracy"),
        "length": finite(row, "completions/mean_length"),
        "tokens/s": finite(row, TOKENS_PER_SECOND),
    }
    return {name: value for name, value in figures.items() if value is not None}


def as_text(name: str, value: float) -> str:
    """A figure with its name; a loss may be very small, so its digits are counted.

    >>> as_text("loss", 0.01234), as_text("graph F1", 0.5), as_text("tokens/s", 1234.5)
    ('loss 0.0123', 'graph F1 0.500', '1,234 tokens/s')
    """
    if name == "tokens/s":
        return f"{count_text(round(value))} tokens/s"
    if name == "length":
        return f"length {count_text(round(value))}"
    return f"{name} {value:.3g}" if name == "loss" else f"{name} {figure_text(value)}"


def seconds_left(rows: Sequence[Row]) -> float | None:
    """Seconds to the last step, at the speed of these rows, which are of one start of the run, in order.

    None if they do not tell.
    """
    timed = [row for row in rows if finite(row, RUN_SECONDS) is not None and finite(row, "step") is not None]
    total = finite(rows[-1], TOTAL_STEPS) if rows else None
    if total is None or len(timed) < 2 or timed[-1]["step"] <= timed[0]["step"]:
        return None
    seconds = timed[-1][RUN_SECONDS] - timed[0][RUN_SECONDS]
    return (total - timed[-1]["step"]) * seconds / (timed[-1]["step"] - timed[0]["step"])


def clock(seconds: float) -> str:
    """A time for people.

    >>> clock(75), clock(3723), clock(200_000)
    ('1:15', '1:02:03', '2 d 7 h')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
