"""Keys and values while tokens are decoded: not copied for every token, and of a prompt held once.

The library's cache joins its keys and values with those of each new token, and so copies itself whole once a
token; rows that decode on one prompt each have a copy of it, and read it. Both are more than half of what
decoding costs where prompts are long.

* `reserve`: the same cache with room behind its layers. Nothing that reads it can tell.
* `hold`: prompts that several rows decode on are kept apart, as a `Held`; the cache is left with the rows'
  own tokens. The model gets it as `shared`, by which its attention reads both (see `packed_rows`).
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
"""Tokens, of which a layer has room for a multiple."""


class _Layer(DynamicLayer):
    """The native layer, writing into room behind its keys and values, (rows, heads, length, width) each."""

    keys: Tensor
    values: Tensor
    room: tuple[Tensor, Tensor]
    """What `keys` and `values` are the beginnings of."""
    written: Tensor | None = None
    """The `keys` of which that is true, until something puts others there."""
    before = 0
    """Tokens that are not here but held."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As natively, for tokens that no gradient goes through."""
        start, end = (self.keys.shape[-2] + more for more in (0, key_states.shape[-2]))
        if self.keys is not self.written or end > self.room[0].shape[-2]:
            self.room = (_with_room(self.keys, end), _with_room(self.values, end))
        for buffer, states in zip(self.room, (key_states, value_states), strict=True):
            buffer[..., start:end, :] = states
        self.keys, self.values = (buffer[..., :end, :] for buffer in self.room)
        self.written = self.keys
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.before + self.keys.shape[-2]


def _with_room(old: Tensor, end: int) -> Tensor:
    buffer = old.new_empty(*old.shape[:-2], math.ceil(end / ROOM) * ROOM, old.shape[-1])
    buffer[..., : old.shape[-2], :] = old
    return buffer


def _layer(keys: Tensor, values: Tensor, *, before: int = 0) -> _Layer:
    layer = _Layer()
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values, layer.before = keys, values, before
    return layer


def reserve(cache: DynamicCache, length: int) -> None:
    """Give the layers of a cache room, those that drop none of `length` tokens, all in all."""
    for i, layer in enumerate(cache.layers):
        sliding = type(layer) is DynamicSlidingWindowLayer and length < layer.sliding_window
        if layer.is_initialized and (sliding or type(layer) is DynamicLayer):
            cache.layers[i] = _layer(layer.keys, layer.values)


@dataclass(frozen=True, slots=True)
class Groups:
    """Which rows are on which prompt."""

    place: Tensor
    """For each row, its prompt, (rows,)."""
    prompts: int
    size: int
    """Rows of a prompt, at most."""
    slot: Tensor | None = None
    """For each row, its place among `size` rows for each prompt; None if these are the rows as they stand."""

    @classmethod
    def of(cls, place: Tensor, prompts: int) -> Self:
        earlier = (place[:, None] == place).tril(-1).sum(1)
        size = int(earlier.max()) + 1
        slot = place * size + earlier
        full = torch.equal(slot, torch.arange(prompts * size, device=slot.device))
        return cls(place, prompts, size, None if full else slot)

    def joined(self, rows: Tensor) -> Tensor:
        """(rows, heads, queries, n) -> (prompts, heads, size * queries, n)."""
        if self.slot is not None:
            rows = rows.new_zeros(self.prompts * self.size, *rows.shape[1:]).index_copy(0, self.slot, rows)
        return rows.unflatten(0, (-1, self.size)).transpose(1, 2).flatten(2, 3)

    def apart(self, prompts: Tensor) -> Tensor:
        """The way back."""
        rows = prompts.unflatten(2, (self.size, -1)).transpose(1, 2).flatten(0, 1)
        return rows if self.slot is None else rows[self.slot]


@dataclass(frozen=True, slots=True)
class Held:
    """Prompts that rows decode on."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values of each, fp32 (prompts, key heads, length, width)."""
    bias: Tensor | None
    """0 for tokens and -inf for padding, fp32 (prompts, 1, 1, length); None if nothing is padded."""
    groups: Groups

    def select(self, rows: Tensor) -> Self:
        """For some of the rows."""
        return replace(self, groups=Groups.of(self.groups.place[rows], self.groups.prompts))

    def attend(self, module: Any, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attention of one token a row to its prompt and to its own tokens: one softmax over both, in fp32.

        Args:
            query: (rows, heads, 1, width).
            key: Of the row's own tokens, (rows, key heads, tokens, width); so is `value`.

        Returns:
            (rows, 1, heads, width).
        """
        keys, values = self.layers[module.layer_idx]
        with torch.autocast(query.device.type, enabled=False):
            query = query.float().unflatten(1, (keys.shape[1], -1))[:, :, :, 0] * scaling
            scores = self.groups.joined(query) @ keys.mT
            scores = self.groups.apart(scores if self.bias is None else scores + self.bias)
            both = torch.cat([scores, query @ key.float().mT], dim=-1).softmax(-1)
            old, own = both.split([keys.shape[2], key.shape[2]], dim=-1)
            found = self.groups.apart(self.groups.joined(old) @ values) + own @ value.float()
        return found.flatten(1, 2)[:, None].to(value.dtype)


def hold(cache: DynamicCache, known: Tensor | None, groups: Groups) -> Held | None:
    """Take the prompts out of a cache with room, and leave it to the rows that decode on them.

    None, and nothing is done, if a layer has no room: it may drop a prompt's first tokens.

    Args:
        known: 1 for the prompts' tokens and 0 for padding, (prompts, length); None if nothing is padded.
    """
    if not all(isinstance(layer, _Layer) for layer in cache.layers):
        return None
    layers = tuple((layer.keys.float(), layer.values.float()) for layer in cache.layers)
    bias = None
    if known is not None and not known.all():
        bias = torch.zeros(known.shape, device=known.device).masked_fill(known == 0, -torch.inf)[
            :, None, None
        ]
    for i, layer in enumerate(cache.layers):
        shape = (len(groups.place), layer.keys.shape[1], 0, layer.keys.shape[3])
        empty = [part.new_empty(shape) for part in (layer.keys, layer.values)]
        cache.layers[i] = _layer(*empty, before=layer.keys.shape[2])
    return Held(layers, bias, groups)
