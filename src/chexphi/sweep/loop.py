"""The loop of a sweep: starts runs as there is room, follows them, and tries failed ones again."""

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
    """The state of a run: a row of `summary.json`."""

    name: str
    values: Mapping[str, Any]
    folder: str = ""
    """`<timestamp>_<name>` in the sweep's folder, from the first try on."""
    log: str = ""
    state: str = "waiting"
    tries: int = 0
    exit_code: int | None = None
    """Exit code of the last try."""
    seconds: float = 0.0
    """Seconds of all tries."""
    steps: int = 0
    rewards: Mapping[str, float] = field(default_factory=dict)

    def set_folder(self, folder: Path) -> None:
        """Set the run's folder, and the log of its tries beside it."""
        self.folder, self.log = str(folder), f"{folder}.log"


@dataclass
class Run:
    """A run of the grid, with its state in the loop."""

    trial: Trial
    steps: int
    """Most steps; -1 where `epochs` sets the length."""
    epochs: float
    record: Record
    tries_left: int
    job: Any = None
    task: Any = None
    started: float = 0.0

    def start(self, engine: Engine, out: Path, progress: Progress) -> bool:
        """Start the run unless it is finished; returns whether it was started."""
        record = self.record
        if not record.folder:
            record.set_folder(run_folder.default_folder(record.name, out))
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
        self.started = time.monotonic()
        self.tries_left -= 1
        record.state, record.tries = "running", record.tries + 1
        return True

    def record_metrics(self) -> None:
        """Record the steps and rewards that the run has logged."""
        rows = trials.read_metrics(Path(self.record.folder))
        self.record.steps = max((row.get("step", 0) for row in rows), default=0)
        self.record.rewards = trials.final_means(rows)

    def update_progress(self, progress: Progress) -> None:
        """Update the run's progress bar."""
        if row := trials.last_metrics(Path(self.record.folder)):
            share = trials.share_done(row, steps=self.steps, epochs=self.epochs)
            progress.update(self.task, completed=int(100 * share))

    def finish(self, code: int | None, progress: Progress) -> bool:
        """Record the end of a try, with code None if it was stopped; returns whether to try again."""
        progress.remove_task(self.task)
        self.record_metrics()
        record = self.record
        record.exit_code = code
        record.seconds = round(record.seconds + time.monotonic() - self.started, 1)
        if code == 0 or trials.is_finished(Path(record.folder)):
            record.state = "finished"
            return False
        retry = code is not None and trials.should_retry(code, tries_left=self.tries_left)
        record.state = "stopped" if code is None else "waiting" if retry else "failed"
        return retry


def run_all(planned: Sequence[Run], engine: Engine, out: Path) -> None:
    """Carry out all runs; `summary.json` is written whenever one has ended.

    SIGTERM, SIGHUP, Ctrl-C or an error stops the runs before it ends the loop.
    """
    waiting, running = list(planned), list[Run]()
    with terminal.progress_bar() as progress:
        total_task = progress.add_task("runs", total=len(planned))
        try:
            while waiting or running:
                while waiting and len(running) < engine.workers:
                    run = waiting.pop(0)
                    if run.start(engine, out, progress):
                        running.append(run)
                    else:
                        progress.advance(total_task)
                time.sleep(child.POLL_SECONDS if running else 0)
                for run in list(running):
                    run.update_progress(progress)
                    if (code := engine.ended(run.job)) is None:
                        continue
                    running.remove(run)
                    if run.finish(code, progress):
                        waiting.append(run)
                    else:
                        progress.advance(total_task)
                    write_summary(out, planned)
        finally:
            engine.stop([run.job for run in running])
            for run in running:
                run.finish(None, progress)


def write_summary(out: Path, planned: Sequence[Run]) -> dict[str, Any]:
    """Write `summary.json` with the rewards and steps that the runs have logged; returns its content."""
    for run in planned:
        if run.record.state == "running":
            run.record_metrics()
    states = [run.record.state for run in planned]
    summary = {
        "out": str(out),
        "finished": states.count("finished"),
        "failed": states.count("failed"),
        "runs": [asdict(run.record) for run in planned],
    }
    run_folder.write_json(out / "summary.json", summary)
    return summary
