"""What the benchmarks of training share: a random policy of any size and a clock."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model
from transformers import (
    GenerationConfig,
    Phi4MultimodalConfig,
    Phi4MultimodalFeatureExtractor,
    PrinterCallback,
    ProcessorMixin,
    ProgressCallback,
)

from chexphi.models import adapter, trainable, what_learns
from chexphi.models.families import phi4, tiny
from chexphi.models.lora_names import TARGETS
from chexphi.models.shared_prompts.sharing import SharedPrompts

GPU = torch.cuda.is_available()


@dataclass(frozen=True)
class Shape:
    """Of a policy."""

    crop: int
    patch: int
    rank: int
    full: bool
    """The published sizes in bf16, for a GPU; else a small model in fp32."""
    asked: str = what_learns.DEFAULT
    sizes: dict[str, int] = field(default_factory=dict)
    """Of the small model, where they are not `tiny.config`'s own."""


def settings(tokenizer: Any, shape: Shape) -> Phi4MultimodalConfig:
    """The configuration; plain RoPE."""
    small = tiny.config(tokenizer, image_size=shape.crop, patch_size=shape.patch, **shape.sizes)
    if not shape.full:
        return small
    vision = {"image_size": shape.crop, "crop_size": shape.crop, "patch_size": shape.patch}
    vision |= {"image_token_id": small.vision_config.image_token_id, "feature_layer": -2}
    return Phi4MultimodalConfig(
        num_attention_heads=24,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.75},
        bos_token_id=small.bos_token_id,
        pad_token_id=small.pad_token_id,
        eos_token_id=small.eos_token_id,
        vision_config=vision,
        audio_config={"audio_token_id": small.audio_config.audio_token_id},
    )


def policy(tokenizer: Any, shape: Shape, *, crops: int = 1, weights: Path | None = None) -> tuple[Any, Any]:
    """A policy with random weights, or with those of a file, ready to train, and its processor."""
    torch.manual_seed(0)
    kind = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if shape.full else kind)
    with torch.device("cuda" if GPU else "cpu"):
        model = phi4.Phi4MultimodalForCausalLM(settings(tokenizer, shape))
    torch.set_default_dtype(kind)
    tiny.initialise(model, seed=0)
    if weights is not None:
        load_model(model, str(weights))
    ids = {name: getattr(model.config, name) for name in ("bos_token_id", "pad_token_id", "eos_token_id")}
    model.generation_config = GenerationConfig(**ids)
    rank = shape.rank
    model = trainable.prepare(model, shape.asked, targets=TARGETS, rank=rank, alpha=2 * rank)
    side = {"height": shape.crop, "width": shape.crop}
    images = phi4.Phi4MultimodalImageProcessor(size=side, patch_size=shape.patch, dynamic_hd=crops)
    return model, phi4.Phi4MultimodalProcessor(images, Phi4MultimodalFeatureExtractor(), tokenizer)


def unshared(model: Any) -> Any:
    """The policy, its `generate` reading a prompt as often as plain transformers would."""
    causal = adapter.unwrapped(model)
    causal.prompt_sharing = SharedPrompts("switched off to compare")
    return model


def every_row(processor: Any) -> Any:
    """The processor, which then processes the film of every row, as plain transformers would."""
    processor._process_images = functools.partial(ProcessorMixin._process_images, processor)
    return processor


def silence(trainer: Any) -> None:
    """No bar and no lines of the trainer's: a benchmark prints its table alone."""
    for callback in (PrinterCallback, ProgressCallback):
        trainer.pop_callback(callback)


def clock() -> float:
    """Seconds: by the wall beside a GPU, of the processor without one."""
    if not GPU:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()
