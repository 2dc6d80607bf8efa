"""Records that differ in the rounding of their numbers alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def alike(value: Any, other: Any) -> bool:
    """Whether two values are the same, numbers but for their rounding."""
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(alike(value[name], other[name]) for name in value)
    return bool(other == (pytest.approx(value, rel=1e-4, abs=1e-6) if isinstance(value, float) else value))


def alike_files(first: Path, second: Path) -> bool:
    """The same of two files of JSON lines, or of one JSON record each."""
    rows, others = ([json.loads(line) for line in _lines(path)] for path in (first, second))
    return len(rows) == len(others) and all(map(alike, rows, others))


def _lines(path: Path) -> list[str]:
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]
