"""Changes that FSDP2 needs in a model: its head is whole while TRL reads it, and no tensor is in two units.

TRL's fused head multiplies by `lm_head.weight` without calling `lm_head`, so that FSDP does not gather it. If
TRL gathers it (`full_tensor()`), each part gets only the gradient of its own process's rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule

from chexphi.models import adapter


def prepare_head(model: Any) -> None:
    """Let FSDP gather `lm_head`, and average its gradient, when TRL's fused head reads it.

    The weight that an adapter's `lm_head` replaces is removed: no pass reads it, and FSDP refuses a tensor
    that is tied to one of another unit.

    Args:
        model: The policy with all its adapters, with or without PEFT around it, before FSDP shards it.
    """
    head = model.get_output_embeddings()
    if hasattr(head, "modules_to_save"):
        head.original_module.weight = None
    causal = adapter.unwrapped(model)

    def gather(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if kwargs.get("fused_lm_head") and isinstance(head, FSDPModule):
            head.unshard()

    def shard(module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        # PEFT changes adapters after such a pass: `requires_grad` that it sets on whole tensors would be lost
        if kwargs.get("fused_lm_head") and isinstance(head, FSDPModule) and not torch.is_grad_enabled():
            head.reshard()

    causal.register_forward_pre_hook(gather, with_kwargs=True)
    causal.register_forward_hook(shard, with_kwargs=True)
