"""Ctrl-C, SIGTERM and a closed terminal: the first saves and ends with its code, a second Ctrl-C at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from killed_runs import begin, command, end, lines, wait_until
from pseudo_terminal import OnTerminal

from chexphi.runs.stop import AGAIN_SECONDS, EXIT_CODE, PreemptedError, Stop
from chexphi.training.recovery.checkpoints import newest

NAMES = [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")]


def interrupted(
    argv: list[str], out: Path, happened: Callable[[], bool], *, number: int = signal.SIGINT
) -> tuple[int, str]:
    """Exit code and words of a run that is sent a signal once something has happened."""
    said = out.with_suffix(".txt")
    process = begin([*argv, "--out", str(out)], said)
    assert wait_until(process, happened), said.read_text()
    assert process.pid is not None
    os.kill(process.pid, number)
    return end(process, 60), said.read_text()


@pytest.mark.parametrize("verb", ["sft", pytest.param("grpo", marks=pytest.mark.faults)])
def test_ctrl_c_saves_and_says_so_once(
    tiny_model_dir: Path, subsets: Path, tmp_path: Path, verb: str
) -> None:
    out = tmp_path / "run"
    argv = command(verb, tiny_model_dir, subsets.parent, "--max_steps=400", "--save_steps=1000")
    argv.remove("--limit=10")
    code, said = interrupted(argv, out, lambda: lines(out / "metrics.jsonl") >= 1)
    assert code == EXIT_CODE, said
    assert said.count("Ctrl-C: saving at the next possible step, then ending; a second one ends at once") == 1
    assert "Traceback" not in said
    checkpoint, _ = newest(out)
    assert checkpoint is not None
    assert f"Ctrl-C: saved at step {checkpoint.step}, --resume auto goes on" in said


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["evaluate"], "predictions.jsonl"),
        (["mine", "score"], "scored.jsonl"),
    ],
)
@pytest.mark.faults
def test_ctrl_c_keeps_the_rows_that_are_written(
    tiny_model_dir: Path, subsets: Path, tmp_path: Path, words: list[str], rows: str
) -> None:
    out, data = tmp_path / "run", subsets / "pool" / "train.json"
    argv = [*words, "--model", str(tiny_model_dir), "--data", str(data), "--batch_size=1"]
    code, said = interrupted([*argv, "--max_new_tokens=400"], out, lambda: lines(out / rows) >= 1)
    assert code == EXIT_CODE, said
    assert said.count("Ctrl-C: ending; the rows that are written are kept, and --resume auto goes on") == 1
    assert "Traceback" not in said
    written = (out / rows).read_bytes()
    assert written.endswith(b"\n")
    again = [*argv, "--max_new_tokens=400", "--resume", "--out", str(out)]
    assert end(begin(again, tmp_path / "again")) == 0, (tmp_path / "again").read_text()
    assert (out / rows).read_bytes().startswith(written)
    assert lines(out / rows) == 12


def test_a_terminals_ctrl_c_ends_the_demo_and_its_stages(tmp_path: Path) -> None:
    """It goes to the whole process group; the stages have groups of their own."""
    out, said = tmp_path / "demo", tmp_path / "said.txt"
    with said.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "chexphi", "demo", "--quick", "--out", str(out)],
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        until = time.monotonic() + 120
        while not (out / "sight" / "run.lock").exists() and time.monotonic() < until:
            time.sleep(0.02)
            assert demo.poll() is None, said.read_text()
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(60) == EXIT_CODE, said.read_text()
    assert said.read_text().count("Ctrl-C: ending; finished stages are kept, and --resume auto goes on") == 1
    assert "Traceback" not in said.read_text()
    stage = int((out / "sight" / "run.lock").read_text().split('"pid": ')[1].split(",")[0])
    with pytest.raises(ProcessLookupError):
        os.kill(stage, 0)
    assert not (out / "sight" / "model").exists()


def handled(stop: Stop, *signals: int) -> str:
    for number in signals:
        os.kill(os.getpid(), number)
        time.sleep(0)  # Python runs the handler between two lines
    return stop.signal_name


@pytest.mark.parametrize(("number", "name"), NAMES)
def test_a_signal_is_a_request_once_steps_have_begun(
    number: int, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(one) for one, _ in NAMES]
    stop = Stop()
    with stop:
        stop.steps_begin()
        assert handled(stop, number) == name
    assert [signal.getsignal(one) for one, _ in NAMES] == before
    assert f"{name}: saving at the next possible step" in capfd.readouterr().err
    with stop:
        assert stop.signal_name == ""


@pytest.mark.parametrize(("number", "name"), NAMES)
def test_a_stage_without_steps_ends_at_once(
    number: int, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    stop = Stop()
    with pytest.raises(PreemptedError) as caught, stop.keeping("all is kept"):
        handled(stop, number)
    assert caught.value.code == EXIT_CODE
    assert capfd.readouterr().err == f"\n{name}: ending; all is kept\n"


SECOND = """
import os, signal, sys, time
from chexphi.runs.stop import STOP
with STOP:
    STOP.steps_begin()
    for number in sys.argv[1].split():
        os.kill(os.getpid(), int(number))
    print("goes on", flush=True)
"""


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ((signal.SIGINT,), 0),
        ((signal.SIGINT, signal.SIGINT), -signal.SIGINT),  # a hurried user
        ((signal.SIGTERM, signal.SIGTERM), 0),  # a launcher that hands on what it got itself
        ((signal.SIGINT, signal.SIGTERM), 0),
        ((signal.SIGTERM, signal.SIGINT), 0),
        ((signal.SIGINT, signal.SIGHUP), 0),  # asked to stop, then closed the terminal
        ((signal.SIGHUP, signal.SIGHUP), 0),  # of the shell and of the kernel
    ],
)
def test_which_second_signal_ends_at_once(signals: tuple[int, ...], code: int) -> None:
    assert AGAIN_SECONDS > 0.5
    words = " ".join(str(int(number)) for number in signals)
    found = subprocess.run([sys.executable, "-c", SECOND, words], capture_output=True, check=False)
    assert found.returncode == code
    assert (found.stdout == b"goes on\n") == (code == 0)


def test_a_request_to_stop_holds_however_late_the_terminal_is_closed() -> None:
    late = SECOND.replace("STOP.steps_begin()", "STOP.steps_begin(); STOP._signal_time = -1e9")
    late = late.replace("os.kill(os", "STOP._signal_time = -1e9; os.kill(os")
    for signals, code in (((signal.SIGINT, signal.SIGHUP), 0), ((signal.SIGINT, signal.SIGTERM), -15)):
        words = " ".join(str(int(number)) for number in signals)
        assert subprocess.run([sys.executable, "-c", late, words], capture_output=True).returncode == code


def test_nohup_stays_in_force() -> None:
    code = SECOND.replace("with STOP:", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nwith STOP:")
    done = subprocess.run(
        [sys.executable, "-c", code, str(int(signal.SIGHUP))], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("goes on\n", "")


def test_a_second_ctrl_c_leaves_the_cursor_visible() -> None:
    """A bar hides it, and would show it again only at its own end."""
    bar = (
        "from chexphi.runs.progress_display import ProgressDisplay\nwith ProgressDisplay('sft', 2, 'steps'), "
    )
    two = f"{int(signal.SIGINT)} {int(signal.SIGINT)}"
    stopped = OnTerminal([sys.executable, "-c", SECOND.replace("with ", bar), two])
    shown = stopped.shown()
    assert stopped.process.wait() == -signal.SIGINT
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_closed_terminal_saves(tiny_model_dir: Path, subsets: Path, tmp_path: Path) -> None:
    """A real one: no line can be written any more, neither the bar's nor the last."""
    out = tmp_path / "run"
    argv = command("sft", tiny_model_dir, subsets.parent, "--max_steps=400", "--save_steps=1000")
    argv.remove("--limit=10")
    run = OnTerminal([sys.executable, "-m", "chexphi", *argv, "--out", str(out)])
    run.close_when(lambda: lines(out / "metrics.jsonl") >= 1)
    assert run.process.wait(60) == EXIT_CODE, (out / "train.log").read_text()
    checkpoint, _ = newest(out)
    assert checkpoint is not None
    log = (out / "train.log").read_text()
    assert f"SIGHUP: saved at step {checkpoint.step}, --resume auto goes on" in log
    assert "Traceback" not in log
