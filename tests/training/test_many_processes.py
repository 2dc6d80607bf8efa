"""Runs of two processes (gloo, on the CPU): the same training as one, and one sentence for bad input."""

from __future__ import annotations

import json
import random
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import torch
from safetensors.torch import load_file
from several_processes import accelerate, side_by_side, torchrun
from two_processes import (
    CASES,
    CONFIGS,
    FLAGS,
    LORA,
    REPLAY,
    Both,
    rows_of,
    run_with_uneven_films,
    same_runs,
    weights_of,
)

from chexphi.data.read import read_examples
from chexphi.rewards import by_name
from chexphi.training import grpo, grpo_run


def spread(number: int, *words: object, layer: str = "Phi4MultimodalDecoderLayer") -> Any:
    """`accelerate launch` that spreads the weights with FSDP2."""
    units = f"--fsdp_transformer_layer_cls_to_wrap={layer}"
    done = accelerate("--config_file", CONFIGS / "fsdp2.yaml", units, "--num_processes", number, *words)
    assert "weights are split between processes" in done.stderr  # said by the trainer
    return done


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
@pytest.mark.parametrize("case", ["all, micro-batches, reference", *LORA])
def test_weights_spread_with_fsdp_train_as_one_process(
    both: Both, tiny_model_dir: Path, policy: Path, case: str
) -> None:
    one, two = both(policy if case in LORA else tiny_model_dir, *(CASES | LORA)[case], start=spread)
    same_runs(one, two)
    if case == "lora and head, reference":
        (name,) = (name for name in weights_of(two / "model") if "lm_head" in name)
        start = weights_of(policy)["model.embed_tokens.weight"]
        mine, theirs = (weights_of(folder / "model")[name] - start for folder in (one, two))
        assert mine.abs().max() > 1e-3
        assert (mine - theirs).abs().mean() < 0.01 * mine.abs().mean()


@pytest.mark.faults
@pytest.mark.parametrize("flags", [[], ["--dynamic_sample=true"]])
def test_rows_without_a_reward_are_skipped_as_on_one_process(
    both: Both, tiny_model_dir: Path, flags: list[str]
) -> None:
    one, two = both(tiny_model_dir, ["--trainable=all", "--rewards", "killed_runs:partly", *flags], 4)
    same_runs(one, two)
    skipped = [row.rewards["killed_runs:partly"] is None for row in rows_of(two)]
    assert {True, False} == {*skipped}


@pytest.mark.faults
def test_an_untied_head_spread_with_fsdp_trains_as_on_one_process(both: Both, tmp_path: Path) -> None:
    """FSDP gathers Phi-4's with the last norm, and Qwen's by itself."""
    model = tmp_path / "qwen"
    tiny_families.qwen2_5_vl(model, tiny_families.TEXTS)
    start = partial(spread, layer="Qwen2_5_VLDecoderLayer")
    one, two = both(model, ["--trainable=all"], 4, start=start)
    same_runs(one, two)
    heads = [load_file(folder / "model" / "model.safetensors")["lm_head.weight"] for folder in (one, two)]
    assert (heads[0] - heads[1]).abs().mean() < 1e-5


@pytest.mark.faults
def test_films_on_one_process_alone(
    policy: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What TRL gathers of films it would wait for; a process without any does not send them."""
    same_runs(*run_with_uneven_films(films, tmp_path, monkeypatch, policy))


@pytest.mark.faults
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
        "train.log", "model", "run.lock", "README.md",
    }  # fmt: skip
    assert (out / "train.log").read_text().count("grpo on 24 examples") == 1


@pytest.mark.faults
@pytest.mark.parametrize("weights", ["whole", "spread, adapter"])
def test_two_processes_go_on_as_if_never_stopped(
    tiny_model_dir: Path, policy: Path, pool: Path, tmp_path: Path, weights: str
) -> None:
    start, model, flags, file = {
        "whole": (torchrun, tiny_model_dir, ["--trainable=all"], "model.safetensors"),
        "spread, adapter": (spread, policy, ["--beta=0.1"], "adapter_model.safetensors"),
    }[weights]
    command = [
        REPLAY, "grpo", "--model", model, "--data", pool, *FLAGS, *flags,
        "--max_completion_length=8", "--max_steps=4", "--per_device_train_batch_size=2",
        "--save_strategy=steps", "--save_steps=2",
    ]  # fmt: skip
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert start(2, *command, "--out", whole).returncode == 0
    shutil.copytree(whole, stopped)
    shutil.rmtree(stopped / "checkpoint-4")
    shutil.rmtree(stopped / "model")
    done = start(2, *command, "--out", stopped, "--resume=true")
    assert done.returncode == 0, done.stderr[-4000:]
    for name in ("completions.jsonl", f"model/{file}"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


def test_rewards_leave_every_random_state_alone(pool: Path) -> None:
    """Ranks score other rows, so that a draw inside a reward would part their states."""
    names = ["external_r1v_acc", "external_kg_jac", "format", "repetition", "soft_overlong"]
    argv = ["--model=m", f"--data={pool}", "--out=o", "--num_generations=2", "--rewards", *names]
    recipe, args = grpo.parse(argv)
    functions = grpo_run.reward_functions(recipe, by_name.extractor_of(recipe), 1, args)
    examples = read_examples(pool)
    texts = [example.explanation for example in examples[1:] + examples[:1]]
    columns = {"solution": [e.explanation for e in examples], "answer": [e.answer for e in examples]}
    states = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    for function in functions:
        function(completions=texts, prompts=texts, completion_ids=[[2, 3, 1]] * len(texts), **columns)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
