"""The settings of a run that its memory depends on, read as `sft` and `grpo` read them."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from trl import GRPOConfig, SFTConfig

from chexphi import config, model_folder
from chexphi.files import read_object
from chexphi.memory_plan import blank_model
from chexphi.models import adapter, film_sizes, policy_folder, trainable
from chexphi.models.families import phi4
from chexphi.models.film_sizes import check_crops
from chexphi.ranges import COUNT, POSITIVE, Range
from chexphi.schema import InputError, shown
from chexphi.training.grpo_recipe import DEFAULTS as GRPO_DEFAULTS
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.preflight.number_ranges import GRPO_RUN, SFT_RUN
from chexphi.training.sft import DEFAULTS as SFT_DEFAULTS
from chexphi.training.sft import SFTRecipe

OPTIMISERS = {"adamw_torch": 8, "adamw_torch_fused": 8, "adamw_8bit": 2, "adamw_bnb_8bit": 2, "sgd": 0}
"""Bytes of optimiser state a parameter, by TRL's `optim`: two moments in fp32 or in 8 bits."""
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")


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
class MemorySettings:
    """All settings that a run's memory depends on."""

    model: Path | None
    """None: Phi-4-multimodal as published."""
    dtype: str
    attention: str
    trainable: str
    rank: int
    alpha: int
    own_head: bool
    """Whether the policy's adapter has an `lm_head`."""
    bf16: bool
    checkpointing: bool
    optim: str
    rows: int
    """Of a micro-batch."""
    accumulation: int
    generated: int
    """Micro-batches that are generated at once; 0 where nothing is generated."""
    group: int
    """Completions of a prompt."""
    shares_prompts: bool
    """Whether the completions of a prompt share one pass over it."""
    old_policy: bool
    """Whether log-probabilities of the policy that sampled are computed in a pass of their own."""
    beta: float
    completion: int
    prompt: int
    """Tokens without films."""
    films: int
    size: tuple[int, int]
    """Width and height of a film."""
    dynamic_hd: int | None
    cache_vision: bool
    """Whether films' features are kept for the whole run."""
    gpu: bool = True
    """Without a GPU TRL's fused head needs more."""


def parse(argv: Sequence[str]) -> tuple[PlanFields, MemorySettings]:
    """The fields of `plan` itself, and the settings of the run to plan.

    Raises:
        InputError: For anything the user has to correct.
    """
    flags = config.normalize_flags(argv)
    stage = stage_of(*config.split_configs(flags, "chexphi plan"))
    recipe, trl = (SFTRecipe, SFTConfig) if stage == "sft" else (GRPORecipe, GRPOConfig)
    defaults = (SFT_DEFAULTS if stage == "sft" else GRPO_DEFAULTS) | {"bf16": True, "use_cpu": True}
    ranges = (SFT_RUN if stage == "sft" else GRPO_RUN) | RANGES
    fields, ours, args = config.parse(
        flags, PlanFields, recipe, trl, prog="chexphi plan", defaults=defaults, number_ranges=ranges
    )
    _check(fields, ours, args)
    fields.stage = stage
    return fields, memory_settings(fields, ours, args)


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
        {item.name for kind in kinds for item in dataclasses.fields(kind)}
        for kinds in ((SFTRecipe, SFTConfig), (GRPORecipe, GRPOConfig))
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
    if (optim := _name(args.optim)) not in OPTIMISERS:
        raise InputError(f"plan: the state of optim {optim!r} is not known: use {', '.join(OPTIMISERS)}")
    if getattr(args, "use_vllm", False):
        raise InputError(
            "plan: how much memory vLLM uses is a setting of its own, vllm_gpu_memory_utilization: plan the "
            "rest with --use_vllm=false"
        )


def _name(choice: Any) -> str:
    """The name of an optimiser: TRL's config holds an enum or a text."""
    return str(getattr(choice, "value", choice))


def memory_settings(fields: PlanFields, recipe: Any, args: Any) -> MemorySettings:
    """What memory depends on, from a recipe and TRL's config.

    FlashAttention is counted as sdpa, which needs one mask more.

    Raises:
        InputError: If the folder is not a model's, or its model is of a kind that `plan` does not count.
    """
    generates = isinstance(args, GRPOConfig)
    model = Path(recipe.model) if recipe.model else None
    folders = policy_folder.locate(model) if model else None
    if folders and folders.kind != "phi4_multimodal":
        raise InputError(f"plan: {folders.base} holds a {folders.kind!r}: only 'phi4_multimodal' is counted")
    saved = read_object(folders.adapter / adapter.CONFIG) if folders and folders.adapter else {}
    dtype = recipe.dtype
    if dtype == "auto":
        dtype = str(model_config(model).dtype or "float32").removeprefix("torch.")
    flash = recipe.use_flash_attention or recipe.attn_implementation == "flash_attention_2"
    passes = args.steps_per_generation * args.num_iterations if generates else 1  # over one generation
    width, height = map(int, fields.image_size.split("x"))
    return MemorySettings(
        model=model,
        dtype=dtype,
        attention="sdpa" if flash else recipe.attn_implementation,
        trainable=trainable.setting(recipe.trainable),
        rank=saved.get("r", recipe.lora_rank),
        alpha=saved.get("lora_alpha", recipe.lora_alpha),
        own_head=adapter.HEAD in (saved.get("modules_to_save") or ()),
        bf16=args.bf16,
        checkpointing=args.gradient_checkpointing,
        optim=_name(args.optim),
        rows=args.per_device_train_batch_size,
        accumulation=args.gradient_accumulation_steps,
        generated=args.steps_per_generation if generates else 0,
        group=args.num_generations if generates else 1,
        shares_prompts=generates and recipe.share_prefix,
        old_policy=generates and args.gradient_accumulation_steps % passes != 0,
        beta=args.beta if generates else 0.0,
        completion=args.max_completion_length if generates else fields.answer_tokens,
        prompt=fields.prompt_tokens,
        films=fields.films,
        size=(width, height),
        dynamic_hd=recipe.dynamic_hd,
        cache_vision=recipe.cache_vision,
    )


def model_config(model: Path | None) -> Any:
    """The configuration of a policy's base."""
    return (
        blank_model.full_size()
        if model is None
        else blank_model.read_config(policy_folder.locate(model).base)
    )


@functools.cache
def film(model: Path | None, size: tuple[int, int], dynamic_hd: int | None) -> tuple[int, int]:
    """Crops of a film, the whole film included, and its tokens; the policy's processor counts a blank film.

    Args:
        model: The policy's folder; without a processor in it, the library's settings apply.
        size: Width and height in pixels.
        dynamic_hd: The most tiles, in place of the processor's own limit.
    """
    base = policy_folder.locate(model).base if model else None
    for folder in (model, base):
        if folder and any((folder / name).is_file() for name in PROCESSOR_FILES):
            model_folder.check(folder)
            film_sizes.check_films(folder)
            with model_folder.reading(folder, "a Phi4MultimodalImageProcessor"):
                processor = phi4.Phi4MultimodalImageProcessor.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
            break
    else:
        vision = model_config(model).vision_config
        side = {"height": vision.crop_size, "width": vision.crop_size}
        processor = phi4.Phi4MultimodalImageProcessor(size=side, patch_size=vision.patch_size)
    if dynamic_hd is not None:
        processor.dynamic_hd = dynamic_hd
    features = processor(Image.new("L", size), return_tensors="pt")
    return features["pixel_values"].shape[1], int(features["num_img_tokens"][0])
