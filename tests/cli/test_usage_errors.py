"""Mistyped verbs, flags and values: one line on standard error each, as for all other bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("evalute", "error: no such command 'evalute': did you mean 'evaluate'? (see `chexphi --help`)"),
        (
            "data chek f.json",
            "error: data: no such command 'chek': did you mean 'check'? (see `chexphi data --help`)",
        ),
        (
            "data check f.json --limt 3",
            "error: data check: no such option: --limt: did you mean --limit? (see",
        ),
        (
            "data check f.json --limit x",
            "error: data check: invalid value for '--limit': ",
        ),
        ("compare a", "error: compare: missing argument 'second_run' (see `chexphi compare --help`)"),
        ("sft --modle x", "error: sft: unknown flag --modle: did you mean --model?"),
        (
            "sft --rewards format",
            "error: sft: --rewards is a setting of grpo, plan, data check, rewards score, rewards probe and "
            "rewards agree: leave it out of sft\n",
        ),
        (
            "sweep --learning-rate 1",
            "error: sweep: --learning_rate is a setting of sft, grpo and plan: in the sweep's YAML, write ",
        ),
        (
            "evaluate --config configs/grpo_acc.yaml",
            "error: configs/grpo_acc.yaml: rewards is a setting of grpo, plan, ",
        ),
        ("plan --samples 3", "error: plan: --samples is a setting of mine score: leave it out of plan\n"),
        (
            "mine select a b --out c --samples 3",
            "error: mine select: --samples is a setting of mine score: leave it out (see",
        ),
        ("sft --data", "error: sft: --data: expected one argument (see"),
    ],
)
def test_a_mistyped_command_line_is_one_line(words: str, line: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "chexphi", *words.split()], capture_output=True, text=True, cwd=ROOT
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(line)
    assert ended.stderr.count("\n") == 1


def test_verbs_alone_show_their_help() -> None:
    ended = subprocess.run([sys.executable, "-m", "chexphi", "data"], capture_output=True, text=True)
    assert "Usage: chexphi data" in ended.stdout + ended.stderr
    assert ended.returncode == 2
