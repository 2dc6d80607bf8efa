"""Runs that go on: another process has their lock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from watched_runs import HOLDER


@pytest.fixture
def hold() -> Iterator[Any]:
    """hold(folder): another process has the run's lock, until it is told to end."""
    holders: list[subprocess.Popen[str]] = []

    def start(out: Path) -> subprocess.Popen[str]:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.wait()
