"""Runs of two processes (gloo, on the CPU): the same training as one, and one sentence for bad input."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from several_processes import accelerate, replay, side_by_side, table_of, torchrun

from chexphi.data.read import read_examples
from chexphi.models import adapter, phi4
from chexphi.models.checkpoint.names import TARGETS
from chexphi.rewards import named
from chexphi.schema import Completion
from chexphi.training import completions, grpo

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "accelerate"
REPLAY = ROOT / "tests" / "several_processes.py"
FLAGS = [
    "--learning_rate=1e-3", "--num_generations=4", "--max_completion_length=64", "--max_steps=3",
    "--disable_tqdm=true", "--save_strategy=no",
]  # fmt: skip


@pytest.fixture(scope="module")
def pool(films: Path) -> Path:
    return films / "annotations" / "pool" / "train.json"


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with an adapter that changes nothing yet."""
    folder = tmp_path_factory.mktemp("policy") / "model"
    shutil.copytree(tiny_model_dir, folder)
    model = adapter.fresh(phi4.load(folder)[0], targets=TARGETS, rank=4, alpha=8, with_head=False)
    model.save_pretrained(folder / "vision-lora")
    return folder


def rows_of(out: Path) -> list[Completion]:
    return list(completions.read(out / "completions.jsonl"))


def metrics_of(out: Path) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl` without times, and without what is a mean of the processes' means."""
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    left = ("time", "runtime", "_per_second", "seconds", "entropy", "kl")
    return [
        {k: v for k, v in line.items() if not k.endswith(left) and not k.startswith("graph/")}
        for line in lines
    ]


@pytest.fixture
def both(pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Path]]:
    """both(model, flags, rows a micro-batch): the run folders of one process and of two, same completions."""

    def run(model: Path, flags: Sequence[str], size: int, start: Callable[..., Any] = torchrun) -> list[Path]:
        table = table_of([example.question for example in read_examples(pool)])
        (tmp_path / "table.json").write_text(json.dumps(table))
        common = ["--model", str(model), "--data", str(pool), *FLAGS, *flags]
        one, two = tmp_path / "one", tmp_path / "two"
        with monkeypatch.context() as patch:
            replay(table, patch)
            grpo.main(*grpo.parse([*common, "--out", str(one), f"--per_device_train_batch_size={2 * size}"]))
        done = start(
            2, REPLAY, "--table", tmp_path / "table.json", *common, "--out", two,
            f"--per_device_train_batch_size={size}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return [one, two]

    return run


def same_runs(one: Path, two: Path) -> None:
    """Completions, rewards, log-probabilities, metrics and weights of two runs."""
    mine, theirs = rows_of(one), rows_of(two)
    assert len({row.total for row in mine}) > 1
    assert len(mine) == len(theirs)
    for first, second in zip(mine, theirs, strict=True):
        assert first.per_token_logps == pytest.approx(second.per_token_logps, abs=1e-4)
        assert first.advantage == pytest.approx(second.advantage, abs=1e-4)
        left, right = (
            {k: v for k, v in row.to_dict().items() if k not in ("per_token_logps", "advantage")}
            for row in (first, second)
        )
        assert left == right
    figures, others = metrics_of(one), metrics_of(two)
    assert len(figures) == len(others) > 3
    for first_line, second_line in zip(figures, others, strict=True):
        assert first_line == pytest.approx(second_line, abs=1e-4, rel=1e-4)
    assert any(line["loss"] for line in figures[:-1])
    first_weights, second_weights = (weights_of(folder / "model") for folder in (one, two))
    assert first_weights.keys() == second_weights.keys()
    for name, tensor in first_weights.items():
        assert (tensor - second_weights[name]).abs().max() < 0.01, name  # Adam makes much of little
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """What was saved; FSDP writes a tied `lm_head` twice."""
    (file,) = folder.glob("*.safetensors")
    return {name: tensor for name, tensor in load_file(file).items() if name != "lm_head.weight"}


CASES: dict[str, tuple[list[str], int]] = {
    "all, micro-batches, reference": (
        ["--trainable=all", "--beta=0.1", "--temperature=0.9", "--gradient_accumulation_steps=2"], 2
    ),
    "a group on two processes": (["--trainable=all", "--share_prefix=false"], 2),
    "rows of dapo": (
        ["--trainable=all", "--loss_type=dapo", "--scale_rewards=batch", "--gradient_accumulation_steps=2",
         "--mask_truncated_completions=true", "--max_completion_length=24"], 4,
    ),
    "a generation of two steps": (["--trainable=all", "--num_iterations=2", "--beta=0.1"], 4),
    "dynamic sampling": (["--trainable=all", "--dynamic_sample=true", "--rewards", "external_r1v_acc"], 4),
}  # fmt: skip
LORA: dict[str, tuple[list[str], int]] = {
    "lora and head, reference": (
        ["--beta=0.1", "--temperature=0.9", "--gradient_accumulation_steps=2"], 4
    ),
    "lora alone, checkpointing": (
        ["--trainable=vision_lora", "--gradient_checkpointing=true", "--temperature=0.9"], 4
    ),
}  # fmt: skip
Both = Callable[..., list[Path]]


def test_two_processes_train_as_one(both: Both, tiny_model_dir: Path) -> None:
    same_runs(*both(tiny_model_dir, *CASES["all, micro-batches, reference"]))


@pytest.mark.faults
@pytest.mark.parametrize("case", list(CASES)[1:])
def test_two_processes_train_all_as_one(both: Both, tiny_model_dir: Path, case: str) -> None:
    one, two = both(tiny_model_dir, *CASES[case])
    same_runs(one, two)
    if case == "dynamic sampling":
        assert any(not row.kept for row in rows_of(two))
        assert (one / "never_spread.json").read_text() == (two / "never_spread.json").read_text()


@pytest.mark.faults
@pytest.mark.parametrize("case", LORA)
def test_two_processes_train_an_adapter_as_one(both: Both, policy: Path, case: str) -> None:
    same_runs(*both(policy, *LORA[case]))


@pytest.mark.faults
@pytest.mark.parametrize("case", ["all, micro-batches, reference", "lora alone, checkpointing"])
def test_weights_spread_with_fsdp_train_as_one_process(
    both: Both, tiny_model_dir: Path, policy: Path, case: str
) -> None:
    def start(number: int, *words: object) -> Any:
        done = accelerate("--config_file", CONFIGS / "fsdp2.yaml", "--num_processes", number, *words)
        assert "weights spread over processes" in done.stderr  # said by the trainer
        return done

    same_runs(*both(policy if case in LORA else tiny_model_dir, *(CASES | LORA)[case], start=start))


def test_each_process_samples_for_itself(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    """Own sampling on two processes, of which one makes the folder, its default name included."""
    flags = [*FLAGS, "--max_completion_length=8", "--trainable=all", "--per_device_train_batch_size=2"]
    command = ["-m", "chexphi", "grpo", "--model", tiny_model_dir, "--data", pool, *flags]
    started = side_by_side(command, command, folder=tmp_path)
    assert [code for code, *_ in started] == [0, 0], started
    assert [bool(output) for _, output, _ in started] == [True, False]
    assert "chexphi" not in started[1][2]
    (out,) = (tmp_path / "runs").iterdir()
    rows = rows_of(out)
    assert [row.step for row in rows] == [step for step in (1, 2, 3) for _ in range(4)]
    groups = [rows[start : start + 4] for start in range(0, 12, 4)]
    assert all(len({row.id for row in group}) == 1 for group in groups)
    assert len({row.id for row in rows}) == 3
    assert len({row.token_ids for row in rows}) == 12  # nothing is drawn twice
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["processes"] == 2
    assert {path.name for path in out.iterdir()} == {
        "completions.jsonl", "metrics.jsonl", "diagnostics.jsonl", "config.yaml", "manifest.json",
        "train.log", "model", "run.lock",
    }  # fmt: skip
    assert (out / "train.log").read_text().count("grpo on 24 examples") == 1


@pytest.mark.faults
def test_two_processes_go_on_as_if_never_stopped(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    command = [
        "-m", "chexphi", "grpo", "--model", tiny_model_dir, "--data", pool, *FLAGS, "--trainable=all",
        "--max_completion_length=8", "--max_steps=4", "--per_device_train_batch_size=2",
        "--save_strategy=steps", "--save_steps=2",
    ]  # fmt: skip
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert torchrun(2, *command, "--out", whole).returncode == 0
    shutil.copytree(whole, stopped)
    shutil.rmtree(stopped / "checkpoint-4")
    shutil.rmtree(stopped / "model")
    done = torchrun(2, *command, "--out", stopped, "--resume=true")
    assert done.returncode == 0, done.stderr[-4000:]
    for name in ("completions.jsonl", "model/model.safetensors"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


def test_rewards_leave_every_random_state_alone(pool: Path) -> None:
    """Ranks score other rows, so that a draw inside a reward would part their states."""
    names = ["external_r1v_acc", "external_kg_jac", "format", "repetition", "soft_overlong"]
    argv = ["--model=m", f"--data={pool}", "--out=o", "--num_generations=2", "--rewards", *names]
    recipe, args = grpo.parse(argv)
    functions = grpo.reward_functions(recipe, named.extractor_of(recipe), 1, args)
    examples = read_examples(pool)
    texts = [example.explanation for example in examples[1:] + examples[:1]]
    columns = {"solution": [e.explanation for e in examples], "answer": [e.answer for e in examples]}
    states = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    for function in functions:
        function(completions=texts, prompts=texts, completion_ids=[[2, 3, 1]] * len(texts), **columns)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
