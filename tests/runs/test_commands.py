"""The command of a run: with the launcher that started it, so that it can be typed again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from several_processes import accelerate, side_by_side, torchrun

from chexphi.runs import readme
from chexphi.runs.commands import resume_command
from chexphi.watch.run_state import state_of

WRITE = """
import json, os, pathlib, sys
from chexphi.runs.commands import own_command
pathlib.Path(sys.argv[-1], os.environ["RANK"] + ".json").write_text(json.dumps(own_command()))
"""
WORDS = ["grpo", "--name", "a b", "--overwrite", "--out"]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "chexphi"
    path.write_text(WRITE)
    return path


def commands(folder: Path) -> list[list[str]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_torchrun_is_part_of_the_command(script: Path, tmp_path: Path) -> None:
    done = torchrun(2, script, *WORDS, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = commands(tmp_path)
    assert first == second
    assert first[1:] == [
        "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script), *WORDS,
        str(tmp_path),
    ]  # fmt: skip
    again = resume_command(first, tmp_path, process_count=2)
    assert again == shlex.join([*(word for word in first if word != "--overwrite"), "--resume", "auto"])


def test_accelerate_launch_is_part_of_the_command(script: Path, tmp_path: Path) -> None:
    done = accelerate("--multi_gpu", "--num_processes", 2, script, *WORDS, tmp_path)
    assert done.returncode == 0, done.stderr
    for command in commands(tmp_path):
        assert command[1:6] == ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]


def test_a_launcher_that_is_not_known_is_in_capitals(script: Path, tmp_path: Path) -> None:
    """As under `srun`: the process that started these has other words."""
    side_by_side([script, *WORDS, tmp_path], [script, *WORDS, tmp_path])
    command = commands(tmp_path)[0]
    assert command == ["chexphi", *WORDS, str(tmp_path)]
    again = f"LAUNCHER -m chexphi grpo --name 'a b' --out {tmp_path} --resume auto"
    assert resume_command(command, tmp_path, process_count=2) == again
    start: dict[str, Any] = {"command": command, "processes": 2, "stage": "grpo"}
    assert f"`LAUNCHER` is what starts 2 processes.\n\n```\n{again}" in readme.text(
        "grpo", start, {}, tmp_path
    )
    (tmp_path / "manifest.json").write_text(json.dumps(start))
    assert state_of(tmp_path).resume == again
