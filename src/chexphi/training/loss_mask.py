"""Completions that are read like all others but do not move the policy.

TRL's `mask_truncated_completions` hides a truncated completion from attention as well, so that no pass knows
its log-probabilities: here its loss alone is masked, and the gradient is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def truncated(ids: Tensor, mask: Tensor, end_ids: Sequence[int]) -> Tensor:
    """Which completions do not end in one of `end_ids`, bool (rows,).

    Args:
        ids: int (rows, length).
        mask: 1 for tokens and 0 for padding, (rows, length).
        end_ids: Ids that end a completion.
    """
    last_index = (mask.sum(dim=1, keepdim=True) - 1).clamp(min=0)
    return ~torch.isin(ids.gather(1, last_index).squeeze(1), torch.tensor(end_ids, device=ids.device))


def leave_out(batch: dict[str, Any], rows: Tensor, gather: Callable[[Tensor], Tensor]) -> None:
    """Mask the loss of some rows of TRL's batch, and count the tokens of the others over all processes.

    Args:
        batch: Its `tool_mask`, which TRL multiplies with `completion_mask`, and `num_items_in_batch` change.
        rows: True for a row that is left out, bool (rows,).
        gather: Joins the tensors of all processes.
    """
    mask = batch["completion_mask"]
    loss_mask = (~rows).to(mask.dtype).unsqueeze(1).expand_as(mask) * batch.get("tool_mask", 1)
    if rows.any() or "tool_mask" in batch:
        batch["tool_mask"] = loss_mask
    batch["num_items_in_batch"] = gather((mask * loss_mask).sum()).sum()
