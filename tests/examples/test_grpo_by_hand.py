"""The algorithm written out by hand is the one that `chexphi grpo` runs."""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from several_processes import replay, table_of
from torch import Tensor

from chexphi.data.phantom import build as phantom
from chexphi.data.read import read_examples
from chexphi.models import adapter, policy, trainable
from chexphi.models.families import phi4
from chexphi.models.lora_names import TARGETS
from chexphi.training import grpo
from chexphi.training.grpo_trainer import LoggedGRPOTrainer

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "grpo_kg.yaml"
GROUP = 4
LEARNING_RATE = 0.3
"""So large that the second update clips tokens."""


@pytest.fixture(scope="module")
def by_hand() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grpo_by_hand", ROOT / "examples" / "grpo_by_hand.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def policy_dir(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small policy whose LoRA already changes something, so that all of it has gradients."""
    folder = tmp_path_factory.mktemp("by_hand") / "model"
    shutil.copytree(tiny_model_dir, folder)
    model = adapter.with_new_lora(phi4.load(folder)[0], targets=TARGETS, rank=4, alpha=8, with_head=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.normal_(0, 0.05, generator=generator)
    model.save_pretrained(folder / "vision-lora")
    return folder


class TrainerRecord:
    """What the real trainer samples, and the loss and the gradients of each of its updates."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ids: list[str] = []
        self.batch: dict[str, Any] = {}
        self.losses: list[float] = []
        self.gradients: list[dict[str, Tensor]] = []
        score, train = LoggedGRPOTrainer._generate_and_score_completions, LoggedGRPOTrainer.training_step

        def recorded_score(trainer: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
            self.ids, self.batch = [str(row["id"]) for row in rows], score(trainer, rows)
            self.total_rewards = torch.tensor(list(trainer._logs["rewards"].values())).sum(0)
            return self.batch

        def recorded_step(trainer: Any, model: Any, *args: Any) -> Tensor:
            loss = train(trainer, model, *args)
            self.losses.append(loss.item())
            self.gradients.append(gradients_of(model))
            return loss

        patch.setattr(LoggedGRPOTrainer, "_generate_and_score_completions", recorded_score)
        patch.setattr(LoggedGRPOTrainer, "training_step", recorded_step)


def gradients_of(model: Any) -> dict[str, Tensor]:
    learning = {name: one for name, one in model.named_parameters() if one.requires_grad}
    return {name: one.grad.clone() for name, one in learning.items() if one.grad is not None}


@pytest.fixture(scope="module")
def trainer_record(
    policy_dir: Path, subsets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrainerRecord]:
    """Two updates of `chexphi grpo` on one batch of completions from a table, under configs/grpo_kg.yaml."""
    data = subsets / "uniform" / "12.json"
    flags = {
        "config": CONFIG, "model": policy_dir, "data": data, "out": tmp_path_factory.mktemp("run") / "out",
        "num_generations": GROUP, "per_device_train_batch_size": 3 * GROUP, "num_iterations": 2,
        "max_steps": 2, "optim": "sgd", "learning_rate": LEARNING_RATE, "lr_scheduler_type": "constant",
        "warmup_steps": 0, "save_strategy": "no", "disable_tqdm": "true",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        record = TrainerRecord(patch)
        replay(table_of([example.question for example in read_examples(data)]), patch)
        grpo.main(*grpo.parse([word for name, value in flags.items() for word in (f"--{name}", str(value))]))
        yield record


def test_first_losses_and_gradients_are_those_of_our_trainer(
    by_hand: ModuleType, policy_dir: Path, subsets: Path, trainer_record: TrainerRecord
) -> None:
    """At the first update the ratio is 1 and the KL is 0; at the second some tokens are clipped."""
    known = {example.id: example for example in read_examples(subsets / "uniform" / "12.json")}
    examples_N = [known[name] for name in trainer_record.ids]
    ids_NT, mask_NT = trainer_record.batch["completion_ids"], trainer_record.batch["completion_mask"]

    model, processor = policy.load(policy_dir, with_head=True)
    reference = copy.deepcopy(model)
    model = trainable.prepare(model, "vision_lora+lm_head", targets=model.lora_targets, rank=4, alpha=8)
    rewards_N = by_hand.score(processor, ids_NT, mask_NT, examples_N).sum(1)
    assert torch.allclose(rewards_N, trainer_record.total_rewards, atol=1e-6)
    assert len(set(rewards_N.tolist())) > 2
    advantage_N = by_hand.advantages(rewards_N, GROUP)
    assert torch.allclose(advantage_N, trainer_record.batch["advantages"], atol=1e-5)

    inputs = by_hand.encode(processor, examples_N, subsets.parent / "images")
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], LEARNING_RATE)
    with torch.no_grad():
        old_NT, ref_NT = (by_hand.logprobs(one, inputs, ids_NT, mask_NT) for one in (model, reference))
    for expected_loss, expected in zip(trainer_record.losses, trainer_record.gradients, strict=True):
        logp_NT = by_hand.logprobs(model, inputs, ids_NT, mask_NT)
        loss = by_hand.grpo_loss(logp_NT, old_NT, ref_NT, mask_NT, advantage_N)
        loss.backward()
        assert loss.item() == pytest.approx(expected_loss, abs=1e-5)
        found = gradients_of(model)
        assert found.keys() == expected.keys()
        for name, gradient in found.items():
            assert gradient.abs().max() > 1e-4, name
            assert torch.allclose(gradient, expected[name], atol=1e-5), name
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    ratio_N = (logp_NT - old_NT).exp()[mask_NT.bool()]
    assert ((ratio_N - 1).abs() > by_hand.EPSILON).float().mean() > 0.02
    assert (logp_NT - ref_NT)[mask_NT.bool()].abs().mean() > 0.01


def test_its_values_are_those_of_the_config(by_hand: ModuleType) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    names = ("num_generations", "temperature", "epsilon", "beta", "reward_weights")
    values = (by_hand.G, by_hand.TEMPERATURE, by_hand.EPSILON, by_hand.BETA, list(by_hand.WEIGHTS))
    assert dict(zip(names, values, strict=True)) == {name: config[name] for name in names}
    assert config["loss_type"] == "grpo"
    assert config["scale_rewards"] == "group"
    assert not config["use_bias_correction_kl"]


def test_it_runs(
    by_hand: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(by_hand, "P", 2)
    monkeypatch.setattr(by_hand, "TOKENS", 16)
    monkeypatch.setattr(by_hand, "SIZES", phantom.Sizes(sight=0, sft=32, pool=16, valid=0, test=0))
    history = by_hand.main(2, 2, updates=2)
    assert len(json.loads(json.dumps(history))) == 2
    assert all(0 <= value <= 1 for step in history for value in step)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["drawing films", "imitating written explanations, 2 steps"]
    assert len(lines) == 4
