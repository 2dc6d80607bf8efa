"""Runs of the command line in processes of their own, which tests stop: by signal, or at a file's size.

They are forked from a process that has imported the stages, so that one begins in a second.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["killed_runs", "chexphi.cli", "chexphi.training.grpo", "chexphi.training.sft"]
)

BOTH = [
    "--learning_rate=1e-3", "--per_device_train_batch_size=4", "--gradient_accumulation_steps=2",
    "--disable_tqdm=true", "--trainable=all", "--limit=10", "--save_strategy=steps",
    "--gradient_checkpointing=false", "--logging_steps=1",
]  # fmt: skip
FLAGS = [
    *BOTH, "--num_generations=4", "--beta=0.1", "--max_completion_length=6", "--dynamic_sample=true",
    "--steps_per_generation=4", "--rewards", "killed_runs:uneven",
]  # fmt: skip
"""Of grpo: four steps an epoch, two steps a generation, three groups in four without spread."""


def command(verb: str, model: Path, films: Path, *flags: str) -> list[str]:
    """`chexphi` words for a run of grpo or sft on drawn films."""
    part, settings = ("pool", FLAGS) if verb == "grpo" else ("sft", BOTH)
    data = films / "annotations" / part / "train.json"
    return [verb, "--model", str(model), "--data", str(data), *settings, *flags]


def uneven(completions: list[Any], id: Sequence[str], **_: Any) -> list[float]:
    """A reward that spreads for some prompts only, and knows the completion by heart."""
    texts = [completion[0]["content"] for completion in completions]
    return [
        len(set(text)) / 20 if hash_of(name) % 4 == 0 else 0.0 for text, name in zip(texts, id, strict=True)
    ]


def partly(completions: list[Any], id: Sequence[str], **_: Any) -> list[float | None]:
    """A reward that has a value for about two of three prompts."""
    texts = [completion[0]["content"] for completion in completions]
    return [
        None if hash_of(name) % 3 == 0 else len(set(text)) / 40 for text, name in zip(texts, id, strict=True)
    ]


def endless(completions: list[Any], **_: Any) -> list[float]:
    """A reward that does not come."""
    os.write(1, b"scoring")
    time.sleep(600)
    return [0.0] * len(completions)


def hash_of(text: str) -> int:
    return sum(ord(letter) * place for place, letter in enumerate(text, 1))


def same(first: Path, second: Path) -> None:
    """Weights bit by bit, logs byte by byte, and metrics but for time."""
    files = [path.relative_to(first) for path in (first / "model").glob("*.safetensors")]
    assert files
    logs = ("completions.jsonl", "never_spread.json", "diagnostics.jsonl")
    for name in (*files, *(name for name in logs if (first / name).exists())):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert figures(first) == figures(second)


def begin(argv: Sequence[str], said: Path, *, file_size: int | None = None) -> BaseProcess:
    """Start `chexphi ARGV`; what it says goes to a file. No file of its may grow beyond `file_size`."""
    process = CONTEXT.Process(target=_main, args=(list(argv), str(said), file_size))
    process.start()
    return process


def _main(argv: list[str], said: str, file_size: int | None) -> None:
    descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    sys.argv = ["chexphi", *argv]
    from chexphi.cli import main

    main()


def end(process: BaseProcess, seconds: float = 120) -> int:
    """Its exit code; a signal's is negative."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"still running after {seconds} s")
    return process.exitcode


def wait_until(process: BaseProcess, happened: Callable[[], bool], pause: float = 0.002) -> bool:
    """Whether that happened while the process ran."""
    while process.is_alive():
        if happened():
            return True
        time.sleep(pause)
    return False


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def figures(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what tells time, and without the summary's figures."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    timed = ("step_time", "dynamic/seconds", "run_seconds", "tokens_per_second")
    return [
        {"step": row["step"], "summary": True}
        if "train_runtime" in row
        else {name: value for name, value in row.items() if name not in timed}
        for row in rows
    ]
