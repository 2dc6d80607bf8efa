"""Whether libraries can be imported, found out in child processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chexphi

TIME_LIMIT = 180.0
"""Seconds for all imports of one child; the largest libraries take ten on a quiet machine."""


def import_each(modules: Sequence[str], *, time_limit: float = TIME_LIMIT) -> dict[str, dict[str, Any]]:
    """Module -> what it says about this machine, or `error` where it cannot be imported.

    One child imports all of them. Where it ends early, the module it was at has the error, and another child
    goes on with those after it.
    """
    outcomes: dict[str, dict[str, Any]] = {}
    queue = list(modules)
    while queue:
        rows, ending = _run(queue, time_limit)
        for row in rows:
            outcomes[row.pop("module")] = row
        if queue := queue[len(rows) :]:
            outcomes[queue.pop(0)] = {"error": ending}
    return outcomes


def _run(modules: Sequence[str], time_limit: float) -> tuple[list[dict[str, Any]], str]:
    """The complete lines of one child, and how it ended."""
    paths = [str(Path(chexphi.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    child = subprocess.Popen(
        [sys.executable, "-m", "chexphi.doctor.child", *modules],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    try:
        output, _ = child.communicate(timeout=time_limit)
        ending = _ending(child.returncode)
    except subprocess.TimeoutExpired:
        child.kill()
        output, _ = child.communicate()
        ending = f"its import did not end within {time_limit:g} s"
    finally:
        child.kill()
    complete = [line for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line) for line in complete], ending


def _ending(code: int) -> str:
    if code >= 0:
        return f"its import ended the process with code {code}"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else str(-code)
    return f"its import crashed with signal {name}"
