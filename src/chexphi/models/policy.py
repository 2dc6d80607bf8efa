"""Open a policy: the folder of a base model, or of an adapter that names its base."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from chexphi import model_folder
from chexphi.files import read_object
from chexphi.models import adapter, trial_question
from chexphi.models.families import gemma3, phi4, qwen_vl
from chexphi.schema import InputError, shown

VISION_ADAPTER = "vision-lora"
ATTENTION = ("sdpa", "eager", "flash_attention_2")
DTYPES = ("auto", "float32", "bfloat16")
FAMILIES = {
    "phi4_multimodal": phi4.load,
    "qwen2_5_vl": qwen_vl.load_2_5,
    "qwen3_vl": qwen_vl.load_3,
    "gemma3": gemma3.load,
}
"""The function that loads a model of each `model_type`."""


@dataclass(frozen=True, slots=True)
class PolicyFolders:
    """The folders of a policy's base and adapter."""

    base: Path
    adapter: Path | None
    kind: str
    """The base's `model_type`."""


def locate(folder: Path) -> PolicyFolders:
    """The base and the adapter of a policy's folder; nothing is loaded.

    Raises:
        InputError: If it is not a policy, or is one in the original layout.
    """
    is_adapter = (folder / adapter.CONFIG).is_file()
    base = adapter.base_of(folder) if is_adapter else folder
    if not (base / "config.json").is_file():
        raise InputError(f"{base} is not a model folder: it has no config.json")
    kind = str(read_object(base / "config.json").get("model_type"))
    if kind == "phi4mm":
        raise InputError(
            f"{base} is in the original layout of Phi-4-multimodal, which must be imported first: "
            f"chexphi checkpoint import {base} DST"
        )
    if is_adapter:
        return PolicyFolders(base, folder, kind)
    vision_adapter = base / VISION_ADAPTER
    return PolicyFolders(base, vision_adapter if vision_adapter.is_dir() else None, kind)


def load(
    folder: Path | str,
    *,
    dtype: str = "auto",
    attn_implementation: str = "sdpa",
    dynamic_hd: int | None = None,
    with_head: bool = False,
    device: str | None = None,
) -> tuple[Any, Any]:
    """The policy, frozen and in evaluation mode, and its processor.

    Args:
        folder: Native weights, with the adapter in `vision-lora/` if they have one; or an adapter.
        dtype: Name of a torch dtype; `auto` is the type in which the weights were saved.
        attn_implementation: `sdpa`, `eager` or `flash_attention_2`.
        dynamic_hd: The most tiles that a film is cut into; None keeps the folder's own setting.
        with_head: Give the adapter, if there is one, an `lm_head` of its own.
        device: The device of the model; None is the GPU of this process, or the CPU if there is none.

    Returns:
        A `PeftModel` with the adapter `default`, or the model itself if there is no adapter; the processor.

    Raises:
        InputError: If the folder cannot be read as a policy.
    """
    _check_settings(dtype, attn_implementation)
    folders = locate(Path(folder))
    if folders.kind not in FAMILIES:
        raise InputError(
            f"{folders.base} holds a model of type {shown(folders.kind)}: {', '.join(FAMILIES)} are what is "
            "read"
        )
    settings: dict[str, Any] = {"dtype": dtype, "attn_implementation": attn_implementation}
    if dynamic_hd is not None:
        _check_crops(dynamic_hd, folders.kind)
        settings["dynamic_hd"] = dynamic_hd
    own_processor = (Path(folder) / "tokenizer.json").is_file()
    settings["processor_folder"] = Path(folder) if own_processor else folders.base
    model, processor = FAMILIES[folders.kind](folders.base, **settings)
    if folders.adapter is not None:
        model_folder.check(folders.adapter)
        model = adapter.load(model, folders.adapter, targets=model.lora_targets, with_head=with_head)
    target_device = device or PartialState(cpu=not torch.cuda.is_available()).device
    model = model.to(target_device).eval().requires_grad_(False)
    trial_question.check(model, processor, settings["processor_folder"])
    return model, processor


def _check_settings(dtype: str, attention: str) -> None:
    if dtype not in DTYPES:
        raise InputError(f"dtype is {shown(dtype)}: use {', '.join(DTYPES)}")
    if attention not in ATTENTION:
        raise InputError(f"attn_implementation is {shown(attention)}: use {', '.join(ATTENTION)}")
    if attention == "flash_attention_2" and importlib.util.find_spec("flash_attn") is None:
        raise InputError("flash_attention_2 needs the package flash-attn, which is not installed: use sdpa")


def _check_crops(dynamic_hd: int, kind: str) -> None:
    if kind != "phi4_multimodal":
        raise InputError(
            f"dynamic_hd is {dynamic_hd} and only Phi-4-multimodal knows it, not a {shown(kind)}"
            ": leave it out; what shapes a film there is `size` in the model's preprocessor_config.json"
        )
