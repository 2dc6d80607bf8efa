"""The stages of the loop on drawn films as commands with their settings.

Each stage is a `chexphi` command in a process of its own. Its settings are in a YAML file beside the run, so
that every line of the table can be reproduced by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi.demo.settings import Settings

POLICY = "model/complete.json"
"""The file that a training stage writes last."""
TRAINER: dict[str, Any] = {
    "trainable": "all",  # a small model that starts from nothing
    "lr_scheduler_type": "linear",
    "max_grad_norm": 1.0,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "save_strategy": "no",
}
"""Settings of every training stage."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One command with its settings, the file that shows its progress and the file that it writes last."""

    name: str
    verb: tuple[str, ...]
    values: Mapping[str, Any]
    result: str
    """A file in the stage's folder that exists once it is finished."""
    lines: str
    """The JSONL file whose rows show the progress."""
    total: int
    """How many steps or questions it has."""
    unit: str = "questions"
    """What is counted: rows of the file, or with `steps` its newest `step`."""


def sft_stage(
    name: str,
    model: Path,
    data: Path,
    *,
    steps: int,
    rate: float,
    seed: int,
    log_every: int | None = None,
    **values: Any,
) -> Stage:
    """An SFT stage of `steps` batches of 16; figures are logged every tenth step, in a short one oftener."""
    settings = TRAINER | {
        "model": str(model),
        "data": str(data),
        "max_steps": steps,
        "learning_rate": rate,
        "seed": seed,
        "per_device_train_batch_size": 16,
        "warmup_steps": min(50, steps // 10),
        "logging_steps": log_every or max(1, min(10, steps // 4)),
    }
    return Stage(name, ("sft",), settings | values, POLICY, "metrics.jsonl", steps, "steps")


def grpo_stage(
    name: str, model: Path, data: Path, rewards: Mapping[str, float], settings: Settings, *, seed: int
) -> Stage:
    """A GRPO stage with weighted rewards."""
    values = TRAINER | {
        "model": str(model),
        "data": str(data),
        "rewards": list(rewards),
        "reward_weights": list(rewards.values()),
        "max_steps": settings.grpo_steps,
        "learning_rate": 3e-4,
        "seed": seed,
        "beta": 0.0,
        "per_device_train_batch_size": settings.grpo_prompts * settings.generations,
        "num_generations": settings.generations,
        "temperature": 1.0,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "warmup_steps": min(10, settings.grpo_steps // 2),
        "adam_beta2": 0.99,
        "max_completion_length": settings.max_new_tokens,
        "logging_steps": 1,
    }
    return Stage(name, ("grpo",), values, POLICY, "metrics.jsonl", settings.grpo_steps, "steps")


def evaluate_stage(
    name: str, model: Path, data: Path, settings: Settings, *, examples: int, seed: int
) -> Stage:
    """A greedy evaluation with token probabilities."""
    values = {
        "model": str(model),
        "data": str(data),
        "tokens": True,
        "batch_size": 64,
        "max_new_tokens": settings.max_new_tokens,
        "seed": seed,
    }
    return Stage(name, ("evaluate",), values, "summary.json", "predictions.jsonl", examples)


def mine_stage(name: str, model: Path, data: Path, settings: Settings, *, seed: int) -> Stage:
    """Four sampled answers to each question of the pool."""
    values = {
        "model": str(model),
        "data": str(data),
        "samples": 4,
        "batch_size": 64,
        "max_new_tokens": settings.max_new_tokens,
        "seed": seed,
    }
    return Stage(name, ("mine", "score"), values, "summary.json", "scored.jsonl", settings.pool_examples)
