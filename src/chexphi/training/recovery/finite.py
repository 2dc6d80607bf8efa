"""Whether what a trainer trains is finite: looked at before any of it is saved."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Trainer


def check(trainer: Trainer) -> None:
    """Stop before a trained tensor with NaN or infinity is written, on all processes together.

    Raises:
        FloatingPointError: If a process holds one; the first is named where it is.
    """
    trained = [
        (name, own_part(value)) for name, value in trainer.model.named_parameters() if value.requires_grad
    ]
    named = [name for name, value in trained if value.numel() and not bool(torch.isfinite(value).all())]
    found = len(named)
    if trainer.accelerator.num_processes > 1:
        counted = torch.tensor(float(found), device=trainer.accelerator.device)
        found = int(trainer.accelerator.reduce(counted, "sum").item())
    if found:
        which = named[0] if named else "a tensor of another process"
        raise FloatingPointError(
            f"{which} is not finite after step {trainer.state.global_step}: nothing is saved, the last "
            "checkpoint is kept; lower learning_rate or weight_decay"
        )


def own_part(value: Any) -> Tensor:
    """What this process holds of a tensor that FSDP2 or ZeRO-3 has spread over all."""
    if hasattr(value, "to_local"):
        return value.to_local()
    return getattr(value, "ds_tensor", value).detach()
