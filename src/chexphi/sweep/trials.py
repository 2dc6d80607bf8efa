"""The progress of a run, from the files in its folder, and whether it is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi.files import parse_json
from chexphi.runs import jsonl
from chexphi.training.recovery import checkpoints

BAD_INPUT = 2
"""Exit code of a command whose settings or files are invalid; another try would fail in the same way."""


def folder_of(sweep: Path, name: str) -> Path | None:
    """The folder of a run of this name; None if it has not started."""
    folders = (path for path in sorted(sweep.glob("*_*")) if path.is_dir())
    return next((path for path in folders if path.name.partition("_")[2] == name), None)


def is_finished(folder: Path) -> bool:
    """Whether a run is finished, as `grpo --resume auto` itself decides."""
    return checkpoints.progress_of(folder).finished


def should_retry(code: int, *, tries_left: int) -> bool:
    """Whether a run that failed with this exit code gets another try.

    >>> [should_retry(-9, tries_left=1), should_retry(-9, tries_left=0), should_retry(2, tries_left=1)]
    [True, False, False]
    """
    return code != BAD_INPUT and tries_left > 0


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's metrics so far; none if there is no file yet."""
    try:
        return list(jsonl.read(folder / "metrics.jsonl", growing=True, nan=True))
    except FileNotFoundError:
        return []


def last_metrics(folder: Path) -> dict[str, Any] | None:
    """The last complete row of a run's metrics, without parsing the others."""
    try:
        complete_lines = (folder / "metrics.jsonl").read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    if not complete_lines:
        return None
    row = parse_json(complete_lines[-1], f"{folder / 'metrics.jsonl'}, its last line", nan=True)
    return row if isinstance(row, dict) else None


def share_done(row: Mapping[str, Any], *, steps: int, epochs: float) -> float:
    """The share of a run that is done, 0 to 1, from its last row of metrics.

    >>> share_done({"step": 3, "epoch": 0.5}, steps=12, epochs=1.0)
    0.25
    >>> share_done({"step": 3, "epoch": 0.5}, steps=-1, epochs=2.0)
    0.25
    """
    share = row.get("step", 0) / steps if steps > 0 else row.get("epoch", 0) / epochs
    return min(1.0, share)


def final_means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means of the total reward and of each reward over the last tenth of the logged steps.

    >>> final_means([{"reward": float(n), "rewards/a/mean": 0.5} for n in range(20)])
    {'total': 18.5, 'a': 0.5}
    """
    logged = [row for row in rows if "reward" in row]
    final_rows = logged[-max(1, len(logged) // 10) :]
    if not final_rows:
        return {}
    keys = {"reward": "total"} | {
        key: key.removeprefix("rewards/").removesuffix("/mean")
        for key in final_rows[-1]
        if key.startswith("rewards/") and key.endswith("/mean")
    }
    values_of_key = {key: [row[key] for row in final_rows if key in row] for key in keys}
    return {name: sum(values_of_key[key]) / len(values_of_key[key]) for key, name in keys.items()}
