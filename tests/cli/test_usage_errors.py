"""Mistyped verbs, flags and values: one line on standard error each, as for all other bad input."""

from __future__ import annotations

import subprocess
import sys

import pytest


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
    ],
)
def test_a_mistyped_command_line_is_one_line(words: str, line: str) -> None:
    ended = subprocess.run([sys.executable, "-m", "chexphi", *words.split()], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(line)
    assert ended.stderr.count("\n") == 1


def test_verbs_alone_show_their_help() -> None:
    ended = subprocess.run([sys.executable, "-m", "chexphi", "data"], capture_output=True, text=True)
    assert "Usage: chexphi data" in ended.stdout + ended.stderr
    assert ended.returncode == 2
