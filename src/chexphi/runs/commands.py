"""The command of a run with its launcher, and the one that goes on with it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROGRAM = "chexphi"
LAUNCHER = "LAUNCHER"
"""Stands in a command for a launcher of several processes that is not known."""


def own_command(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The words of the command that this process runs; `python -m chexphi` is `chexphi`.

    Under `torchrun` and `accelerate launch` they begin with the launcher's.
    """
    program = Path(sys.argv[0]).name
    is_launched = "RANK" in environment or any(name.startswith("ACCELERATE_") for name in environment)
    launcher = launcher_words(sys.argv[1:]) if is_launched else []
    return [*(launcher or [PROGRAM if program == "__main__.py" else program]), *sys.argv[1:]]


def launcher_words(own_words: Sequence[str]) -> list[str]:
    """The words of the process that started this one, up to the words of this one.

    Empty if it did not pass these words on, as `srun`, or where the system does not tell.
    """
    try:
        content = Path(f"/proc/{os.getppid()}/cmdline").read_bytes()
    except OSError:
        return []
    words = [os.fsdecode(word) for word in content.split(b"\0")[:-1]]
    start = len(words) - len(own_words)
    if start < 1 or words[start:] != list(own_words):
        return []
    by_python = Path(words[0]).name.startswith("python")
    if by_python and start > 1 and not words[1].startswith("-"):  # a script, such as bin/torchrun
        words, start = words[1:], start - 1
    return [Path(words[0]).name, *words[1:start]]


def resume_command(
    words: Any, run: Path, *, flag: str = "--resume auto", process_count: Any = 1
) -> str | None:
    """The command that goes on with a run that was started with these words.

    >>> resume_command(["chexphi", "grpo", "--out", "runs/a b", "--overwrite", "true"], Path("runs/a b"))
    "chexphi grpo --out 'runs/a b' --resume auto"
    >>> resume_command(["chexphi", "grpo", "--out", "a"], Path("a"), process_count=2)
    'LAUNCHER -m chexphi grpo --out a --resume auto'

    Args:
        words: Of the manifest.
        run: The run's folder, for a command that does not name it.
        flag: That goes on.
        process_count: Processes of the run. With several and no launcher among the words, `LAUNCHER` stands
            for it.
    """
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    new_words: list[str] = []
    for word, previous in zip(words, ["", *words], strict=False):
        name = word.partition("=")[0]
        is_value = previous in ("--overwrite", "--resume") and not word.startswith("-")
        if name not in ("--overwrite", "--resume") and not is_value:
            new_words.append(word)
    if not any(word.partition("=")[0] == "--out" for word in new_words):
        new_words += ["--out", str(run)]
    if isinstance(process_count, int) and process_count > 1 and new_words[0] == PROGRAM:
        new_words = [LAUNCHER, "-m", *new_words]
    return shlex.join([*new_words, *flag.split()])
