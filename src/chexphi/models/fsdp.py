"""What FSDP2 needs of a model: its head is whole while TRL reads it, and no tensor is in two units.

TRL's fused head multiplies by `lm_head.weight` without a pass of `lm_head`, so that FSDP does not gather it.
Gathered by TRL (`full_tensor()`), each part would get the gradient of its own process's rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule

from chexphi.models import adapter


def ready(model: Any) -> None:
    """Let `lm_head` be gathered, and its gradient be averaged, by FSDP where TRL's fused head reads it.

    What an adapter's `lm_head` replaces is taken out: no pass reads it, and FSDP refuses a tensor that is
    tied to one of another unit.

    Args:
        model: The policy, with or without PEFT around it, all its adapters there, before FSDP parts it.
    """
    head = model.get_output_embeddings()
    if hasattr(head, "modules_to_save"):
        head.original_module.weight = None
    causal = adapter.unwrapped(model)

    def gather(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if kwargs.get("fused_lm_head") and isinstance(head, FSDPModule):
            head.unshard()

    def part(module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        # what PEFT tells whole tensors of gradients, as it changes adapters after such a pass, is lost
        if kwargs.get("fused_lm_head") and isinstance(head, FSDPModule) and not torch.is_grad_enabled():
            head.reshard()

    causal.register_forward_pre_hook(gather, with_kwargs=True)
    causal.register_forward_hook(part, with_kwargs=True)
