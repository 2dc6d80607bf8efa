"""Seconds until each verb answers `--help` or a mistake: the least of three starts. One table.

The first number is by the clock, the second is the processor's, which tells more on a busy machine.
The aim is at most 1.0 s on two quiet cores. `tests/test_quick_refusals.py` holds on any machine that no verb
imports torch for such an answer. Words after the script are the verbs to time; without any, all are.
"""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

TRIES = 3
AIM = 1.0
"""Seconds; a cell above it is red."""
POOL = "data/annotations/pool/train.json"
EXAMPLES = f"--model nowhere --data {POOL}"
COLUMNS = ("misspelled option", "wrong path", "refused value", "existing --out")
MISTAKES = {
    "demo": ("--seedd 1", "--config nowhere.yaml", "--workers 0", "--out taken"),
    "study": ("--seedd 1", "--config nowhere.yaml", "--seeds 1 1", "--out taken"),
    "sft": ("--learning_rat 1", EXAMPLES, f"{EXAMPLES} --max_steps x", f"{EXAMPLES} --out taken"),
    "grpo": ("--learning_rat 1", EXAMPLES, f"{EXAMPLES} --num_generations 1", f"{EXAMPLES} --out taken"),
    "plan": ("--memori 80", "--model nowhere", "--stage x", None),
    "sweep": ("--engin local", "--config nowhere.yaml", "--engine x", "--out taken"),
    "evaluate": ("--batch_siz 8", EXAMPLES, f"{EXAMPLES} --batch_size 0", f"{EXAMPLES} --out taken"),
    "ask": ("model Question --temperatur 1", "nowhere Question", "model Question --temperature -1", None),
    "compare": ("taken taken --sed 1", "nowhere nowhere", "taken taken --seed -1", None),
    "report": ("taken --ou page.html", "nowhere --out page.html", None, "taken --out notes.txt"),
    "mine score": ("--sampless 3", EXAMPLES, f"{EXAMPLES} --samples 0", f"{EXAMPLES} --out taken"),
    "mine select": (
        f"taken {POOL} --out new.json --polcy x",
        f"nowhere {POOL} --out new.json",
        f"taken {POOL} --out new.json --seed -1",
        f"scored.jsonl {POOL} --out sentences.jsonl",
    ),
    "kg extract": (
        "notes.txt --out kg.jsonl --extracto x",
        "nowhere --out kg.jsonl",
        "notes.txt --out kg.jsonl --extractor rexkg:nowhere",
        "notes.txt --out sentences.jsonl",
    ),
    "kg bench": ("notes.txt --extracto x", "nowhere", "notes.txt --extractor x", None),
    "kg show": ("text --extracto x", "text --extractor rexkg:nowhere", "text --extractor x", None),
    "kg audit": ("a b --wors 1", "nowhere nowhere", "a b --worst x", None),
    "kg eval": ("sentences.jsonl --limi 1", "nowhere", "sentences.jsonl --extractor x", None),
    "kg train": (
        "sentences.jsonl --encoder nowhere --out new --epoch 1",
        "sentences.jsonl --encoder nowhere --out new",
        "sentences.jsonl --encoder nowhere --out new --head-rate -1",
        None,
    ),
    "kg radgraph-f1": ("a b --jsn", "nowhere nowhere", None, None),
    "checkpoint inspect": ("taken --jsn", "nowhere", "foreign", None),
    "checkpoint import": ("a b --allow-pickl", "nowhere new", "foreign new", None),
    "checkpoint export": ("a b --jsn", "nowhere new", "foreign new", None),
    "checkpoint merge": ("a b --jsn", "nowhere new", "foreign new", None),
    "data phantom": ("--out new --trian 8", None, "--out new --size 3", "--out taken"),
    "data import": (
        "vqa-rad nowhere --out new.json --imag-root x",
        "vqa-rad nowhere --out new.json",
        "unknown nowhere --out new.json",
        None,
    ),
    "data check": (f"{POOL} --image-rot x", "nowhere.json", f"{POOL} --rewards unknown", None),
    "rewards score": ("a --weigts 1", "nowhere.jsonl", "a --rewards unknown", None),
    "rewards probe": (f"{POOL} --sed 1", "nowhere.json", f"{POOL} --rewards unknown", f"{POOL} --out taken"),
    "verl-rows": (
        f"{POOL} --out new.parquet --limt 1",
        "nowhere.json --out new.parquet",
        f"{POOL} --out new.json",
        None,
    ),
    "watch": ("taken --onc", None, None, None),
    "card": ("taken --ot x", "nowhere", None, None),
    "doctor": ("--jsn", None, None, None),
    "swift-plugin": ("--helpp", None, None, None),
}
"""For each verb the words of one mistake of each kind; None where the verb has no such mistake."""


def prepare(folder: Path) -> None:
    """The files that the mistakes are about."""
    for name in ("taken", "foreign"):
        (folder / name).mkdir()
    (folder / "taken" / "manifest.json").write_text("{}")
    (folder / "foreign" / "config.json").write_text('{"model_type": "llama"}')
    (folder / "notes.txt").write_text("Small effusion.\n")
    (folder / "scored.jsonl").write_text('{"id": "1", "correct": [1]}\n')
    (folder / "sentences.jsonl").write_text(
        '{"tokens": ["small", "effusion"], "entities": [[0, 0, "size"], [1, 1, "disorder_present"]], '
        '"relations": [[0, "modify", 1]]}\n'
    )
    start("data phantom --out data --train 8 --pool 8 --valid 4 --test 4", folder, code=0)


def start(command: str, folder: Path, *, code: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor that a command takes; it has to end with this exit code."""
    begin, processor = time.perf_counter(), _processor_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "chexphi", *shlex.split(command)],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    seconds = time.perf_counter() - begin, _processor_seconds() - processor
    if done.returncode != code:
        raise SystemExit(f"chexphi {command} ended with {done.returncode}: {done.stderr[-500:]}")
    return seconds


def _processor_seconds() -> float:
    """Of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cell(command: str | None, folder: Path, *, code: int) -> str:
    if command is None:
        return ""
    tries = [start(command, folder, code=code) for _ in range(TRIES)]
    clock, processor = map(min, zip(*tries, strict=True))
    text = f"{clock:.2f} / {processor:.2f}"
    return f"[red]{text}[/]" if clock > AIM else text


def main() -> None:
    table = Table(
        "chexphi …", "--help", *COLUMNS, title="seconds until the answer: by the clock / of the processor"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        table.add_row("", cell("--help", folder, code=0), cell("nonsense", folder, code=2))
        for verb, mistakes in MISTAKES.items():
            if sys.argv[1:] and verb not in sys.argv[1:]:
                continue
            cells = [cell(words and f"{verb} {words}", folder, code=2) for words in mistakes]
            table.add_row(verb, cell(f"{verb} --help", folder, code=0), *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
