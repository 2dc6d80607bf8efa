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
    parts = [_parts(Path(path)) for path in paths]
    names = [_shortest(own, [other for other in parts if other != own]) for own in parts]
    return [
        f"{name} ({names[:row].count(name) + 1})" if name in names[:row] else name
        for row, name in enumerate(names)
    ]


def _parts(path: Path) -> tuple[str, ...]:
    folder = path.parent if path.name in FILES else path
    return Path(os.path.abspath(folder)).parts


def _shortest(own: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> str:
    length = next(
        (
            length
            for length in range(1, len(own))
            if all(own[-length:] != other[-length:] for other in others)
        ),
        len(own),
    )
    return "/".join(own[-length:])
