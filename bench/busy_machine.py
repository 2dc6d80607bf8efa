"""A training stage on a quiet machine and beside busy processes, for each way that OpenMP's threads may wait.

`chexphi sft` of the demo's first stage in processes of their own, which take turns. Times are the trainer's,
without start-up. "ours" is what a stage does by itself; the others are set in the environment, as users do.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from chexphi.demo import demo
from chexphi.demo.runner import Runner
from chexphi.demo.settings import Settings
from chexphi.demo.stages import Stage, sft_stage
from chexphi.runs import child

WAYS = {
    "ours": {"OMP_NUM_THREADS": "2"},
    "2 threads that spin": {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "300000"},  # libgomp's default
    "2 threads that sleep": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
    "1 thread": {"OMP_NUM_THREADS": "1"},
}
SIZES = Settings(sight_examples=960, sft_examples=64, pool_examples=8, valid_examples=8, test_examples=8)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Around what runs beside that many processes, each of which would take a core."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def seconds(stage: Stage, root: Path, way: str) -> float:
    """Seconds of the stage's training."""
    out, config = root / stage.name, root / "stage.yaml"
    shutil.rmtree(out, ignore_errors=True)
    config.write_text(yaml.safe_dump({**stage.values, "out": str(out)}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    subprocess.run(
        [sys.executable, "-m", "chexphi", *stage.verb, "--config", str(config)],
        env=kept | child.ENVIRONMENT | WAYS[way],
        check=True,
        capture_output=True,
    )
    last = (out / "metrics.jsonl").read_text().splitlines()[-1]
    return float(json.loads(last)["train_runtime"])


def show(found: dict[int, dict[str, list[float]]], steps: int) -> None:
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    table = Table("time / spinning", "beside", "threads", "median s", "fastest", "slowest")
    table.title = f"{steps} steps of the demo's first stage on {os.cpu_count()} cores; {load}"
    for processes, ways in found.items():
        spinning = statistics.median(ways["2 threads that spin"])
        for way, times in ways.items():
            middle = statistics.median(times)
            row = (f"{value:.1f}" for value in (middle, min(times), max(times)))
            table.add_row(f"{middle / spinning:.2f}", f"{processes} busy" if processes else "-", way, *row)
        table.add_section()
    Console(width=110).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 2], help="busy processes beside it")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        demo.prepare(Runner(root, workers=1), root, SIZES, seed=0, workers=1)
        data = root / "data" / "annotations" / "sight" / "train.json"
        more = {"strip_tags": True, "adam_beta2": 0.98}
        stage = sft_stage("sight", root / "untrained", data, steps=words.steps, rate=2e-3, seed=0, **more)
        found: dict[int, dict[str, list[float]]] = {}
        for processes in words.busy:
            ways: dict[str, list[float]] = {way: [] for way in WAYS}
            found[processes] = ways
            with busy(processes):
                for _ in range(words.rounds):
                    for way in WAYS:
                        ways[way].append(seconds(stage, root, way))
    show(found, words.steps)


if __name__ == "__main__":
    main()
