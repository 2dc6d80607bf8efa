"""The loop of a sweep: start runs as there is room, follow them, try those again that fail."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import Progress

from chexphi import atomic
from chexphi.runs import child, run_folder, terminal
from chexphi.sweep import trials
from chexphi.sweep.engines import Engine
from chexphi.sweep.grid import Trial, label_of


@dataclass
class Record:
    """How a run stands: a row of `summary.json`."""

    name: str
    values: Mapping[str, Any]
    folder: str = ""
    """<timestamp>_<name> in the sweep's, from the run's first try on."""
    log: str = ""
    state: str = "waiting"
    tries: int = 0
    exit_code: int | None = None
    """Of the last try."""
    seconds: float = 0.0
    """Of all tries."""
    steps: int = 0
    rewards: Mapping[str, float] = field(default_factory=dict)

    def place(self, folder: Path) -> None:
        """Say where the run is, and what its tries say."""
        self.folder, self.log = str(folder), f"{folder}.log"


@dataclass
class Run:
    """A run of the grid, with what the loop knows of it."""

    trial: Trial
    steps: int
    """Most steps; -1 where `epochs` counts."""
    epochs: float
    record: Record
    tries_left: int
    job: Any = None
    task: Any = None
    began: float = 0.0

    def begin(self, engine: Engine, out: Path, progress: Progress) -> bool:
        """Start it unless it is finished; whether it was started."""
        record = self.record
        if not record.folder:
            record.place(run_folder.default_folder(record.name, out))
        folder = Path(record.folder)
        if trials.is_finished(folder):
            record.state = "finished"
            return False
        words = ["grpo", *self.trial.words, "--out", str(folder), "--resume", "auto"]
        log = Path(record.log)
        with atomic.writing(log), log.open("a", encoding="utf-8") as lines:
            lines.write(f"== chexphi {shlex.join(words)}\n")
        self.job = engine.start([sys.executable, "-m", "chexphi", *words], log)
        self.task = progress.add_task(label_of(self.trial.values), total=100)
        self.began = time.monotonic()
        self.tries_left -= 1
        record.state, record.tries = "running", record.tries + 1
        return True

    def note(self) -> None:
        """Take down the steps and rewards that it has logged."""
        rows = trials.read_metrics(Path(self.record.folder))
        self.record.steps = max((row.get("step", 0) for row in rows), default=0)
        self.record.rewards = trials.final_means(rows)

    def show(self, progress: Progress) -> None:
        """Bring its progress line up to date."""
        if row := trials.last_metrics(Path(self.record.folder)):
            share = trials.share_done(row, steps=self.steps, epochs=self.epochs)
            progress.update(self.task, completed=int(100 * share))

    def end(self, code: int | None, progress: Progress) -> bool:
        """Note how a try ended, None if it was stopped; whether there is to be another one."""
        progress.remove_task(self.task)
        self.note()
        record = self.record
        record.exit_code = code
        record.seconds = round(record.seconds + time.monotonic() - self.began, 1)
        if code == 0 or trials.is_finished(Path(record.folder)):
            record.state = "finished"
            return False
        again = code is not None and trials.tries_again(code, tries_left=self.tries_left)
        record.state = "stopped" if code is None else "waiting" if again else "failed"
        return again


def carry_out(planned: Sequence[Run], engine: Engine, out: Path) -> None:
    """Carry out all runs; `summary.json` is written whenever one has ended.

    What interrupts it (SIGTERM, Ctrl-C, an error) stops the runs first.
    """
    waiting, running = list(planned), list[Run]()
    with terminal.progress_bar() as progress:
        whole = progress.add_task("runs", total=len(planned))
        try:
            while waiting or running:
                while waiting and len(running) < engine.workers:
                    run = waiting.pop(0)
                    if run.begin(engine, out, progress):
                        running.append(run)
                    else:
                        progress.advance(whole)
                time.sleep(child.POLL_SECONDS if running else 0)
                for run in list(running):
                    run.show(progress)
                    if (code := engine.ended(run.job)) is None:
                        continue
                    running.remove(run)
                    if run.end(code, progress):
                        waiting.append(run)
                    else:
                        progress.advance(whole)
                    write_summary(out, planned)
        finally:
            engine.stop([run.job for run in running])
            for run in running:
                run.end(None, progress)


def write_summary(out: Path, planned: Sequence[Run]) -> dict[str, Any]:
    """Write `summary.json`, with the rewards and steps that the runs have logged; returns it."""
    for run in planned:
        if run.record.state == "running":
            run.note()
    states = [run.record.state for run in planned]
    found = {
        "out": str(out),
        "finished": states.count("finished"),
        "failed": states.count("failed"),
        "runs": [asdict(run.record) for run in planned],
    }
    run_folder.write_json(out / "summary.json", found)
    return found
