"""A cache whose rows have their own lengths: each row writes its keys behind its own last token.

A refused draft leaves nothing behind: its keys lie beyond the row's length, are seen by no query, and the
next tokens are written over them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from chexphi.models.shared_prompts.kv_cache import ROOM, RoomyLayer


@dataclass(slots=True)
class Columns:
    """Where the rows of all layers write next."""

    columns: Tensor
    """Of the tokens that are read, int (rows, tokens)."""
    width: int
    """Columns that are in use then."""
    first_column: int | None = None
    """The first of the columns where all rows have the same; None where they differ."""


class _RowLayer(DynamicLayer):
    """A layer with keys and values in buffers, (rows, key heads, room, width) each.

    Args:
        keys: Of the prompts, (rows, key heads, length, width); so are `values`.
        values: See `keys`.
        columns: Where the next tokens go; shared by all layers.
    """

    def __init__(self, keys: Tensor, values: Tensor, columns: Columns) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values, self._columns = keys, values, columns

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Write tokens of each row, (rows, key heads, tokens, width); returns what is held after it."""
        columns, width, start = self._columns.columns, self._columns.width, self._columns.first_column
        self.keys, self.values = (_with_room(states, width) for states in (self.keys, self.values))
        if start is not None:  # a slice takes a third of the time
            self.keys[:, :, start:width], self.values[:, :, start:width] = key_states, value_states
        else:
            rows = torch.arange(len(columns), device=columns.device)[:, None]
            self.keys[rows, :, columns] = key_states.transpose(1, 2)
            self.values[rows, :, columns] = value_states.transpose(1, 2)
        return self.keys[:, :, :width], self.values[:, :, :width]

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some of the rows, int (kept,); only those that change their place are copied."""
        places = torch.arange(len(indices), device=indices.device)
        moves = indices != places
        for states in (self.keys, self.values):
            states[places[moves]] = states[indices[moves]]
        self.keys, self.values = self.keys[: len(indices)], self.values[: len(indices)]

    def get_seq_length(self) -> int:
        return self._columns.width


def _with_room(states: Tensor, columns: int) -> Tensor:
    """The states (..., length, width), in a tensor with room for at least so many columns."""
    length = states.shape[-2]
    if length >= columns:
        return states
    room = math.ceil(columns / ROOM) * ROOM
    return torch.nn.functional.pad(states, (0, 0, 0, room - length))


def holds_all(cache: DynamicCache) -> bool:
    """Whether the layers hold every token of a row; see `kv_cache.reserve`."""
    return all(isinstance(layer, RoomyLayer) for layer in cache.layers)


def by_rows(cache: DynamicCache) -> Columns:
    """Let the rows of a cache have their own lengths from here on; all layers have to hold every token."""
    columns = Columns(torch.empty(0, 0, dtype=torch.long), 0)
    for number, layer in enumerate(cache.layers):
        cache.layers[number] = _RowLayer(layer.keys, layer.values, columns)
    return columns


def in_buffers(layers: Sequence[tuple[Tensor, Tensor]]) -> tuple[DynamicCache, Columns]:
    """A cache of rows with their own lengths that never grows: its width is that of the buffers.

    Args:
        layers: Keys and values of each layer, (rows, key heads, width, head width).
    """
    columns = Columns(torch.empty(0, 0, dtype=torch.long), layers[0][0].shape[2])
    cache = DynamicCache()
    cache.layers = [_RowLayer(keys, values, columns) for keys, values in layers]
    return cache, columns
