"""The words of a command line: flags in one spelling, and the files after `--config`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chexphi.schema import InputError


def normalize_flags(argv: Sequence[str]) -> list[str]:
    """Spell every flag as `--snake_case value`.

    >>> normalize_flags(["--num-generations=8", "--data", "a-b.json"])
    ['--num_generations', '8', '--data', 'a-b.json']
    """
    flags: list[str] = []
    for word in argv:
        if not word.startswith("--"):
            flags.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        flags.append("--" + name.replace("-", "_"))
        if equals:
            flags.append(value)
    return flags


def split_configs(flags: Sequence[str], verb: str) -> tuple[list[Path], list[str]]:
    """The files after each `--config`, in their order, and the other words.

    >>> split_configs(["--config", "kg.yaml", "--seed", "1", "--config", "dapo.yaml"], "grpo")[1]
    ['--seed', '1']

    Raises:
        InputError: If a `--config` has no file after it.
    """
    files: list[Path] = []
    words = list(flags)
    while "--config" in words:
        at = words.index("--config")
        if at + 1 == len(words) or words[at + 1].startswith("--"):
            raise InputError(f"{verb}: --config needs a file name")
        files.append(Path(words[at + 1]))
        del words[at : at + 2]
    return files, words


def as_text(value: Any) -> str:
    """A value of a setting as it is written on a command line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
