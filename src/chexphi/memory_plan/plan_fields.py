"""The settings of `chexphi plan`, and those of the run to plan as `sft` and `grpo` read them; no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi import config, field_values
from chexphi.config.library_fields import Unknown
from chexphi.models import policy_folder, what_learns
from chexphi.models.film_sizes import check_crops
from chexphi.ranges import COUNT, POSITIVE, Range
from chexphi.schema import InputError, shown
from chexphi.training import generation_batch
from chexphi.training.grpo_recipe import DEFAULTS as GRPO_DEFAULTS
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.preflight.number_ranges import GRPO_RUN, SFT_RUN
from chexphi.training.sft_recipe import DEFAULTS as SFT_DEFAULTS
from chexphi.training.sft_recipe import SFTRecipe
from chexphi.training.trainer_settings import fields_of_trl

OPTIMISERS = {"adamw_torch": 8, "adamw_torch_fused": 8, "adamw_8bit": 2, "adamw_bnb_8bit": 2, "sgd": 0}
"""Bytes of optimiser state a parameter, by TRL's `optim`: two moments in fp32 or in 8 bits."""


@dataclass
class PlanFields:
    """Say how much of a GPU's memory a run needs; settings are those of sft or grpo."""

    stage: str | None = field(
        default=None, metadata={"help": "sft or grpo (default: the one that knows the settings; sft if both)"}
    )
    memory: float | None = field(default=None, metadata={"help": "GB of the GPU: say what to change to fit"})
    image_size: str = field(default="2544x3056", metadata={"help": "width x height of a film in pixels"})
    films: int = field(default=1, metadata={"help": "films a prompt"})
    prompt_tokens: int = field(default=64, metadata={"help": "tokens of a prompt without its films"})
    answer_tokens: int = field(default=256, metadata={"help": "tokens of an explanation to imitate (sft)"})


RANGES = {
    "films": Range(0, 1000), "prompt_tokens": COUNT, "answer_tokens": COUNT, "memory": POSITIVE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """What is planned."""

    fields: PlanFields
    recipe: Any
    """The run's own settings."""
    trainer: Any
    """TRL's settings as they were given."""
    folders: policy_folder.PolicyFolders | None
    """Of the model; None: Phi-4-multimodal as published."""


def read(argv: Sequence[str]) -> Request:
    """Read what is to be planned.

    Raises:
        InputError: For anything the user has to correct.
    """
    flags = config.normalize_flags(argv)
    stage = stage_of(*config.split_configs(flags, "chexphi plan"))
    recipe, trl = (SFTRecipe, "SFTConfig") if stage == "sft" else (GRPORecipe, "GRPOConfig")
    defaults = (SFT_DEFAULTS if stage == "sft" else GRPO_DEFAULTS) | {"bf16": True, "use_cpu": True}
    ranges = (SFT_RUN if stage == "sft" else GRPO_RUN) | RANGES
    fields, ours, args = config.parse(
        flags, PlanFields, recipe, fields_of_trl(trl), prog="chexphi plan", defaults=defaults,
        number_ranges=ranges,
    )  # fmt: skip
    fields.stage = stage
    _check(fields, ours, args)
    return Request(fields, ours, args, _folders(ours.model))


def _folders(model: str) -> policy_folder.PolicyFolders | None:
    """The folders of the model, if there is one.

    Raises:
        InputError: If the folder is not a model's, or its model is of a kind that `plan` does not count.
    """
    folders = policy_folder.locate(Path(model)) if model else None
    if folders and folders.kind != "phi4_multimodal":
        raise InputError(f"plan: {folders.base} holds a {folders.kind!r}: only 'phi4_multimodal' is counted")
    return folders


def stage_of(files: Sequence[Path], flags: Sequence[str]) -> str:
    """The stage that --stage names; without it GRPO if a key is one of its own, else SFT."""
    if "--stage" in flags[:-1]:
        stage = flags[flags.index("--stage") + 1]
        if stage not in ("sft", "grpo"):
            raise InputError(f"plan: stage is {shown(stage)}: use sft or grpo")
        return stage
    keys = {flag[2:] for flag in flags if flag.startswith("--")}
    for file in files:
        keys |= config.read_yaml(file).keys()
    sft, grpo = (
        field_values.described_fields([recipe, fields_of_trl(trl)]).keys()
        for recipe, trl in ((SFTRecipe, "SFTConfig"), (GRPORecipe, "GRPOConfig"))
    )
    return "grpo" if keys & (grpo - sft) else "sft"


def _check(fields: PlanFields, recipe: Any, args: Any) -> None:
    if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", fields.image_size):
        raise InputError(
            f"plan: image_size is {shown(fields.image_size)}: write width x height, as 2544x3056"
        )
    for name, choices in (("dtype", policy_folder.DTYPES), ("attn_implementation", policy_folder.ATTENTION)):
        if getattr(recipe, name) not in choices:
            raise InputError(f"plan: {name} is {shown(getattr(recipe, name))}: use {', '.join(choices)}")
    if recipe.dynamic_hd is not None:
        check_crops(recipe.dynamic_hd)
    if args.optim not in (*OPTIMISERS, Unknown.DEFAULT):
        raise InputError(f"plan: the state of optim {args.optim!r} is not known: use {', '.join(OPTIMISERS)}")
    what_learns.setting(recipe.trainable)
    if fields.stage == "grpo":
        generation_batch.check(args, 1)
    if getattr(args, "use_vllm", False):
        raise InputError(
            "plan: how much memory vLLM uses is a setting of its own, vllm_gpu_memory_utilization: plan the "
            "rest with --use_vllm=false"
        )
