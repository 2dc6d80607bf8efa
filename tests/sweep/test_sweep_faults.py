"""Runs, workers and sweeps killed from outside: what is finished stays, the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.faults

ENGINES = ("local", "ray")
GRID = {"learning_rate": [1e-4, 2e-4, 3e-4], "policy": ["hard_uniform", "uniform"], "size": [12]}
STEPS = 72
"""Of a run: more than a fast machine does until the signal has come."""
RUNS = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": 4, "save_total_limit": 4}
WAIT = 300.0
"""Seconds within which what is waited for has come, or the test fails."""


def start(file: Path, out: Path, engine: str, *flags: str) -> subprocess.Popen[str]:
    if engine == "ray":
        pytest.importorskip("ray", reason="needs the extra `ray`")
        flags = (*flags, "--address", "local")
    words = ["sweep", "--config", file, "--out", out, "--engine", engine, "--workers", "2", "--json", *flags]
    return subprocess.Popen(
        [sys.executable, "-m", "chexphi", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=file.parent,
    )  # fmt: skip


def summary(sweep: subprocess.Popen[str]) -> dict[str, Any]:
    text, _ = sweep.communicate(timeout=WAIT)
    assert sweep.returncode == 0, text
    return json.loads(text)


def of_run(folder: Path) -> list[psutil.Process]:
    """The processes that carry out the run of a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(folder) in words and "grpo" in words:
            found.append(process)
    return found


def until(condition: Callable[[], Any], sweep: subprocess.Popen[str] | None = None) -> Any:
    deadline = time.monotonic() + WAIT
    while not (found := condition()):
        assert sweep is None or sweep.poll() is None, "the sweep has ended"
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def halfway(out: Path) -> Path | None:
    """A run that has a complete checkpoint and most of its steps before it."""
    folders = [path.parents[1] for path in out.glob("*/checkpoint-4/complete.json")]
    return next((one for one in folders if not (one / "checkpoint-12").exists() and of_run(one)), None)


def goes_on(folder: Path) -> bool:
    """Whether a run has gone on from a checkpoint."""
    log = folder / "train.log"
    return log.is_file() and "the run goes on from" in log.read_text()


def under_way(
    write_sweep: Callable[..., Path], folder: Path, engine: str, grid: dict[str, Any] = GRID, **runs: Any
) -> tuple[subprocess.Popen[str], Path]:
    """A sweep whose summary will stand in `out`, and a run of it that is halfway."""
    sweep = start(write_sweep(folder, grid, runs=RUNS | runs), folder / "out", engine)
    return sweep, until(lambda: halfway(folder / "out"), sweep)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_run_is_tried_again_from_its_checkpoint(
    engine: str, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    sweep, victim = under_way(write_sweep, tmp_path, engine)
    for process in of_run(victim):
        process.kill()
    found = summary(sweep)
    assert [run["state"] for run in found["runs"]] == ["finished"] * 6
    assert {run["folder"]: run["tries"] for run in found["runs"] if run["tries"] != 1} == {str(victim): 2}
    assert all(run["steps"] == STEPS and run["exit_code"] == 0 for run in found["runs"])
    assert all((Path(run["folder"]) / "model" / "config.json").is_file() for run in found["runs"])
    assert Path(f"{victim}.log").read_text().count("== chexphi grpo ") == 2
    assert goes_on(victim)
    steps = [json.loads(line)["step"] for line in (victim / "metrics.jsonl").read_text().splitlines()]
    assert steps[:STEPS] == list(range(1, STEPS + 1))


def test_a_killed_ray_worker_loses_no_run(write_sweep: Callable[..., Path], tmp_path: Path) -> None:
    sweep, victim = under_way(write_sweep, tmp_path, "ray", GRID | {"learning_rate": [1e-4]})
    run = of_run(victim)[0]
    worker = run.parent()
    assert "ray::run_to_end" in " ".join(worker.cmdline())
    worker.kill()
    assert psutil.wait_procs([run], timeout=WAIT)[1] == []  # it follows its worker
    tries = {one["folder"]: one["tries"] for one in summary(sweep)["runs"]}
    assert tries.pop(str(victim)) == 2
    assert set(tries.values()) == {1}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_sweep_takes_its_runs_along_and_goes_on(
    engine: str, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    file = write_sweep(tmp_path, GRID, runs=RUNS)
    sweep = start(file, out, engine)
    until(lambda: list(out.glob("*/model/complete.json")), sweep)
    until(lambda: halfway(out), sweep)
    sweep.kill()
    sweep.wait()
    until(lambda: not any(of_run(folder) for folder in out.iterdir()))
    done = {path: path.stat().st_mtime_ns for path in out.glob("*/model/complete.json")}
    assert 0 < len(done) < 6
    found = summary(start(file, out, engine, "--resume"))
    assert found["finished"] == 6
    assert {path: path.stat().st_mtime_ns for path in done} == done
    resumed = [path for path in out.iterdir() if goes_on(path)]
    assert resumed
    assert not {path.name for path in resumed} & {path.parents[1].name for path in done}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_stops_the_runs_and_says_so(
    engine: str, number: int, write_sweep: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sweep, _ = under_way(write_sweep, tmp_path, engine, max_steps=1000)  # Ray takes its time to cancel
    sweep.send_signal(number)
    assert sweep.wait(timeout=WAIT) == 75
    assert not any(of_run(folder) for folder in out.iterdir())
    found = json.loads((out / "summary.json").read_text())["runs"]
    states = {run["state"] for run in found}
    assert "stopped" in states
    assert "running" not in states
    stopped = [Path(run["folder"]) for run in found if run["state"] == "stopped"]
    logs = [one / "train.log" for one in stopped]
    logs = [log for log in logs if log.exists()]  # one may be stopped before it has a folder
    assert any("SIGTERM: saved at step" in log.read_text() for log in logs)
    assert os.path.exists(out / "sweep.html")
