"""What commands show on a terminal is ours, line by line; what libraries say is in `train.log`.

Here a pseudo-terminal stands for the terminal. `test_nothing_gets_out.py` looks at the same lines in files.
"""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from terminal_lines import foreign, lines_of

from chexphi.runs import library_records
from chexphi.runs.library_records import ON_TERMINAL, is_installed, line_of

MANY = """
import shlex, sys
from chexphi.cli import main
for line in filter(str.strip, sys.stdin):
    sys.argv = ["chexphi", *shlex.split(line)]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (line, end.code)
"""
SMALL = "--max_steps 2 --lora_rank 4 --lora_alpha 8 --per_device_train_batch_size 4 --logging_steps 1"


def on_a_terminal(commands: str, folder: Path, *, columns: int) -> str:
    """Run commands in one process whose standard error is a terminal of so many columns; what it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", MANY],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "OMP_NUM_THREADS": "1"},
    )
    os.close(theirs)
    assert process.stdin is not None
    process.stdin.write(commands.encode())
    process.stdin.close()
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0, shown.decode()
    return shown.decode()


def test_every_line_on_a_terminal_is_ours(tmp_path: Path, tiny_model_dir: Path, subsets: Path) -> None:
    data = subsets / "hard_uniform" / "12.json"
    film = next((subsets.parent / "images").rglob("*.png"))
    shown = on_a_terminal(
        f"""sft --model {tiny_model_dir} --data {data} {SMALL} --out sft
        grpo --model sft/model --data {data} {SMALL} --num_generations 2 --max_completion_length 6 --out grpo
        evaluate --model grpo/model --data {data} --max_new_tokens 6 --batch_size 6 --out evaluated
        mine score --model sft/model --data {data} --samples 2 --max_new_tokens 6 --out mined
        checkpoint merge grpo/model merged
        checkpoint export {tiny_model_dir} exported
        checkpoint import exported imported
        ask grpo/model {film} "Is there an effusion?" --max-new-tokens 6
        report evaluated grpo --out report.html
        """,
        tmp_path,
        columns=80,
    )
    assert foreign(shown) == []
    lines = list(lines_of(shown))
    assert max(len(line) for line in lines if not line.startswith("next: ")) <= 80
    assert any("2/2 steps" in line for line in lines)
    assert any(line.startswith("loss") and "graph F1" in line for line in lines)
    assert any("12/12 questions" in line for line in lines)
    assert "py.warnings" in (tmp_path / "grpo" / "train.log").read_text()  # PEFT's, of a tied lm_head


def record(name: str, level: int, path: str, **extra: object) -> logging.LogRecord:
    made = logging.getLogger(name).makeRecord(name, level, path, 1, "a sentence", (), None)
    made.__dict__.update(extra)
    return made


LIBRARY, OURS, REWARD = logging.__file__, library_records.__file__, "/home/someone/rewards.py"


@pytest.mark.parametrize(
    ("name", "level", "path", "extra", "line"),
    [
        ("chexphi.training.grpo", logging.INFO, OURS, {}, None),
        ("chexphi.training.grpo", logging.INFO, OURS, ON_TERMINAL, "a sentence"),
        ("chexphi.training.grpo", logging.WARNING, OURS, {}, "warning: a sentence"),
        ("chexphi.training.grpo", logging.ERROR, OURS, {}, "error: a sentence"),
        ("transformers.trainer", logging.WARNING, LIBRARY, {}, None),
        ("transformers.trainer", logging.ERROR, LIBRARY, {}, "transformers: a sentence"),
        ("rewards", logging.INFO, REWARD, {}, "INFO rewards: a sentence"),  # what it says is the user's wish
        ("transformers.trainer", logging.WARNING, REWARD, {}, "WARNING transformers.trainer: a sentence"),
    ],
)
def test_what_the_terminal_shows_of_a_record(
    name: str, level: int, path: str, extra: dict[str, bool], line: str | None
) -> None:
    assert line_of(record(name, level, path, **extra)) == line


def test_code_of_the_user_is_told_from_libraries() -> None:
    assert is_installed(logging.__file__)
    assert is_installed(pytest.__file__)
    assert is_installed(library_records.__file__)
    assert is_installed("<frozen importlib>")
    assert not is_installed(REWARD)
    assert not is_installed(__file__)


def test_the_users_own_warning_stays_on_the_terminal(tmp_path: Path) -> None:
    reward = tmp_path / "reward.py"
    reward.write_text("import warnings\nwarnings.warn('of the reward')\n")
    script = f"""
import runpy, warnings
from chexphi.runs import library_records
library_records.take()
runpy.run_path({str(reward)!r})
import logging.handlers
warnings.warn_explicit("of a library", FutureWarning, logging.__file__, 7)
print(library_records.without_log())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "UserWarning: of the reward" in done.stderr
    assert "of a library" not in done.stderr
    assert f"{logging.__file__}, line 7: FutureWarning: of a library" in done.stdout


def test_a_traceback_comes_with_what_no_log_has(tmp_path: Path) -> None:
    script = """
import sys, logging
sys.argv = ["chexphi", "report", "nowhere", "--out", "r.html"]
import chexphi.report.build as build
def broken(*arguments, **options):
    logging.getLogger("transformers").warning("seen before the crash", stacklevel=1)
    raise ZeroDivisionError("a bug of ours")
build.build_from_runs = broken
from chexphi.cli import main
main()
"""
    module = tmp_path / "site-packages" / "crash.py"  # so that the record counts as a library's
    module.parent.mkdir()
    module.write_text(script)
    done = subprocess.run(
        [sys.executable, str(module)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.rstrip().endswith("ZeroDivisionError: a bug of ours")
    assert "transformers: seen before the crash" in done.stderr


def test_records_that_wait_outlive_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "train.log").symlink_to("/dev/full")
    script = f"""
import logging, pathlib
from chexphi.runs import library_records, run_folder
library_records.take()
log = logging.getLogger("transformers")
for number in range(3):
    log.handle(log.makeRecord(log.name, logging.WARNING, logging.__file__, 7, f"record {{number}}", (), None))
run_folder.log_to(pathlib.Path({str(tmp_path)!r}))
print(library_records.without_log())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "['transformers: record 1', 'transformers: record 2']\n"
    warning = f"warning: {tmp_path}/train.log cannot be written (No space left on device)"
    assert done.stderr == f"{warning}: the run goes on without it\n"
