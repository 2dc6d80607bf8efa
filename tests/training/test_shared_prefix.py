"""GRPO with the prompts of a batch read once: the same run as with each read for every completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from chexphi.models import policy
from chexphi.training import completions, grpo, shared

FLAGS = [
    "--learning_rate=1e-4", "--num_generations=4", "--max_completion_length=10", "--max_steps=3",
    "--disable_tqdm=true", "--save_strategy=no", "--lora_rank=4", "--lora_alpha=8",
]  # fmt: skip


@pytest.fixture(autouse=True)
def spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that tells the completions of an untrained model apart."""

    def letters(completions: list[Any], **columns: Any) -> list[float]:
        return [float(len(set(completion[0]["content"]))) for completion in completions]

    monkeypatch.setattr(grpo, "reward_functions", lambda *args: [letters])


def run(model: Path, films: Path, out: Path, *flags: str) -> Path:
    data = films / "annotations" / "pool" / "train.json"
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *FLAGS, *flags]
    return grpo.main(*grpo.parse(argv))


@pytest.mark.parametrize(
    "flags",
    [
        ["--per_device_train_batch_size=8", "--beta=0.1"],
        ["--per_device_train_batch_size=8", "--beta=0.1", "--gradient_checkpointing=true"],
        ["--per_device_train_batch_size=8", "--beta=0.1", "--trainable=all", "--temperature=0.7"],
        ["--per_device_train_batch_size=4", "--gradient_accumulation_steps=2", "--beta=0.1"],
        ["--per_device_train_batch_size=4", "--gradient_accumulation_steps=2", "--steps_per_generation=4"],
        ["--per_device_train_batch_size=8", "--attn_implementation=eager", "--temperature=0.9"],
    ],
)
def test_the_run_is_the_plain_one(
    flags: list[str], tiny_model_dir: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[int] = []
    pack = shared.packed.pack
    monkeypatch.setattr(
        shared.packed, "pack", lambda *args: packed.append(len(args[0]) - len(args[3])) or pack(*args)
    )
    ours = run(tiny_model_dir, films, tmp_path / "shared", *flags)
    assert sum(packed) > 0
    count = len(packed)
    plain = run(tiny_model_dir, films, tmp_path / "plain", *flags, "--share_prefix=false")
    assert len(packed) == count
    first, second = (list(completions.read(out / "completions.jsonl")) for out in (ours, plain))
    if "--steps_per_generation=4" not in flags:  # there the order of rows decides which step sees which
        assert [row.token_ids for row in first] == [row.token_ids for row in second]
        for one, other in zip(first, second, strict=True):
            assert one.per_token_logps == pytest.approx(other.per_token_logps, abs=1e-4)
        losses = [
            [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()[:-1]]
            for out in (ours, plain)
        ]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
        a, b = (policy.load(out / "model")[0].state_dict() for out in (ours, plain))
        # Adam's first steps are as large for a tiny gradient as for a large one: compare in the mean
        moved = torch.cat([(a[name] - b[name]).abs().flatten() for name in a])
        assert moved.mean() < 1e-6


def test_where_it_cannot_share_it_says_so(tiny_model_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = policy.load(tiny_model_dir)[0]
    assert "spread over processes" in str(shared.why_plain(model, sharded=True))
    assert shared.why_plain(model, sharded=False) is None
    model.config._attn_implementation_internal = "flash_attention_2"
    assert "flash_attention_2 takes no packed rows" in str(shared.why_plain(model, sharded=False))


@pytest.mark.parametrize("seed", range(3))
def test_completions_of_a_prompt_stay_together(seed: int) -> None:
    order = torch.randperm(24, generator=torch.Generator().manual_seed(seed)).tolist()
    rows = shared.together(order, 4)
    assert sorted(rows) == sorted(order)
    assert all(len({row // 4 for row in rows[i : i + 4]}) == 1 for i in range(0, 24, 4))
    assert shared.together(order, 1) == order
