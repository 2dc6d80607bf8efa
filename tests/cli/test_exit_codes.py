"""The table of exit codes on the page is complete, and each code is what a real process ends with."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHEXPHI = [sys.executable, "-m", "chexphi"]


def done() -> int:
    return subprocess.run([*CHEXPHI, "--version"], capture_output=True).returncode


def reader_has_gone() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*CHEXPHI, "kg", "show", "Clear lungs.", "--json"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    return ended.returncode


def bad_path() -> int:
    return subprocess.run([*CHEXPHI, "data", "check", "nowhere.json"], capture_output=True).returncode


def unknown_option() -> int:
    return subprocess.run([*CHEXPHI, "data", "check", "--nowhere"], capture_output=True).returncode


def signals_as_on_a_terminal() -> None:
    """Also where the tests run under `nohup` or in the background, which ignore some."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def signalled(command: list[str], number: int, begun: Callable[[], bool], variables: dict[str, str]) -> int:
    """The code of a process that gets a signal once its work has begun, as a shell shows it."""
    process = subprocess.Popen(
        [*CHEXPHI, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | variables,
        preexec_fn=signals_as_on_a_terminal,
    )
    while not begun():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    code = process.wait()
    assert process.stdin is not None
    process.stdin.close()
    return code if code >= 0 else 128 - code


def stopped_with_work(folder: Path) -> int:
    command = ["demo", "--quick", "true", "--out", str(folder / "demo")]
    return signalled(command, signal.SIGTERM, (folder / "demo" / "manifest.json").exists, {})


def stopped(folder: Path, number: int) -> int:
    """While it reads standard input; the temporary file is removed."""
    variables = {"TMPDIR": str(folder)}
    code = signalled(["rewards", "score", "-"], number, lambda: any(folder.glob("chexphi-*")), variables)
    assert list(folder.iterdir()) == []
    return code


def test_every_code_of_the_table_is_produced(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)}
    one, two, three, four = (tmp_path / name for name in "abcd")
    for folder in (one, two, three, four):
        folder.mkdir()
    produced = {
        done(): "done",
        reader_has_gone(): "the reader of a pipe has gone",
        bad_path(): "a bad path",
        unknown_option(): "an unknown option",
        stopped_with_work(one): "SIGTERM",
        stopped(two, signal.SIGINT): "Ctrl-C",
        stopped(three, signal.SIGTERM): "SIGTERM while reading",
        stopped(four, signal.SIGHUP): "a closed terminal while reading",
    }
    assert produced.keys() == codes == {0, 1, 2, 75, 129, 130, 143}
    assert produced[2] == "an unknown option"  # as the bad path


@pytest.mark.parametrize("page", ["cluster.md", "sweeps.md"])
def test_other_pages_have_no_other_codes(page: str) -> None:
    section = (ROOT / "docs" / page).read_text(encoding="utf-8").split("| exit code | meaning |")[1]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", section.split("\n\n")[0], re.M)}
    assert codes <= {0, 1, 2, 75, 129, 130, 143}


def test_help_points_to_the_page() -> None:
    shown = subprocess.run([*CHEXPHI, "--help"], capture_output=True, text=True, check=True).stdout
    assert "docs/command_line.md" in shown
