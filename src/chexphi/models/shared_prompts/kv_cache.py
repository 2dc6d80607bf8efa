"""Keys and values while tokens are decoded: not copied for every token, and of a prompt held once.

The library's cache joins its keys and values with those of each new token, and so copies itself whole at
every token. Rows that decode on one prompt have a copy of it each, and read it. Where prompts are long, the
two are more than half of what decoding costs.

* `reserve`: the same cache with spare room in its layers. What reads it notices no difference.
* `hold_prompts`: prompts that several rows decode on are kept apart, as `HeldPrompts`; the cache is left with
  the rows' own tokens. The model gets the prompts as `held_prompts`, and its attention reads both (see
  `packed_rows`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

ROOM = 64
"""The room of a layer is a multiple of this many tokens."""


class RoomyLayer(DynamicLayer):
    """The native layer with spare room after its keys and values, (rows, key heads, length, width) each."""

    keys: Tensor
    values: Tensor
    buffers: tuple[Tensor, Tensor]
    """`keys` and `values` are views of the beginnings of these."""
    buffered_keys: Tensor | None = None
    """The `keys` for which that is true; the library may put other keys in their place."""
    held_tokens = 0
    """Tokens that come before these, and are in `HeldPrompts`."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Add tokens as the native method does; no gradient goes through them."""
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if self.keys is not self.buffered_keys or end > self.buffers[0].shape[-2]:
            self.buffers = (_with_room(self.keys, end), _with_room(self.values, end))
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[..., start:end, :] = states
        self.keys, self.values = (buffer[..., :end, :] for buffer in self.buffers)
        self.buffered_keys = self.keys
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.held_tokens + self.keys.shape[-2]


def _with_room(states: Tensor, end: int) -> Tensor:
    """A copy of (..., length, width) in a tensor with room for at least `end` tokens."""
    buffer = states.new_empty(*states.shape[:-2], math.ceil(end / ROOM) * ROOM, states.shape[-1])
    buffer[..., : states.shape[-2], :] = states
    return buffer


def _roomy_layer(keys: Tensor, values: Tensor, *, held_tokens: int = 0) -> RoomyLayer:
    layer = RoomyLayer()
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values, layer.held_tokens = keys, values, held_tokens
    return layer


def reserve(cache: DynamicCache, length: int) -> None:
    """Give room to the layers of a cache that drop no token of a row with `length` tokens in all."""
    for i, layer in enumerate(cache.layers):
        sliding = type(layer) is DynamicSlidingWindowLayer and length < layer.sliding_window
        if layer.is_initialized and (sliding or type(layer) is DynamicLayer):
            cache.layers[i] = _roomy_layer(layer.keys, layer.values)


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Which rows decode on which prompt."""

    prompt_of_row: Tensor
    """The number of each row's prompt, int (rows,)."""
    prompts: int
    size: int
    """Rows of a prompt, at most."""
    slot_of_row: Tensor | None = None
    """Each row's place in a table with `size` rows a prompt, (rows,); None if the rows are that table."""

    @classmethod
    def of(cls, prompt_of_row: Tensor, prompts: int) -> Self:
        earlier_rows = (prompt_of_row[:, None] == prompt_of_row).tril(-1).sum(1)
        size = int(earlier_rows.max()) + 1
        slots = prompt_of_row * size + earlier_rows
        is_table = torch.equal(slots, torch.arange(prompts * size, device=slots.device))
        return cls(prompt_of_row, prompts, size, None if is_table else slots)

    def merge(self, states: Tensor) -> Tensor:
        """(rows, heads, queries, n) -> (prompts, heads, size * queries, n)."""
        if self.slot_of_row is not None:
            table = states.new_zeros(self.prompts * self.size, *states.shape[1:])
            states = table.index_copy(0, self.slot_of_row, states)
        return states.unflatten(0, (-1, self.size)).transpose(1, 2).flatten(2, 3)

    def split(self, states: Tensor) -> Tensor:
        """Undo `merge`: (prompts, heads, size * queries, n) -> (rows, heads, queries, n)."""
        table = states.unflatten(2, (self.size, -1)).transpose(1, 2).flatten(0, 1)
        return table if self.slot_of_row is None else table[self.slot_of_row]


@dataclass(frozen=True, slots=True)
class HeldPrompts:
    """Keys and values of prompts, held once for all rows that decode on them."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values of each layer, fp32 (prompts, key heads, length, width)."""
    bias: Tensor | None
    """0 for tokens and -inf for padding, fp32 (prompts, 1, 1, length); None if nothing is padded."""
    groups: RowGroups

    def select(self, rows: Tensor) -> Self:
        """The same prompts for some of the rows, int (chosen,)."""
        return replace(self, groups=RowGroups.of(self.groups.prompt_of_row[rows], self.groups.prompts))

    def attend(
        self,
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        own_mask: Tensor | None = None,
    ) -> Tensor:
        """Attention of rows to their prompts and to their own tokens: one softmax over both, in fp32.

        Args:
            module: The attention layer.
            query: (rows, heads, queries, width).
            key: Of the row's own tokens, (rows, key heads, tokens, width); so is `value`.
            value: See `key`.
            scaling: The query is multiplied by it.
            own_mask: What a query sees of its row's own tokens, bool (rows, 1, queries, tokens); None: all.

        Returns:
            (rows, queries, heads, width).
        """
        prompt_keys, prompt_values = self.layers[module.layer_idx]
        queries = query.shape[2]
        with torch.autocast(query.device.type, enabled=False):
            # (rows, key heads, heads of a key head * queries, width)
            query = query.float().unflatten(1, (prompt_keys.shape[1], -1)).flatten(2, 3) * scaling
            prompt_scores = self.groups.merge(query) @ prompt_keys.mT
            if self.bias is not None:
                prompt_scores = prompt_scores + self.bias
            own_scores = query @ key.float().mT
            if own_mask is not None:
                own_scores = own_scores.unflatten(2, (-1, queries))
                own_scores = own_scores.masked_fill(~own_mask[:, :, None], -torch.inf).flatten(2, 3)
            scores = torch.cat([self.groups.split(prompt_scores), own_scores], dim=-1)
            weights = scores.softmax(-1)
            prompt_weights, own_weights = weights.split([prompt_keys.shape[2], key.shape[2]], dim=-1)
            prompt_sums = self.groups.split(self.groups.merge(prompt_weights) @ prompt_values)
            sums = prompt_sums + own_weights @ value.float()
        return sums.unflatten(2, (-1, queries)).flatten(1, 2).transpose(1, 2).to(value.dtype)


def hold_prompts(cache: DynamicCache, mask: Tensor | None, groups: RowGroups) -> HeldPrompts | None:
    """Take the prompts out of a cache with room, and leave it to the rows that decode on them.

    None, and nothing is done, if a layer has no room: it may drop a prompt's first tokens.

    Args:
        cache: Of the prompts, (prompts, key heads, length, width) in every layer.
        mask: 1 for the prompts' tokens and 0 for padding, (prompts, length); None if nothing is padded.
        groups: Which rows are on which prompt.
    """
    if not all(isinstance(layer, RoomyLayer) for layer in cache.layers):
        return None
    layers = tuple((layer.keys.float(), layer.values.float()) for layer in cache.layers)
    bias = None
    if mask is not None and not mask.all():
        zeros = torch.zeros(mask.shape, device=mask.device)
        bias = zeros.masked_fill(mask == 0, -torch.inf)[:, None, None]
    for i, layer in enumerate(cache.layers):
        shape = (len(groups.prompt_of_row), layer.keys.shape[1], 0, layer.keys.shape[3])
        no_keys, no_values = (states.new_empty(shape) for states in (layer.keys, layer.values))
        cache.layers[i] = _roomy_layer(no_keys, no_values, held_tokens=layer.keys.shape[2])
    return HeldPrompts(layers, bias, groups)
