"""What a run's memory depends on, from its settings, its model's configuration and its processor."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from chexphi import model_folder
from chexphi.files import read_object
from chexphi.memory_plan import blank_model
from chexphi.memory_plan.plan_fields import Request
from chexphi.models import film_sizes, policy_folder, what_learns
from chexphi.models.adapter_settings import CONFIG, HEAD
from chexphi.models.families import phi4
from chexphi.training import trainer_config

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")


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


def _name(choice: Any) -> str:
    """The name of an optimiser: TRL's config holds an enum or a text."""
    return str(getattr(choice, "value", choice))


def memory_settings(request: Request) -> MemorySettings:
    """What memory depends on, from the settings of the run.

    FlashAttention is counted as sdpa, which needs one mask more.

    Raises:
        InputError: For settings that TRL refuses, or a model's folder that cannot be read.
    """
    fields, recipe, folders = request.fields, request.recipe, request.folders
    args, generates = trainer_config.make(request.trainer, "plan"), fields.stage == "grpo"
    model = Path(recipe.model) if recipe.model else None
    saved = read_object(folders.adapter / CONFIG) if folders and folders.adapter else {}
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
        trainable=what_learns.setting(recipe.trainable),
        rank=saved.get("r", recipe.lora_rank),
        alpha=saved.get("lora_alpha", recipe.lora_alpha),
        own_head=HEAD in (saved.get("modules_to_save") or ()),
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
