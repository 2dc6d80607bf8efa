"""Runs the stages of a loop under one folder. A finished stage is never run again."""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chexphi import ranges
from chexphi.demo.same_figures import fixed_kernels
from chexphi.demo.settings import RANGES, LoopRecipe
from chexphi.demo.stages import Stage
from chexphi.installation import require
from chexphi.runs import child, manifest, run_folder, terminal
from chexphi.schema import InputError
from chexphi.watch.growing_files import GrowingFiles
from chexphi.yaml_files import dump_yaml

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "plotly")
"""What the stages import, minutes after the loop has begun."""


def step_of(row: dict[str, Any]) -> int:
    """The optimiser step of a row; 0 where it has none."""
    step = row.get("step")
    return step if isinstance(step, int) else 0


def done_of(stage: Stage, steps: Sequence[int]) -> int:
    """How much of a stage is done, by the `step_of` of its rows so far; never more than the whole.

    A row of figures at the end of training is one more than its steps.
    """
    return min(stage.total, max(steps, default=0) if stage.unit == "steps" else len(steps))


def open_loop(recipe: LoopRecipe, name: str, *, seed: int, stages: Sequence[str]) -> Runner:
    """Make the run folder of a loop; returns the runner of its stages.

    Args:
        recipe: Of the loop.
        name: Of the loop.
        seed: For the manifest.
        stages: Names of the stages in their order: `chexphi watch` shows those to come.

    Raises:
        InputError: If the folder is in use or `workers` is below 1.
        ModuleNotFoundError: If a library of the stages is not installed.
    """
    ranges.check(vars(recipe), RANGES, name)
    require(*LIBRARIES)
    folder = Path(recipe.out) if recipe.out else run_folder.default_folder(name)
    out = run_folder.open_run(folder, resume=recipe.resume, overwrite=recipe.overwrite)
    manifest.write(
        out, config=run_folder.yaml_values(recipe), data=None, seed=seed, stage=name, stages=[*stages]
    )
    run_folder.log_to(out)
    hint = f"chexphi watch {shlex.quote(str(out))} follows this run"
    terminal.console().print(hint, highlight=False, markup=False, soft_wrap=True)
    return Runner(out, workers=recipe.workers)


class Runner:
    """Runs stages under one folder, at most `workers` at a time, with one progress bar each.

    A context manager: an error or a signal that ends it early also ends the stages that run, in any thread.
    """

    def __init__(self, root: Path, *, workers: int) -> None:
        self.root = root
        self._slots = threading.Semaphore(workers)
        self._stopped = threading.Event()
        self.seconds: dict[str, float] = {}
        self.progress = terminal.progress_bar()

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stopped.set()
        self.progress.stop()
        if isinstance(error, InputError):
            run_folder.write_to_log(str(error))

    def run(self, stage: Stage, *, threads: int = 1) -> Path:
        """Run one stage unless it is finished; returns its folder.

        Args:
            stage: The stage.
            threads: Threads that it computes with. Its result depends on them.

        Raises:
            InputError: If the command failed; its log is named.
            SystemExit: If the runner was stopped.
        """
        folder = self.root / stage.name
        task = self.progress.add_task(stage.name, total=stage.total, unit=stage.unit, state="waiting")
        if (folder / stage.result).exists():
            self.progress.update(task, completed=stage.total)
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        config, log = folder.with_suffix(".yaml"), folder.with_suffix(".log")
        values = {**stage.values, "out": str(folder)}
        argv = [sys.executable, "-m", "chexphi", *stage.verb, "--config", str(config)]
        argv += ["--overwrite", "true"] if (folder / "manifest.json").exists() else []
        with self._slots:
            self._check_stopped()
            run_folder.atomic_write(config, dump_yaml(values))  # `chexphi watch`: it is starting
            started = time.monotonic()
            with log.open("w", encoding="utf-8") as output:
                # a session of its own: Ctrl-C reaches the runner only, which ends its stages
                variables = {**fixed_kernels(), "OMP_NUM_THREADS": str(threads)}
                process = child.start(argv, output, variables, start_new_session=True)
                self.progress.update(task, state="starting")
                self._follow(process, stage, task)
            self.seconds[stage.name] = time.monotonic() - started
        if process.returncode:
            raise InputError(
                f"stage {stage.name} failed with exit code {process.returncode}: its log is {log}"
            )
        self.progress.update(task, completed=stage.total)
        return folder

    def _follow(self, process: subprocess.Popen[bytes], stage: Stage, task: Any) -> None:
        lines, rows = self.root / stage.name / stage.lines, GrowingFiles()
        try:
            while process.poll() is None:
                time.sleep(child.POLL_SECONDS)
                self._check_stopped()
                self.progress.update(task, completed=done_of(stage, rows.rows(lines, step_of)))
        finally:
            if process.poll() is None:
                process.kill()  # a resumed loop starts the stage again with an empty folder
                process.wait()

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise SystemExit(1)

    def run_all(self, stages: Sequence[Stage]) -> list[Path]:
        """Run independent stages side by side; the first error is raised after all have ended."""
        with ThreadPoolExecutor(max_workers=max(1, len(stages))) as pool:
            running = [pool.submit(self.run, stage) for stage in stages]
            try:
                return [future.result() for future in running]
            except (KeyboardInterrupt, SystemExit):
                self._stopped.set()
                raise
