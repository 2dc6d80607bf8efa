"""A key-value cache that grows in blocks: one token more does not copy all that is held."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer

ROOM = 64
"""Positions of room that an allocation leaves for tokens to come."""


class RoomyLayer(DynamicLayer):
    """`DynamicLayer` whose `keys` and `values` (batch, heads, length, head_dim) are views of larger buffers."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled():  # writing in place would spoil what the backward pass needs
            self._buffers = None
            return super().update(key_states, value_states, *args, **kwargs)
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        held = self.get_seq_length()
        length = held + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < length:
            batch, heads, _, width = key_states.shape
            self._buffers = tuple(
                states.new_empty(batch, heads, length + ROOM, states.shape[-1]) for states in (key_states, value_states)
            )
            if held:
                self._buffers[0][:, :, :held], self._buffers[1][:, :, :held] = self.keys, self.values
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, held:length] = states
        self.keys, self.values = (buffer[:, :, :length] for buffer in self._buffers)
        return self.keys, self.values

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._buffers = None

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._buffers = None

    def crop(self, tokens_to_remove: int) -> None:
        super().crop(tokens_to_remove)
        self._buffers = None

    def reorder_cache(self, beam_idx: Tensor) -> None:
        super().reorder_cache(beam_idx)
        self._buffers = None

    def reset(self) -> None:
        super().reset()
        self._buffers = None


def roomy_cache(config: PreTrainedConfig) -> DynamicCache:
    """An empty cache for a model without sliding windows; the library's own for one with them."""
    cache = DynamicCache(config=config)
    if all(type(layer) is DynamicLayer for layer in cache.layers):
        cache.layers = [RoomyLayer() for _ in cache.layers]
    return cache
