"""`make test-fuzz`: every kind of input, on two processes; `python -m fuzz.run --help`.

It prints a line a kind, and the failures by what they have in common; the exit code is 1 if there are any.
`--seed` makes a run again, `--only "films 3"` a batch of it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fuzz import worker
from fuzz.kinds import KINDS

SEED = "CHEXPHI_FUZZ_SEED"
"""The environment's name for the seed."""
HERE = str(Path(__file__).resolve().parents[1])
"""Where workers find this package."""
SHOWN = 12
"""Kinds of failure that are printed for a kind of input."""
HEAVY = ("folders", "settings", "texts")
"""Begun first: they take longest."""


@dataclass
class Tally:
    """What came of the inputs of one kind."""

    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Of each fault the input (`batch-number`) and the words."""


@dataclass(frozen=True)
class Plan:
    """How much of what is tried."""

    seed: str
    counts: Mapping[str, int]
    """Inputs of each kind."""
    root: Path
    batch: int | None = None
    """Only this one."""

    def batches(self, kind: str) -> tuple[int, list[int]]:
        """Inputs a batch, and the batches; of the last one all are tried."""
        size = min(KINDS[kind].batch, self.counts[kind])
        return size, [self.batch] if self.batch is not None else list(range(-(-self.counts[kind] // size)))


def run(plan: Plan, processes: int = 2) -> dict[str, Tally]:
    """Try everything; the inputs that fail stay in the folder of the plan."""
    tallies: dict[str, Tally] = {}
    jobs = []
    for kind in sorted(plan.counts, key=lambda kind: kind not in HEAVY):
        tallies[kind] = Tally()
        size, batches = plan.batches(kind)
        jobs += [(kind, size, part) for i in range(processes) if (part := batches[i::processes])]
    with ThreadPoolExecutor(processes) as pool:
        for kind, tally in pool.map(lambda job: (job[0], _job(plan, *job)), jobs):
            whole = tallies[kind]
            whole.accepted += tally.accepted
            whole.refused += tally.refused
            whole.seconds += tally.seconds
            whole.failures += tally.failures
    return tallies


def _job(plan: Plan, kind: str, size: int, batches: list[int]) -> Tally:
    """Batches of one kind in a process of their own; one that dies is a failure, and the next goes on."""
    tally, left = Tally(), list(batches)
    root = plan.root / f"{kind.replace(' ', '-')}-{batches[0]}"
    root.mkdir()
    begun = time.monotonic()
    while left:
        words = [kind, plan.seed, str(root), str(size), *map(str, left)]
        command = [sys.executable, "-m", "fuzz.worker", *words]
        # Whoever asks on the terminal is told yes
        code = subprocess.run(command, env=_environment(root), input=b"y\n" * 1000).returncode
        done = [json.loads(line) for line in (root / "results.jsonl").read_text().splitlines()]
        if code == worker.BROKEN:
            raise RuntimeError(f"{kind}: " + (root / "printed.txt").read_text()[-2000:])
        if code:
            at = (root / "at").read_text().split() or [str(left[0]), "0"]
            tally.failures.append(
                ("-".join(at), f"the process ended with {code}: see {root / 'printed.txt'}")
            )
            done.append({"batch": int(at[0])})
        left = [batch for batch in left if batch not in {row["batch"] for row in done}]
    tally.seconds = time.monotonic() - begun
    for row in (json.loads(line) for line in (root / "results.jsonl").read_text().splitlines()):
        tally.accepted += row["accepted"]
        tally.refused += row["refused"]
        tally.failures += [
            (f"{row['batch']}-{n}", fault) for n, *faults in row["failures"] for fault in faults
        ]
    return tally


def _environment(root: Path) -> dict[str, str]:
    """Of a worker: the hub is not asked, one thread a process, scratch files in its folder."""
    scratch = root / "scratch"
    scratch.mkdir(exist_ok=True)
    (root / "results.jsonl").touch()
    (root / "at").touch()
    path = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH", "")]))
    words = {
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
    }
    return {**os.environ, **words, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path, "TMPDIR": str(scratch)}


def alike(failures: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The inputs of each fault, faults that differ in numbers and quoted values together; most first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, fault in failures:
        groups[re.sub(r"'[^']*'|\d+(?:\.\d+)?", "…", fault)[:100]].append(f"{name}: {fault}")
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


def report(plan: Plan, tallies: dict[str, Tally]) -> list[str]:
    """The lines that are printed."""
    lines = [
        f"seed {plan.seed}",
        f"{'kind':12} {'inputs':>7} {'accepted':>9} {'refused':>8} {'failures':>9} {'s':>5}",
    ]
    for kind, tally in tallies.items():
        failed = len({name for name, _ in tally.failures})
        lines.append(
            f"{kind:12} {tally.accepted + tally.refused:7} {tally.accepted:9} {tally.refused:8} {failed:9}"
            f" {tally.seconds:5.0f}"
        )
    for kind, tally in tallies.items():
        for inputs in list(alike(tally.failures).values())[:SHOWN]:
            lines.append(f"{kind}: {len(inputs)} inputs, first {inputs[0]}")
    if any(tally.failures for tally in tallies.values()):
        lines.append(
            f"failing inputs: {plan.root}; ARGS=\"--seed {plan.seed} --only 'KIND BATCH'\" makes them again"
        )
    return lines


def properties(seed: str) -> bool:
    """Whether the tests by hypothesis pass: inputs that are made from nothing, not from good ones."""
    words = ["-m", "pytest", "-q", "-m", "fuzz", str(Path(__file__).with_name("test_fuzz_properties.py"))]
    return not subprocess.run([sys.executable, *words], env={**os.environ, SEED: seed}).returncode


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fuzz.run", description="Try the readers on damaged input.")
    parser.add_argument("--seed", default=os.environ.get(SEED, "0"), help="any word (default 0)")
    parser.add_argument("--share", type=float, default=1.0, help="of the counts of a whole run")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="only these, and no properties")
    parser.add_argument("--only", metavar="'KIND BATCH'", help="one batch, and no properties")
    words = parser.parse_args(argv)
    name, _, number = (words.only or "").rpartition(" ")
    kinds = [name] if name else words.kinds or list(KINDS)
    counts = {kind: max(1, round(KINDS[kind].count * words.share)) for kind in kinds}
    plan = Plan(words.seed, counts, Path(tempfile.mkdtemp(prefix="fuzz-")), int(number) if number else None)
    tallies = run(plan)
    sys.stdout.write("\n".join(report(plan, tallies)) + "\n")
    sys.stdout.flush()
    held = properties(words.seed) if kinds == list(KINDS) else True
    if any(tally.failures for tally in tallies.values()):
        return 1
    shutil.rmtree(plan.root)
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
