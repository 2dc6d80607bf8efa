"""A process that tries batches of one kind: `python -m fuzz.worker KIND SEED FOLDER COUNT BATCH...`.

It appends a line of JSON a batch to `results.jsonl` of its folder, says in `at` which input it tries, and
keeps those that fail in `failures/`.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

MEMORY_LIMIT = 8 << 30
"""No input may take the machine down, whatever it asks for."""
BROKEN = 3
"""Exit code where not an input is at fault but what tries it."""
KEPT = 20
"""Failing inputs of a batch whose files are kept."""


def main(kind: str, seed: str, root: Path, count: int, batches: list[int]) -> None:
    """Try the first `count` inputs of each batch; everything printed goes to `printed.txt`."""
    noise = (root / "printed.txt").open("a+")
    os.dup2(noise.fileno(), 1)
    os.dup2(noise.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    from fuzz.kinds import KINDS
    from fuzz.trial import Trials

    trials, subject = Trials(noise), KINDS[kind].subject
    subject.prepare(root)
    with (root / "results.jsonl").open("a") as results, (root / "at").open("w") as at:
        for batch in batches:
            found = list(_batch(trials, KINDS[kind], (kind, seed, batch), root, count, at))
            row = {
                "batch": batch,
                "accepted": sum(outcome.accepted for _, outcome in found),
                "refused": sum(not outcome.accepted for _, outcome in found),
                "failures": [[number, *outcome.faults] for number, outcome in found if outcome.faults],
            }
            results.write(json.dumps(row) + "\n")
            results.flush()


def rng_of(kind: str, seed: str, batch: int) -> random.Random:
    """What the inputs of a batch are drawn from."""
    return random.Random(f"{seed} {kind} {batch}")


def _batch(
    trials: Any, kind: Any, name: tuple[str, str, int], root: Path, count: int, at: TextIO
) -> Iterator[tuple[int, Any]]:
    """The outcome of each input by its number."""
    area = Path(tempfile.mkdtemp(prefix="inputs-", dir=root))
    kept = 0
    _say(at, name[2], 0)
    for number, (one, folder) in enumerate(kind.make(rng_of(*name), min(count, kind.batch), area)):
        _say(at, name[2], number)
        outcome = trials.attempt(kind.subject, one, folder, area)
        if outcome.faults and kept < KEPT:
            keep(one, folder, root / "failures" / f"{name[2]}-{number}")
            kept += 1
        yield number, outcome
    shutil.rmtree(area)


def _say(at: TextIO, batch: int, number: int) -> None:
    os.pwrite(at.fileno(), f"{batch} {number}".ljust(30).encode(), 0)


def keep(one: Any, folder: Path, to: Path) -> None:
    """A failing input, to look at."""
    to.parent.mkdir(exist_ok=True)
    if isinstance(one, str):
        to.with_suffix(".txt").write_text(one, errors="surrogatepass")
    elif not to.exists():
        shutil.copytree(folder, to, symlinks=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3], Path(sys.argv[3]), int(sys.argv[4]), [int(word) for word in sys.argv[5:]])
    except Exception:
        traceback.print_exc()
        sys.exit(BROKEN)
