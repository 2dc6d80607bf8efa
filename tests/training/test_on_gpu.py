"""What only a GPU shows, on one: `make test-gpu`. All other tests run on the CPU there, too."""

from __future__ import annotations

import importlib.util
import json
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from killed_runs import begin, command, end, lines, same, wait_until
from several_processes import accelerate, replay, table_of, torchrun
from two_processes import CONFIGS, REPLAY, rows_of, weights_of

from chexphi.data.read import read_examples
from chexphi.runs.stop import EXIT_CODE
from chexphi.training import grpo
from chexphi.training.recovery.checkpoints import newest

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

LORA = ["--trainable=vision_lora+lm_head", "--lora_rank=4", "--lora_alpha=8"]
REPLAYED = [
    "--learning_rate=1e-3", "--num_generations=4", "--max_completion_length=64", "--max_steps=3",
    "--disable_tqdm=true", "--save_strategy=no", "--per_device_train_batch_size=4", "--beta=0.1",
    "--dtype=float32", "--bf16=false",
]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("grpo", ["--save_steps=2", "--num_iterations=2", "--full_determinism=true"]),
        ("grpo", ["--save_steps=2", "--num_iterations=2", "--dtype=bfloat16", *LORA]),
        ("sft", ["--save_steps=2", "--limit=24", "--dtype=bfloat16", *LORA]),
    ],
)
def test_kills_leave_no_trace_on_a_gpu(
    tiny_model_dir: Path, films: Path, tmp_path: Path, verb: str, flags: list[str]
) -> None:
    """Two whole runs are the same to the bit, and so is one that was killed three times."""
    argv = command(verb, tiny_model_dir, films, *flags, "--max_steps=12")
    whole, again, torn, said = (tmp_path / name for name in ("whole", "again", "torn", "said.txt"))
    for out in (whole, again):
        assert end(begin([*argv, "--out", str(out)], said)) == 0, said.read_text()[-2000:]
    same(whole, again)
    chance, rows = random.Random(0), lines(whole / "metrics.jsonl")
    for kill in range(3):
        process = begin([*argv, "--out", str(torn), "--resume", "auto"], said)
        wait_until(process, lambda row=rows * (kill + 1) // 5: lines(torn / "metrics.jsonl") >= row)
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        assert end(process) == -signal.SIGKILL, said.read_text()[-2000:]
    assert end(begin([*argv, "--out", str(torn), "--resume", "auto"], said)) == 0, said.read_text()[-2000:]
    same(whole, torn)


def test_sigterm_on_a_gpu(tiny_model_dir: Path, films: Path, tmp_path: Path) -> None:
    argv = command("grpo", tiny_model_dir, films, "--max_steps=400", "--save_steps=400")
    out, said = tmp_path / "run", tmp_path / "said.txt"
    process = begin([*argv, "--out", str(out)], said)
    assert wait_until(process, lambda: lines(out / "metrics.jsonl") >= 1), said.read_text()[-2000:]
    process.terminate()
    assert end(process, 30) == EXIT_CODE, said.read_text()[-2000:]
    checkpoint, skipped = newest(out)
    assert checkpoint is not None
    assert not skipped


@pytest.mark.parametrize("bf16", [False, True])
def test_a_shared_pass_on_a_gpu(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bf16: bool
) -> None:
    """The same log-probabilities and weights as a pass for each completion."""
    replay(table_of([example.question for example in read_examples(pool)]), monkeypatch)
    kind = ["--dtype=bfloat16", "--bf16=true"] if bf16 else []
    outs = [tmp_path / "true", tmp_path / "false"]
    for out in outs:
        argv = ["--model", str(tiny_model_dir), "--data", str(pool), *REPLAYED, *kind, *LORA]
        grpo.main(*grpo.parse([*argv, "--out", str(out), f"--share_prefix={out.name}"]))
    near = 0.05 if bf16 else 1e-4
    for first, second in zip(*map(rows_of, outs), strict=True):
        assert first.token_ids == second.token_ids
        assert first.per_token_logps == pytest.approx(second.per_token_logps, abs=near)


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero2", "zero3"])
@pytest.mark.parametrize("trainable", ["all", "vision_lora"])
def test_launcher_configs_on_a_gpu(
    tiny_model_dir: Path,
    pool: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    trainable: str,
) -> None:
    """One process under each launcher config trains as one without a launcher."""
    if name.startswith("zero") and importlib.util.find_spec("deepspeed") is None:
        pytest.skip("deepspeed is not installed")
    table = table_of([example.question for example in read_examples(pool)])
    (tmp_path / "table.json").write_text(json.dumps(table))
    argv = ["--model", str(tiny_model_dir), "--data", str(pool), *REPLAYED, f"--trainable={trainable}"]
    plain, launched = tmp_path / "plain", tmp_path / "launched"
    with monkeypatch.context() as patch:
        replay(table, patch)
        grpo.main(*grpo.parse([*argv, "--out", str(plain)]))
    done = accelerate(
        "--config_file", CONFIGS / f"{name}.yaml", "--num_processes", 1,
        REPLAY, "--table", tmp_path / "table.json", *argv, "--out", launched,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    for first, second in zip(rows_of(plain), rows_of(launched), strict=True):
        assert (first.id, first.token_ids, first.rewards) == (second.id, second.token_ids, second.rewards)
        assert first.per_token_logps == pytest.approx(second.per_token_logps, abs=1e-4)
    left, right = (weights_of(out / "model") for out in (plain, launched))
    assert left.keys() == right.keys()
    for key, tensor in left.items():
        assert (tensor - right[key]).abs().max() < 0.01, key


def test_more_processes_than_gpus(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    number = torch.cuda.device_count() + 1
    argv = ["grpo", "--model", tiny_model_dir, "--data", pool, "--out", tmp_path / "run"]
    done = torchrun(number, "-m", "chexphi", *argv)
    assert done.returncode == 1  # torchrun's own
    assert done.stderr.count(f"{number} processes were started on a machine with {number - 1} GPU") == 1
    assert not (tmp_path / "run").exists()
