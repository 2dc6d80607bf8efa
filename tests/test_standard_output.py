"""Standard output that is full, closed or no longer read, and Ctrl-C: one line, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHEXPHI = [sys.executable, "-m", "chexphi"]
FULL = Path("/dev/full")
INTERRUPTED_IMPORT = """
import sys
class Interrupt:
    def find_spec(self, name, *rest):
        if name == "chexphi.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from chexphi.__main__ import main
main()
"""


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"There is an effusion of {number} mm.\n" for number in range(300)))
    return file


def words(texts: Path) -> dict[str, list[str]]:
    return {
        "lines": ["kg", "extract", str(texts), "--one-per-line", "--out", "-"],
        "object": ["kg", "show", "A small effusion.", "--json"],
        "table": ["kg", "show", "A small effusion."],
        "help": ["kg", "--help"],
    }


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("kind", ["lines", "object", "table", "help"])
def test_a_full_standard_output_is_one_sentence(texts: Path, kind: str, unbuffered: str) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [*CHEXPHI, *words(texts)[kind]],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: standard output cannot be written (No space left on device): make room")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_full_standard_error_loses_messages_only(texts: Path) -> None:
    with FULL.open("w") as full:
        done = subprocess.run([*CHEXPHI, *words(texts)["lines"]], stdout=subprocess.PIPE, stderr=full)
        refused = subprocess.run([*CHEXPHI, "data", "check", "nowhere.json"], stderr=full)
    assert (done.returncode, done.stdout.count(b"\n"), refused.returncode) == (0, 300, 2)


def test_a_reader_that_has_gone_is_no_error_of_ours(texts: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*CHEXPHI, *words(texts)["lines"]], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


def test_lines_need_a_standard_output(texts: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *CHEXPHI, *words(texts)["lines"]], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: --out is '-', and standard output is closed: name a file for --out"
    )


def test_ctrl_c_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["data", "phantom", "--out", str(out), "--train", "9000", "--workers", "2"]
    verb = subprocess.Popen(
        [*CHEXPHI, *command],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background job ignores it
    )
    while not (tmp_path / "out.part").exists():
        assert verb.poll() is None
        time.sleep(0.05)
    verb.send_signal(signal.SIGINT)
    said = verb.communicate()[1]
    assert verb.returncode == 130
    assert said.splitlines()[-1] == "Ctrl-C: ended"
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_the_command_line_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Ctrl-C: ended\n")
