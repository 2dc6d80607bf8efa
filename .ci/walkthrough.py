"""Type every command of the first pages into a fresh clone: `make walkthrough`.

The pages are the README, Getting started and Your own data. Each line of their code blocks is run in the
order of the pages; a line that was run before is not run again. It has to end with exit code 0. Where a
block `text` follows, the output has to have its lines, in their order; `…` stands for anything. Data and
weights that nobody may publish have a small stand-in, and long stages on them are cut short (`SHORT`). It
takes about 20 minutes on 2 cores, and prints a line a command.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/getting_started.md", "docs/your_data.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
STAND_INS = {
    "/data/MIMIC-VQA-CoT": "stand_ins/MIMIC-VQA-CoT",
    "/data/Phi-4-multimodal-instruct": "stand_ins/Phi-4-multimodal-instruct",
    "TRAIN.json": "data/mimic/sft/train.json",
    "POOL.json": "data/mimic/pool/train.json",
}
"""What the pages leave to the reader, and what stands for it: drawn films and a small model."""
PREPARE = (
    "chexphi data phantom --out stand_ins/MIMIC-VQA-CoT --train 64 --pool 1100 --valid 24 --test 24",
    "chexphi checkpoint export runs/demo/untrained stand_ins/Phi-4-multimodal-instruct",
)
"""Commands that make the stand-ins, after the demo."""
SHORT = {
    "sft": "--max_steps 2 --dynamic_hd 1",
    "grpo": "--max_steps 2 --max_completion_length 48",
    "mine score": "--limit 48 --max_new_tokens 48",
    "evaluate": "--limit 8 --max_new_tokens 48",
}
"""Added to the lines that work on a stand-in: as they are printed they train for days."""


@dataclass(frozen=True)
class Step:
    """One command of a page, and the lines of output that the page prints below it."""

    page: str
    command: str
    expected: tuple[str, ...] = ()


def steps_of(page: str, text: str) -> Iterator[Step]:
    """The commands of a page in their order. A Python block is one command, with its comments as output."""
    steps: list[Step] = []
    for language, block in BLOCK.findall(text):
        if language in ("", "bash", "sh"):
            lines = (line.partition("  #")[0].strip() for line in block.replace("\\\n", " ").splitlines())
            steps += [Step(page, line) for line in lines if line]
        elif language == "python":
            outputs = tuple(re.findall(r"^.*print\(.*  # (.+)$", block, re.M))
            steps.append(Step(page, f"python -c {shlex.quote(block)}", outputs))
        elif language == "text" and steps:
            last = steps.pop()
            steps.append(Step(page, last.command, tuple(block.splitlines())))
    yield from steps


def filled_in(command: str) -> str:
    """The command with stand-ins, and shortened where it works on one."""
    words = command.split(" ")
    if words[0] != "chexphi":
        return command
    verb = " ".join(words[1:3]) if words[1] == "mine" else words[1]
    stood_in = [STAND_INS.get(word, word) for word in words]
    works_on_stand_in = stood_in != words or any(word.startswith("data/mimic") for word in words)
    return " ".join(stood_in + ([SHORT[verb]] if works_on_stand_in and verb in SHORT else []))


def missing_line(expected: tuple[str, ...], output: str) -> str | None:
    """The first line of the page that the output does not have, or not after the line before it."""
    at = 0
    for line in filter(str.strip, expected):
        pattern = r"\s+".join(map(re.escape, line.split())).replace("…", ".*")
        found = re.compile(pattern).search(output, at)
        if found is None:
            return line.strip()
        at = found.end()
    return None


def run(step: Step, clone: Path, log: Path) -> str | None:
    """Run a command in the clone, its output at the end of the log; what was wrong with it, or None."""
    environment = os.environ | {
        "PATH": f"{clone / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
    }
    with log.open("a+", encoding="utf-8") as file:
        file.write(f"$ {step.command}\n")
        file.flush()
        start = file.tell()
        done = subprocess.run(
            step.command,
            shell=True,
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
        file.seek(start)
        output = file.read()
    if done.returncode:
        return f"exit code {done.returncode}"
    line = missing_line(step.expected, output)
    return None if line is None else f"the page says {line!r}, and the output does not"


def walk(clone: Path, log: Path) -> int:
    """Run all pages; the number of commands that went wrong."""
    wrong = 0
    done: set[str] = set()
    for page in PAGES:
        for step in steps_of(page, (clone / page).read_text(encoding="utf-8")):
            command = filled_in(step.command)
            if command in done:
                continue
            done.add(command)
            if command != step.command and not (clone / "stand_ins").exists():
                for line in PREPARE:
                    wrong += report(Step("stand-in", line), clone, log)
            wrong += report(Step(page, command, step.expected), clone, log)
    return wrong


def report(step: Step, clone: Path, log: Path) -> bool:
    """Run a command and say how it went; whether it went wrong."""
    begun = time.monotonic()
    trouble = run(step, clone, log)
    first_line = step.command.splitlines()[0]
    sys.stdout.write(
        f"{trouble or 'ok'}: {time.monotonic() - begun:.0f} s, {step.page}: {first_line[:110]}\n"
    )
    sys.stdout.flush()
    return trouble is not None


def main() -> int:
    """Exit code 1 if a command went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clone", type=Path, help="go on in this clone (default: a fresh one)")
    clone = parser.parse_args().clone or Path(tempfile.mkdtemp(prefix="walkthrough-")) / "chexphi"
    if not clone.exists():
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    log = clone.with_name("output.log")
    sys.stdout.write(f"clone: {clone}, all output: {log}\n")
    wrong = walk(clone.resolve(), log)
    sys.stdout.write(f"{wrong} commands went wrong\n" if wrong else "every command did what its page says\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
