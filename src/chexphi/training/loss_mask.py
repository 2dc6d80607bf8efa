"""Completions that are read as all others but do not move the policy.

TRL's `mask_truncated_completions` hides a truncated completion from attention as well, so that no pass knows
its log-probabilities: here its loss alone is masked, and the gradient is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def truncated(ids: Tensor, mask: Tensor, ends: Sequence[int]) -> Tensor:
    """Which completions (rows, length) no token of `ends` ends, (rows,)."""
    last = (mask.sum(dim=1, keepdim=True) - 1).clamp(min=0)
    return ~torch.isin(ids.gather(1, last).squeeze(1), torch.tensor(ends, device=ids.device))


def leave_out(batch: dict[str, Any], rows: Tensor, gather: Callable[[Tensor], Tensor]) -> None:
    """Mask the loss of some rows of TRL's batch, and count the tokens of the others over all processes.

    Args:
        batch: Its `tool_mask`, which TRL multiplies with `completion_mask`, and `num_items_in_batch` change.
        rows: True for what is left out, (rows,).
        gather: Joins a tensor of each process.
    """
    mask = batch["completion_mask"]
    kept = (~rows).to(mask.dtype).unsqueeze(1).expand_as(mask) * batch.get("tool_mask", 1)
    if rows.any() or "tool_mask" in batch:
        batch["tool_mask"] = kept
    batch["num_items_in_batch"] = gather((mask * kept).sum()).sum()
