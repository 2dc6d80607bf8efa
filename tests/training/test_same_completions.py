"""The same completions with drafts and without, for any batch and number of processes, and after kills."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from alike import alike
from killed_runs import begin, end, figures, lines, same, wait_until
from safetensors.torch import load_file
from several_processes import torchrun

from chexphi.data.phantom import build as phantom
from chexphi.evaluation import evaluate
from chexphi.mining import score
from chexphi.schema import Completion
from chexphi.training import completions, grpo, sft

STEPS = 50
FLAGS = [
    "--learning_rate=1e-4", "--num_generations=4", "--max_completion_length=24", "--disable_tqdm=true",
    "--trainable=all", "--logging_steps=1",
    "--rewards", "external_r1v_acc", "external_kg_jac", "killed_runs:uneven",
]  # fmt: skip
"""The small policy earns little of the first two; the third one has a spread."""


@pytest.fixture(scope="module")
def words(tiny_model_dir: Path, films: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of `chexphi grpo` on a policy that has learnt to write, so that about half of its drafts are right."""
    data, out = films / "annotations" / "sft" / "train.json", tmp_path_factory.mktemp("trained") / "run"
    sft.main(*sft.parse([
        "--model", str(tiny_model_dir), "--data", str(data), "--out", str(out), "--learning_rate=5e-3",
        "--per_device_train_batch_size=12", "--max_steps=30", "--disable_tqdm=true", "--trainable=all",
        "--save_strategy=no",
    ]))  # fmt: skip
    return ["--model", str(out / "model"), "--data", str(data), *FLAGS]


def run(words: list[str], out: Path, *flags: str) -> Path:
    return grpo.main(*grpo.parse([*words, "--out", str(out), "--save_strategy=no", *flags]))


def rows_of(out: Path) -> list[Completion]:
    return list(completions.read(out / "completions.jsonl"))


def sampled(out: Path) -> list[tuple[object, ...]]:
    return [(row.step, row.id, row.token_ids, row.rewards) for row in rows_of(out)]


def figure(out: Path, name: str) -> list[float]:
    return [row[name] for row in figures(out) if name in row]


@pytest.mark.parametrize("steps", [12, pytest.param(STEPS, marks=pytest.mark.slow)])
def test_drafts_change_no_completion_and_no_weight(words: list[str], tmp_path: Path, steps: int) -> None:
    flags = ["--per_device_train_batch_size=8", f"--max_steps={steps}"]
    drafted = run(words, tmp_path / "drafted", *flags, "--draft_tokens=4")
    plain = run(words, tmp_path / "plain", *flags, "--draft_tokens=0")
    for name in ("completions.jsonl", "model/model.safetensors"):
        assert (drafted / name).read_bytes() == (plain / name).read_bytes()
    forwards, plain_forwards = (figure(out, "rollout/forwards") for out in (drafted, plain))
    assert len(forwards) == len(plain_forwards) == steps
    assert sum(forwards) < 0.95 * sum(plain_forwards)
    assert min(figure(drafted, "rollout/accepted")[5:]) > 0.2
    assert not any(figure(plain, "rollout/accepted"))
    weights = load_file(drafted / "model" / "model.safetensors")
    before = load_file(Path(words[1]) / "model.safetensors")
    assert any((weights[name] - before[name]).abs().max() > 2e-5 * steps for name in before)
    assert len({row.token_ids for row in rows_of(drafted)}) > steps * 6


@pytest.mark.parametrize(
    ("size", "micro_batches", "steps"),
    [(8, (1,), 3), pytest.param(64, (8, 1), STEPS, marks=pytest.mark.slow)],
)
def test_a_micro_batch_changes_no_completion(
    words: list[str], tmp_path: Path, size: int, micro_batches: tuple[int, ...], steps: int
) -> None:
    """The sums of gradients round otherwise, so that weights differ a little: too little to be sampled."""
    runs = [
        run(
            words, tmp_path / str(rows), f"--max_steps={steps}", f"--per_device_train_batch_size={rows}",
            f"--gradient_accumulation_steps={size // rows}",
        )
        for rows in (size, *micro_batches)
    ]  # fmt: skip
    assert len(sampled(runs[0])) == size * steps
    for other in runs[1:]:
        assert sampled(other) == sampled(runs[0])
        logps, other_logps = (
            sum((row.per_token_logps for row in rows_of(out)), ()) for out in (runs[0], other)
        )
        assert other_logps == pytest.approx(logps, abs=1e-2)


@pytest.mark.faults
def test_ten_kills_change_no_completion_and_no_weight(words: list[str], tmp_path: Path) -> None:
    flags = [
        "--per_device_train_batch_size=8",
        f"--max_steps={STEPS}",
        "--save_strategy=steps",
        "--save_steps=3",
    ]
    argv, said = ["grpo", *words, *flags], tmp_path / "said.txt"
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert end(begin([*argv, "--out", str(whole)], said)) == 0, said.read_text()[-2000:]
    chance = random.Random(0)
    for kill in range(10):
        process = begin([*argv, "--out", str(torn), "--resume", "auto"], said)
        wait_until(process, lambda step=STEPS * kill // 11 + 1: lines(torn / "metrics.jsonl") >= step)
        time.sleep(chance.uniform(0, 0.4))
        assert process.is_alive(), said.read_text()[-2000:]
        process.kill()
        assert end(process) == -signal.SIGKILL
    assert end(begin([*argv, "--out", str(torn), "--resume", "auto"], said)) == 0, said.read_text()[-2000:]
    same(whole, torn)
    assert figure(whole, "rollout/accepted") == figure(torn, "rollout/accepted")
    assert min(figure(torn, "rollout/accepted")[5:]) > 0.2
    assert said.read_text().count("drafts begin anew") == 0


@pytest.mark.faults
def test_two_processes_sample_the_rows_of_one(words: list[str], tmp_path: Path) -> None:
    one = run(words, tmp_path / "one", "--per_device_train_batch_size=8", "--max_steps=3")
    done = torchrun(
        2, "-m", "chexphi", "grpo", *words, "--out", tmp_path / "two", "--save_strategy=no", "--max_steps=3",
        "--per_device_train_batch_size=4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert sampled(tmp_path / "two") == sampled(one)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than a batch of 64."""
    folder = tmp_path_factory.mktemp("questions") / "data"
    phantom.build(folder, counts=phantom.Sizes(sight=4, sft=4, pool=70, valid=4, test=4), seed=3)
    return folder / "annotations" / "pool" / "train.json"


def answers(module: Any, out: Path, words: Sequence[object]) -> list[dict[str, Any]]:
    """What `evaluate` or `mine score` writes of each example, in their order."""
    module.main(module.parse([*map(str, words), "--out", str(out)]))
    name = "predictions.jsonl" if module is evaluate else "scored.jsonl"
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


@pytest.mark.parametrize(
    ("module", "flag"), [(evaluate, "--answer_samples=2"), (score, "--samples=3")], ids=["evaluate", "mine"]
)
def test_answers_are_the_same_in_any_batch(
    words: list[str], questions: Path, tmp_path: Path, module: Any, flag: str
) -> None:
    common = [*words[:2], "--data", questions, flag, "--max_new_tokens=16"]
    rows, *others = (
        answers(module, tmp_path / size, [*common, f"--batch_size={size}"]) for size in ("64", "8", "1")
    )
    assert len(rows) == 70
    for other in others:
        assert all(alike(row, again) for row, again in zip(rows, other, strict=True))
    if module is evaluate:
        chances = [row["extra"].get("answer_probabilities") for row in rows]
        assert len({min(pair.values()) for pair in chances if pair}) > 10
    else:
        assert len({row["confidence"] for row in rows}) == 70
