"""The whole loop on drawn films as a list of commands; what the demo and the study are made of.

Each stage is a `chexphi` command in a process of its own, with its settings in a YAML file beside the
run, so that every line of the table can be made again by hand. A finished stage is never run twice.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from chexphi import ranges
from chexphi.ranges import COUNT, PROCESSES, SEED
from chexphi.runs import run_folder, terminal
from chexphi.schema import InputError
from chexphi.yaml_files import dump_yaml

POLL_SECONDS = 0.5
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",  # large tensors are used again: 10 % of a step
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What a stage's process gets, for speed alone."""
POLICY = "model/complete.json"
"""What a stage that trains writes last."""
FOLLOW = "CHEXPHI_FOLLOW_STDIN"
"""Set for a stage's process, whose standard input its runner holds open."""


def end_with_parent() -> None:
    """In a stage's process: end it once its runner is gone, even by `kill -9`.

    Left alone it would still write into the folder that a resumed run takes up.
    """

    def end() -> None:
        os.read(0, 1)  # returns when the other end is closed
        os._exit(1)

    if os.environ.pop(FOLLOW, None):
        threading.Thread(target=end, daemon=True).start()


def start(
    argv: Sequence[str], output: IO[Any], variables: Mapping[str, str], **options: Any
) -> subprocess.Popen[bytes]:
    """Start a command of ours in a process that ends with this one, even by `kill -9`.

    Args:
        argv: The command.
        output: Open file for what it says.
        variables: More of its environment.
        options: Of `subprocess.Popen`.
    """
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **ENVIRONMENT, **variables, FOLLOW: "1"},
        **options,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes of one loop. Steps, batches and rates are our choice: measured in `docs/log.md`."""

    sight_examples: int = 16_000
    """Films with clean text that teach the small model to see (a real base model can already)."""
    sight_steps: int = 1150
    sft_examples: int = 4000
    """Examples of the imperfect writer, who leaves most findings out."""
    sft_steps: int = 400
    pool_examples: int = 1600
    mined_examples: int = 800
    grpo_steps: int = 80
    grpo_prompts: int = 16
    generations: int = 8
    valid_examples: int = 500
    test_examples: int = 1000
    max_new_tokens: int = 72
    image_size: int = 64


QUICK = Settings(
    sight_examples=96,
    sight_steps=8,
    sft_examples=64,
    sft_steps=6,
    pool_examples=24,
    mined_examples=12,
    grpo_steps=2,
    grpo_prompts=2,
    generations=4,
    valid_examples=24,
    test_examples=24,
    max_new_tokens=48,
)


RANGES = {"workers": PROCESSES, "limit": COUNT, "seed": SEED, "seeds": SEED}
"""Of the numbers of demo and study."""


def limited(settings: Settings, limit: int | None) -> Settings:
    """The same loop with at most `limit` test examples.

    Raises:
        InputError: If the limit is below 1.
    """
    if limit is None:
        return settings
    ranges.check({"limit": limit}, RANGES, "the loop")
    return dataclasses.replace(settings, test_examples=min(limit, settings.test_examples))


@dataclass(frozen=True, slots=True)
class Stage:
    """One command: its verb, its settings, and how far it is by the lines of a file."""

    name: str
    verb: tuple[str, ...]
    values: Mapping[str, Any]
    result: str
    """A file under the stage's own folder that exists once it is finished."""
    lines: str
    """The JSONL file whose rows tell the progress."""
    total: int


TRAINER: dict[str, Any] = {
    "trainable": "all",  # a small model that starts from nothing
    "lr_scheduler_type": "linear",
    "max_grad_norm": 1.0,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "save_strategy": "no",
}


def sft_stage(
    name: str,
    model: Path,
    data: Path,
    *,
    steps: int,
    rate: float,
    seed: int,
    log_every: int = 10,
    **values: Any,
) -> Stage:
    """An SFT stage of `steps` batches of 16."""
    settings = TRAINER | {
        "model": str(model),
        "data": str(data),
        "max_steps": steps,
        "learning_rate": rate,
        "seed": seed,
        "per_device_train_batch_size": 16,
        "warmup_steps": min(50, steps // 10),
        "logging_steps": log_every,
    }
    return Stage(name, ("sft",), settings | values, POLICY, "metrics.jsonl", steps // log_every + 1)


def grpo_stage(
    name: str, model: Path, data: Path, rewards: Mapping[str, float], settings: Settings, *, seed: int
) -> Stage:
    """A GRPO stage with weighted rewards."""
    values = TRAINER | {
        "model": str(model),
        "data": str(data),
        "rewards": list(rewards),
        "reward_weights": list(rewards.values()),
        "max_steps": settings.grpo_steps,
        "learning_rate": 3e-4,
        "seed": seed,
        "beta": 0.0,
        "per_device_train_batch_size": settings.grpo_prompts * settings.generations,
        "num_generations": settings.generations,
        "temperature": 1.0,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "warmup_steps": min(10, settings.grpo_steps // 2),
        "adam_beta2": 0.99,
        "max_completion_length": settings.max_new_tokens,
        "logging_steps": 1,
    }
    return Stage(name, ("grpo",), values, POLICY, "metrics.jsonl", settings.grpo_steps)


def evaluate_stage(
    name: str, model: Path, data: Path, settings: Settings, *, examples: int, seed: int
) -> Stage:
    """A greedy evaluation with token probabilities."""
    values = {
        "model": str(model),
        "data": str(data),
        "tokens": True,
        "batch_size": 64,
        "max_new_tokens": settings.max_new_tokens,
        "seed": seed,
    }
    return Stage(name, ("evaluate",), values, "summary.json", "predictions.jsonl", examples)


def mine_stage(name: str, model: Path, data: Path, settings: Settings, *, seed: int) -> Stage:
    """Four sampled answers to each question of the pool."""
    values = {
        "model": str(model),
        "data": str(data),
        "samples": 4,
        "batch_size": 64,
        "max_new_tokens": settings.max_new_tokens,
        "seed": seed,
    }
    return Stage(name, ("mine", "score"), values, "summary.json", "scored.jsonl", settings.pool_examples)


class LoopRecipe(Protocol):
    """The fields that demo and study share."""

    out: str | None
    workers: int
    resume: run_folder.Resume
    overwrite: bool


def open_loop(recipe: LoopRecipe, name: str, *, seed: int) -> Runner:
    """Make the run folder of a loop; returns the runner of its stages.

    Raises:
        InputError: If the folder is taken or there is nobody to work.
    """
    ranges.check(vars(recipe), RANGES, name)
    folder = Path(recipe.out) if recipe.out else run_folder.default_folder(name)
    out = run_folder.open_run(folder, resume=recipe.resume, overwrite=recipe.overwrite)
    run_folder.write_manifest(out, config=run_folder.yaml_values(recipe), data=None, seed=seed, stage=name)
    return Runner(out, workers=recipe.workers)


class Runner:
    """Runs stages under one folder, at most `workers` at a time, with one progress bar each.

    A context: what ends it early, an error or a signal, ends the stages that run, in whichever thread.
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

    def run(self, stage: Stage, *, threads: int = 1) -> Path:
        """Run one stage unless it is finished; returns its folder.

        Raises:
            InputError: If the command failed; its log is named.
            SystemExit: If the runner was stopped.
        """
        folder = self.root / stage.name
        task = self.progress.add_task(stage.name, total=stage.total)
        if (folder / stage.result).exists():
            self.progress.update(task, completed=stage.total)
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        config, log = folder.with_suffix(".yaml"), folder.with_suffix(".log")
        values = {**stage.values, "out": str(folder)}
        run_folder.atomic_write(config, dump_yaml(values))
        argv = [sys.executable, "-m", "chexphi", *stage.verb, "--config", str(config)]
        argv += ["--overwrite", "true"] if (folder / "manifest.json").exists() else []
        with self._slots:
            self._check_stopped()
            started = time.monotonic()
            with log.open("w", encoding="utf-8") as output:
                # Ctrl-C goes to the runner, which ends its stages
                process = start(argv, output, {"OMP_NUM_THREADS": str(threads)}, start_new_session=True)
                self._follow(process, folder / stage.lines, task)
            self.seconds[stage.name] = time.monotonic() - started
        if process.returncode:
            raise InputError(
                f"stage {stage.name} failed with exit code {process.returncode}: its log is {log}"
            )
        self.progress.update(task, completed=stage.total)
        return folder

    def _follow(self, process: subprocess.Popen[bytes], lines: Path, task: Any) -> None:
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                self._check_stopped()
                if lines.exists():
                    with lines.open("rb") as file:
                        self.progress.update(task, completed=sum(1 for _ in file))
        finally:
            if process.poll() is None:
                process.kill()  # the stage begins again, with an empty folder
                process.wait()

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise SystemExit(1)

    def run_all(self, stages: Sequence[Stage]) -> list[Path]:
        """Run independent stages side by side; the first failure is raised once all have ended."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=max(1, len(stages))) as pool:
            running = [pool.submit(self.run, stage) for stage in stages]
            try:
                return [done.result() for done in running]
            except (KeyboardInterrupt, SystemExit):
                self._stopped.set()
                raise
