"""Sizes, arms and recipe fields of the demo and the study."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

from chexphi import ranges
from chexphi.ranges import COUNT, PROCESSES, SEED
from chexphi.runs import run_folder

START = "sft"
"""The policy that every arm starts from."""
ANSWER_ARM, GRAPH_ARM = "grpo_acc", "grpo_kg"
ARMS = {
    ANSWER_ARM: {"external_r1v_acc": 2.0},
    GRAPH_ARM: {"external_r1v_acc": 2.0, "external_kg_jac": 1.0},
}
"""Reward weights of the arms: GRPO with the answer reward, and with both rewards. Answer against graph 2 : 1
is our choice (docs/log.md); the original weighs them 1 : 1."""


def evaluation_of(arm: str) -> str:
    """Name of the stage that tests an arm, or the start."""
    return f"eval_{arm}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes of one loop. Steps, batches and rates are our choice, measured in `docs/log.md`."""

    sight_examples: int = 16_000
    """Films with clean text that teach the small model to see (a real base model can already)."""
    sight_steps: int = 1150
    sft_examples: int = 4000
    """Examples of the imperfect writer, who leaves out most findings."""
    sft_steps: int = 400
    pool_examples: int = 1600
    mined_examples: int = 800
    grpo_steps: int = 80
    grpo_prompts: int = 16
    generations: int = 8
    valid_examples: int = 500
    test_examples: int = 1000
    max_new_tokens: int = 72
    image_size: int = 64


QUICK = Settings(
    sight_examples=96,
    sight_steps=8,
    sft_examples=64,
    sft_steps=6,
    pool_examples=24,
    mined_examples=12,
    grpo_steps=2,
    grpo_prompts=2,
    generations=4,
    valid_examples=24,
    test_examples=24,
    max_new_tokens=48,
)
"""A few steps of everything, to see that it runs."""
STUDY = Settings(
    sight_examples=20_000,
    sight_steps=1500,
    sft_examples=16_000,  # each seen once: repeated examples are learned by heart, and the plateau is lost
    sft_steps=1000,
    grpo_steps=100,
    valid_examples=2000,
    test_examples=2000,
)

RANGES = {"workers": PROCESSES, "limit": COUNT, "seed": SEED, "seeds": SEED}
"""Allowed values of the numbers in the recipes of demo and study."""


class LoopRecipe(Protocol):
    """The fields that the recipes of demo and study share."""

    out: str | None
    workers: int
    resume: run_folder.Resume
    overwrite: bool


def limited(settings: Settings, limit: int | None) -> Settings:
    """The same settings with at most `limit` test examples.

    Raises:
        InputError: If the limit is below 1.
    """
    if limit is None:
        return settings
    ranges.check({"limit": limit}, RANGES, "the loop")
    return dataclasses.replace(settings, test_examples=min(limit, settings.test_examples))
