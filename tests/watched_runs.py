"""Run folders made by hand for the tests of `chexphi watch`, and a process that holds a lock."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOLDER = """
import sys
from pathlib import Path
from chexphi.runs import run_lock
run_lock.acquire(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""
STARTED = "2026-11-30T10:00:00+00:00"
COMMAND = ["chexphi", "grpo", "--config", "configs/grpo_kg.yaml", "--out", "runs/a", "--overwrite", "true"]


def row(step: int, seconds: float, **figures: float) -> dict[str, Any]:
    return {"step": step, "loss": 1.0 / step, "run_seconds": seconds, "total_steps": 8, **figures}


def write_run(out: Path, stage: str = "grpo", **manifest: Any) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text("{}\n")
    values = {"stage": stage, "started": STARTED, "command": COMMAND, "starts": [{}], **manifest}
    (out / "manifest.json").write_text(json.dumps(values))
    return out


def write_rows(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))


def log(out: Path, *lines: str, time: str = "2026-11-30 10:00:05") -> None:
    with (out / "train.log").open("a") as file:
        file.writelines(f"{time},123 {line}\n" for line in lines)


def finish(out: Path, name: str) -> None:
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("{}")


def holding() -> Iterator[Any]:
    """For a fixture, hold(folder): another process has the run's lock, until it is told to end."""
    holders: list[subprocess.Popen[str]] = []

    def start(out: Path) -> subprocess.Popen[str]:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.wait()
