"""Micro-batches of a generation that keep the completions of a prompt together, so that they share its pass.

TRL's own order scatters them over micro-batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from trl.trainer.utils import split_pixel_values_by_grid, split_tensor_dict, unsplit_pixel_values_by_grid


def split(batch: dict[str, Any], group_size: int, count: int) -> list[dict[str, Any]]:
    """Shuffle a generation's groups and split it, as TRL does with single rows.

    Args:
        batch: TRL's, with `prompt_ids` (rows, length).
        group_size: Completions of a prompt.
        count: How many micro-batches there are.
    """
    batch = split_pixel_values_by_grid(batch)
    order = keep_groups_together(torch.randperm(len(batch["prompt_ids"])).tolist(), group_size)
    reordered = {name: reorder_rows(column, order) for name, column in batch.items()}
    return [unsplit_pixel_values_by_grid(rows) for rows in split_tensor_dict(reordered, count)]


def keep_groups_together(order: Sequence[int], group_size: int) -> list[int]:
    """Rows in this order, but the rows of a prompt one after the other where the first of them is.

    >>> keep_groups_together([4, 1, 5, 0, 2, 3], 2)
    [4, 5, 1, 0, 2, 3]
    """
    rows_by_group: dict[int, list[int]] = {}
    for row in order:
        rows_by_group.setdefault(row // group_size, []).append(row)
    return [row for rows in rows_by_group.values() for row in rows]


def reorder_rows(column: Any, order: list[int]) -> Any:
    """The rows of a column of TRL's batch in this order; a column without rows stays as it is."""
    if column is None or (isinstance(column, Tensor) and column.ndim == 0):
        return column
    return column[order] if isinstance(column, Tensor) else [column[i] for i in order]
