"""The command of a run, and the one that goes on with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any


def resume_command(words: Any, run: Path, *, flag: str = "--resume auto") -> str | None:
    """The command that goes on with a run that was started with these words.

    >>> resume_command(["chexphi", "grpo", "--out", "runs/a b", "--overwrite", "true"], Path("runs/a b"))
    "chexphi grpo --out 'runs/a b' --resume auto"
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
    return shlex.join([*new_words, *flag.split()])
