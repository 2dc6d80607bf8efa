"""DeepSpeed's ZeRO on two CPU processes: `make test-deepspeed`."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands import launch
from accelerate.utils.launch import prepare_deepspeed_cmd_env
from killed_runs import lines, same
from several_processes import accelerate, started
from two_processes import CASES, CONFIGS, LORA, REPLAY, Both, run_with_uneven_films, same_runs

from chexphi.runs.stop import EXIT_CODE
from chexphi.training.recovery.checkpoints import newest

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        importlib.util.find_spec("deepspeed") is None, reason="no DeepSpeed here: make test-deepspeed"
    ),
]
STAGES = ("zero2", "zero3")
LEARN = {
    "grpo": [
        "--per_device_train_batch_size=4",
        "--num_generations=4",
        "--max_completion_length=8",
        "--beta=0.1",
    ],
    "sft": ["--per_device_train_batch_size=2"],
}


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")


def under(stage: str) -> Callable[..., Any]:
    """Starts a script on several processes under a launcher config."""

    def start(number: int, *words: object) -> Any:
        return accelerate("--config_file", CONFIGS / f"{stage}.yaml", "--num_processes", number, *words)

    return start


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("case", [*CASES, *LORA])
def test_two_processes_train_as_one(
    both: Both, tiny_model_dir: Path, policy: Path, stage: str, case: str
) -> None:
    model = policy if case in LORA else tiny_model_dir
    same_runs(*both(model, *(CASES | LORA)[case], start=under(stage)))


@pytest.mark.parametrize("stage", STAGES)
def test_films_on_one_process_alone(
    policy: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """ZeRO-3 gathers the weights of what reads films, and a process without films does not read any."""
    same_runs(*run_with_uneven_films(films, tmp_path, monkeypatch, policy, under(stage)))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("verb", LEARN)
def test_runs_that_are_killed_and_preempted_go_on(
    policy: Path, films: Path, tmp_path: Path, stage: str, verb: str
) -> None:
    """`kill -9`, then SIGTERM: the weights are the same to the bit as those of a run that was left alone."""
    data = films / "annotations" / ("pool" if verb == "grpo" else "sft") / "train.json"
    flags = ["--learning_rate=1e-3", "--disable_tqdm=true", "--save_strategy=steps", "--save_steps=2"]
    command = [
        REPLAY, verb, "--model", policy, "--data", data, *flags, *LEARN[verb], "--max_steps=10",
        "--gradient_accumulation_steps=2", "--logging_steps=1", "--resume=auto",
    ]  # fmt: skip

    def run(out: Path) -> list[subprocess.Popen[str]]:
        whole_command = [*command, "--out", out]
        return started(whole_command, whole_command, environment=environment_of(stage))

    def until(out: Path, steps: int, number: signal.Signals) -> list[int]:
        """Exit codes of a run whose processes get a signal after so many steps."""
        processes = run(out)
        while lines(out / "metrics.jsonl") < steps and all(process.poll() is None for process in processes):
            time.sleep(0.01)
        for process in processes:
            process.send_signal(number)
        return ended(processes)

    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert ended(run(whole)) == [0, 0]
    assert until(torn, 3, signal.SIGKILL) == [-signal.SIGKILL] * 2
    assert until(torn, 6, signal.SIGTERM) == [EXIT_CODE] * 2
    checkpoint, skipped = newest(torn)
    assert checkpoint is not None
    assert (checkpoint.step, skipped) == (lines(torn / "metrics.jsonl"), [])
    assert ended(run(torn)) == [0, 0]
    same(whole, torn)


def ended(processes: list[subprocess.Popen[str]]) -> list[int]:
    """Exit codes; a signal's are negative."""
    texts = [process.communicate(timeout=180) for process in processes]
    codes = [process.returncode for process in processes]
    assert 1 not in codes, texts[codes.index(1)][1][-4000:]
    return codes


def environment_of(stage: str) -> dict[str, str]:
    """What `accelerate launch` tells its processes of a config."""
    words = ["--config_file", str(CONFIGS / f"{stage}.yaml"), "--num_processes", "2", str(REPLAY)]
    args, *_ = launch._validate_launch_command(launch.launch_command_parser().parse_args(words))
    args.deepspeed_fields_from_accelerate_config = ""  # what `launch_command` adds: of a DeepSpeed file's use
    return prepare_deepspeed_cmd_env(args)[1]
