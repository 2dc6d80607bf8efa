"""Short names of run folders: what tells them apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

FILES = ("predictions.jsonl", "summary.json")
"""Files that stand for the folder that they are in."""


def distinct_names(paths: Sequence[Path | str]) -> list[str]:
    """The fewest last parts of each path that tell it from the others.

    A path that is there twice gets a number.

    >>> distinct_names(["runs/test_sft", "runs/test_grpo/predictions.jsonl"])
    ['test_sft', 'test_grpo']
    >>> distinct_names(["a/eval", "b/eval", "b/eval"])
    ['a/eval', 'b/eval', 'b/eval (2)']
    """
    folders = [_path_of(Path(path)) for path in paths]
    names = [_shortest(path, [rival for rival in folders if rival != path]) for path in folders]
    return [
        f"{name} ({names[:row].count(name) + 1})" if name in names[:row] else name
        for row, name in enumerate(names)
    ]


def _path_of(path: Path) -> tuple[str, ...]:
    folder = path.parent if path.name in FILES else path
    return Path(os.path.abspath(folder)).parts


def _shortest(path: tuple[str, ...], rivals: Sequence[tuple[str, ...]]) -> str:
    for length in range(1, len(path)):
        if all(path[-length:] != rival[-length:] for rival in rivals):
            return "/".join(path[-length:])
    return str(Path(*path))
