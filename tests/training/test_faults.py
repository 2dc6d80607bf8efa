"""Long runs that are killed, cut and pre-empted at random: `make test-faults`."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_runs import begin, command, end, lines, same, wait_until

from chexphi.runs.stop import EXIT_CODE
from chexphi.training.recovery.checkpoints import newest

pytestmark = pytest.mark.faults

LORA = ["--trainable=vision_lora+lm_head", "--lora_rank=4", "--lora_alpha=8", "--dtype=bfloat16"]


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("grpo", ["--save_steps=1"]),
        ("grpo", ["--save_steps=3", "--num_iterations=2", "--save_total_limit=2"]),
        ("grpo", ["--save_steps=2", "--gradient_accumulation_steps=3"]),  # epochs end within a step
        ("grpo", ["--save_steps=2", "--num_iterations=2", *LORA]),
        ("grpo", ["--save_steps=3", "--dynamic_sample=false", "--limit=12", "--lr_scheduler_type=cosine"]),
        ("sft", ["--save_steps=1", "--limit=24"]),
        ("sft", ["--save_steps=2", "--limit=24", "--logging_steps=4", "--save_total_limit=1", *LORA]),
    ],
)
def test_ten_kills_leave_no_trace(
    tiny_model_dir: Path, films: Path, tmp_path: Path, verb: str, flags: list[str]
) -> None:
    """More than two epochs, several steps a generation, groups of other prompts."""
    argv = command(verb, tiny_model_dir, films, *flags, "--max_steps=24")
    whole, torn, said = tmp_path / "whole", tmp_path / "torn", tmp_path / "said.txt"
    assert end(begin([*argv, "--out", str(whole)], said)) == 0, said.read_text()[-2000:]
    chance, rows = random.Random(0), lines(whole / "metrics.jsonl")
    for kill in range(10):
        process = begin([*argv, "--out", str(torn), "--resume", "auto"], said)
        if kill % 4 < 3:  # in a step, or while it is saved
            wait_until(process, lambda row=rows * kill // 12 + 1: lines(torn / "metrics.jsonl") >= row)
            time.sleep(chance.uniform(0, 0.1 if verb == "sft" else 0.4))
        else:  # while it begins
            time.sleep(chance.uniform(0, 1.2))
        assert process.is_alive(), said.read_text()[-2000:]
        process.kill()
        assert end(process) == -signal.SIGKILL
    assert end(begin([*argv, "--out", str(torn), "--resume", "auto"], said)) == 0, said.read_text()[-2000:]
    same(whole, torn)


def test_twenty_cuts(tiny_model_dir: Path, films: Path, tmp_path: Path) -> None:
    """Any file of the newest checkpoint, at any byte; each time the run goes on from the one before."""
    argv = command("grpo", tiny_model_dir, films, "--max_steps=8", "--save_steps=2")
    whole, said = tmp_path / "whole", tmp_path / "said.txt"
    assert end(begin([*argv, "--out", str(whole)], said)) == 0, said.read_text()[-2000:]
    names = sorted(path.name for path in (whole / "checkpoint-8").iterdir())
    chance = random.Random(0)
    for cut in range(20):
        out = shutil.copytree(whole, tmp_path / f"cut{cut}")
        shutil.rmtree(out / "model")
        file = out / "checkpoint-8" / names[cut % len(names)]
        os.truncate(file, chance.randrange(file.stat().st_size))
        said = tmp_path / f"said{cut}.txt"
        assert end(begin([*argv, "--out", str(out), "--resume", "auto"], said)) == 0, said.read_text()
        assert f"checkpoint-8 is skipped: its {file.name}" in said.read_text()
        assert f"the run goes on from {out / 'checkpoint-6'}" in (out / "train.log").read_text()
        same(whole, out)
        shutil.rmtree(out)


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.9, 1.7])
def test_sigterm_to_the_command_itself(
    tiny_model_dir: Path, films: Path, tmp_path: Path, seconds: float
) -> None:
    """In a long step: 64 completions of 300 tokens, of films, and the passes that read them."""
    long = ["--per_device_train_batch_size=32", "--limit=24", "--max_completion_length=300", "--beta=0.1"]
    never = ["--generation_kwargs", '{"min_new_tokens": 300}', "--max_steps=40", "--save_steps=40"]
    argv = command("grpo", tiny_model_dir, films, *long, *never, "--steps_per_generation=2")
    out = tmp_path / "run"
    with (tmp_path / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "chexphi", *argv, "--out", str(out), "--dynamic_sample=false"],
            stdout=said,
            stderr=said,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])},
        )
    while process.poll() is None and lines(out / "metrics.jsonl") < 1:
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(30) == EXIT_CODE, (tmp_path / "said.txt").read_text()[-2000:]
    print(f"ended {time.monotonic() - began:.1f} s after SIGTERM")  # noqa: T201
    checkpoint, skipped = newest(out)
    assert checkpoint is not None
    assert not skipped
    assert lines(out / "metrics.jsonl") == checkpoint.step
    assert lines(out / "completions.jsonl") == 64 * checkpoint.step
