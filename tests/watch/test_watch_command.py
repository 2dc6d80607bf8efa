"""`chexphi watch` as a user types it: on a terminal until the run ends, once, and as JSON; without torch."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from terminal_lines import lines_of
from typer.testing import CliRunner
from watched_runs import HOLDER, finish, log, row, write_rows, write_run

from chexphi.cli import app
from chexphi.schema import InputError
from chexphi.watch.run_state import FOLLOWED

NO_TORCH = """
import sys
from chexphi.cli import main
try:
    main()
finally:
    assert not {"torch", "transformers", "trl"} & sys.modules.keys()
"""


def watch(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", NO_TORCH, "watch", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_script_gets_one_picture_or_one_object(tmp_path: Path) -> None:
    words = ["chexphi", "grpo", "--data", "d" * 60, "--model", "m" * 60]  # more than 80 columns
    out = write_run(tmp_path / "run", command=words)
    write_rows(out / "metrics.jsonl", row(1, 2.0), row(2, 4.0))
    log(out, "WARNING chexphi.training: of the run")
    picture = watch(out)  # standard output is no terminal
    assert (picture.returncode, picture.stderr) == (0, "")
    assert "2/8 steps" in picture.stdout
    assert picture.stdout.count("of the run") == 1
    assert picture.stdout.splitlines()[-2:] == [
        "to go on:", f"{' '.join(words)} --out {out} --resume auto",
    ]  # fmt: skip
    state = json.loads(watch(out, "--json").stdout)
    assert (state["stage"], state["activity"], state["done"], state["total"]) == ("grpo", "gone", 2, 8)


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    out = write_run(tmp_path / "probed", "probe")
    refused = CliRunner().invoke(app, ["watch", str(out)]).exception
    assert isinstance(refused, InputError)
    assert str(refused) == (
        f"{out} holds a run of 'probe', which cannot be followed: name one of {', '.join(FOLLOWED)}"
    )


def test_it_follows_a_run_to_its_end(tmp_path: Path) -> None:
    out = tmp_path / "run"
    ours, theirs = pty.openpty()
    watcher = subprocess.Popen(
        [sys.executable, "-m", "chexphi", "watch", str(out), "--seconds", "0.1"],
        stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "80", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = ""

    def wait_for(text: str) -> None:
        nonlocal shown
        end = time.monotonic() + 120  # only where it hangs
        while text not in shown:
            assert time.monotonic() < end, shown
            shown += os.read(ours, 4096).decode("utf-8", "replace")

    wait_for("no run has begun there yet")
    out.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    write_run(out)
    write_rows(out / "metrics.jsonl", row(1, 2.0), row(2, 4.0))
    wait_for("running")
    wait_for("2/8 steps")
    finish(out, "model/complete.json")
    holder.communicate()
    wait_for("ended")
    try:
        while os.read(ours, 4096):
            pass
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert watcher.wait() == 0
    assert any("2/8 steps" in line for line in lines_of(shown))
