"""Open a policy: the folder of a base model, or of an adapter that names its base."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState

from chexphi import model_folder
from chexphi.models import adapter, policy_folder, trial_question

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, ProcessorMixin


def load(
    folder: str | os.PathLike[str],
    *,
    dtype: str = "auto",
    attn_implementation: str = "sdpa",
    dynamic_hd: int | None = None,
    with_head: bool = False,
    learning: bool = False,
    device: str | None = None,
) -> tuple[PreTrainedModel | PeftModel, ProcessorMixin]:
    """The policy, frozen and in evaluation mode, and its processor.

    >>> model, processor = load("runs/grpo/model", dtype="bfloat16")  # doctest: +SKIP

    Args:
        folder: Native weights, with the adapter in `vision-lora/` if they have one; or an adapter.
        dtype: Name of a torch dtype; `auto` is the type in which the weights were saved.
        attn_implementation: `sdpa`, `eager` or `flash_attention_2`.
        dynamic_hd: The most tiles that a film is cut into; None keeps the folder's own setting.
        with_head: Give the adapter, if there is one, an `lm_head` of its own.
        learning: Whether the policy is going to be trained, for what is said of another `dynamic_hd`.
        device: The device of the model; None is the GPU of this process, or the CPU if there is none.

    Returns:
        A `PeftModel` with the adapter `default`, or the model itself if there is no adapter; the processor.

    Raises:
        InputError: If the folder cannot be read as a policy.
    """
    settings: dict[str, Any] = {"dtype": dtype, "attn_implementation": attn_implementation}
    folders = policy_folder.check_settings(Path(folder), **settings, dynamic_hd=dynamic_hd)
    if dynamic_hd is not None:
        settings |= {"dynamic_hd": dynamic_hd, "learning": learning}
    module, _, function = policy_folder.FAMILIES[folders.kind].partition(":")
    load_family = getattr(importlib.import_module(f"chexphi.models.families.{module}"), function)
    model, processor = load_family(folders.base, processor_folder=folders.processor, **settings)
    if folders.adapter is not None:
        model_folder.check(folders.adapter)
        model = adapter.load(model, folders.adapter, targets=model.lora_targets, with_head=with_head)
    target_device = device or PartialState(cpu=not torch.cuda.is_available()).device
    model = model.to(target_device).eval().requires_grad_(False)
    trial_question.check(model, processor, folders.processor)
    return model, processor
