"""Whether the trained tensors are finite: checked before any of them is saved."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from chexphi.schema import NotFiniteError


def check(trainer: Trainer) -> None:
    """Stop before a trained tensor with NaN or infinity is written, on all processes together.

    Raises:
        NotFiniteError: If a process holds one; that process names the first it has.
    """
    trained = [
        (name, local_tensor(value)) for name, value in trainer.model.named_parameters() if value.requires_grad
    ]
    bad_names = [name for name, value in trained if value.numel() and not bool(torch.isfinite(value).all())]
    count = len(bad_names)
    if trainer.accelerator.num_processes > 1:
        local_count = torch.tensor(float(count), device=trainer.accelerator.device)
        count = int(trainer.accelerator.reduce(local_count, "sum").item())
    if count:
        name = bad_names[0] if bad_names else "a tensor of another process"
        raise NotFiniteError(
            f"{name} is not finite after step {trainer.state.global_step}: nothing is saved, the last "
            "checkpoint is kept; lower learning_rate or weight_decay"
        )


def local_tensor(value: Any) -> Tensor:
    """What this process holds of a tensor that FSDP2 or ZeRO-3 splits between processes."""
    if hasattr(value, "to_local"):
        return value.to_local()
    return getattr(value, "ds_tensor", value).detach()
