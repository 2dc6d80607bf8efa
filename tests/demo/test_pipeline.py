"""What holds the stages of a loop together: a dead runner leaves no stage behind, a bad one is reported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chexphi.demo.runner import Runner, done_of
from chexphi.demo.settings import Settings, limited
from chexphi.demo.stages import Stage
from chexphi.runs import child, run_folder
from chexphi.schema import InputError

STAGE = "from chexphi.runs.child import end_with_parent as e; import time; e(); print('up', flush=True); "


def start(code: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | environment,
    )


def test_a_stage_ends_when_its_runner_is_gone() -> None:
    stage = start(STAGE + "time.sleep(120)", {child.FOLLOW_STDIN: "1"})
    assert stage.stdin is not None and stage.stdout is not None  # noqa: PT018
    assert stage.stdout.readline() == b"up\n"
    assert stage.poll() is None
    stage.stdin.close()  # what the kernel does for a killed runner
    assert stage.wait(timeout=60) == 1


def test_a_command_of_ones_own_does_not_care_about_its_input() -> None:
    command = start(STAGE + "time.sleep(1)", {})
    command.communicate()
    assert command.returncode == 0


@pytest.mark.parametrize(
    ("unit", "steps", "done"),
    [
        ("steps", [], 0),
        ("steps", [1, 2, 2], 2),
        ("steps", [9], 2),
        ("questions", [0, 0], 2),
        ("questions", [0] * 5, 2),
    ],
)
def test_a_bar_ends_where_its_stage_does(unit: str, steps: list[int], done: int) -> None:
    assert done_of(Stage("a", ("sft",), {}, "model", "m.jsonl", 2, unit), steps) == done


def test_a_failed_stage_names_its_log(tmp_path: Path) -> None:
    stage = Stage("sft", ("sft",), {"model": str(tmp_path), "data": "nowhere.json"}, "model", "m.jsonl", 1)
    run_folder.log_to(tmp_path)
    runner = Runner(tmp_path, workers=1)
    failed = pytest.raises(InputError, match=r"stage sft failed with exit code 2: its log is .*sft\.log")
    with failed, runner:
        runner.run(stage)
    assert "stage sft failed with exit code 2" in (tmp_path / "train.log").read_text()
    assert "is not a model folder" in (tmp_path / "sft.log").read_text()


def test_a_stage_that_waits_for_its_turn_has_no_settings_yet(tmp_path: Path) -> None:
    """By them `chexphi watch` tells that it is starting."""
    stage = Stage("sft", ("sft",), {"model": str(tmp_path), "data": "nowhere.json"}, "model", "m.jsonl", 1)
    failed = pytest.raises(InputError, match="failed with exit code 2")
    with failed, Runner(tmp_path, workers=1) as runner, ThreadPoolExecutor() as pool:
        with runner._slots:  # as another stage has it
            run = pool.submit(runner.run, stage)
            time.sleep(0.5)
            assert runner.progress.tasks
            assert not (tmp_path / "sft.yaml").exists()
        run.result()
    assert (tmp_path / "sft.yaml").exists()


def test_a_limit_cuts_the_test_and_nothing_else() -> None:
    assert limited(Settings(), None) == Settings()
    assert limited(Settings(), 7).test_examples == 7
    assert limited(Settings(), 7).sft_steps == Settings().sft_steps
    with pytest.raises(InputError, match="limit is 0"):
        limited(Settings(), 0)
