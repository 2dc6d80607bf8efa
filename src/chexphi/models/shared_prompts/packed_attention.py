"""Attention that reads packed rows, and rows that decode on held prompts; other rows it reads as natively."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import eager_attention_forward

from chexphi.models.shared_prompts.kv_cache import HeldPrompts

IMPLEMENTATIONS = {"sdpa": "shared_sdpa", "eager": "shared_eager"}
"""Native attention implementation -> the name of the one that also reads packed rows."""

Attention = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """What attention needs to know of packed rows."""

    prompt_length: int
    """Tokens before the completions; the last token of the prompt is not among them."""
    completions: int
    """Completions of a row, counting the room for those that a smaller group lacks."""
    masks: dict[int | None, tuple[Tensor, Tensor]]
    """What tokens see, by the sliding window of a layer: of a prompt, bool (rows, 1, prompt, prompt), and of
    a completion, bool (rows * completions, 1, length, prompt + length). None: without a window, or with one
    that is longer than a row."""


def _extended(native: Attention) -> Attention:
    """An attention function that also reads packed rows and held prompts, and other rows as `native` does."""

    def attend(
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        packed_layout: PackedLayout | None = None,
        held_prompts: HeldPrompts | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Any]:
        """Queries, keys and values (rows, heads, length, width) -> (rows, length, heads, width)."""
        if held_prompts is not None:
            # of rows in step the mask also has the prompts' columns: each sees all of its own tokens
            is_own_mask = attention_mask is not None and attention_mask.shape[-1] == key.shape[2]
            own_mask = attention_mask if is_own_mask else None
            return held_prompts.attend(module, query, key, value, kwargs["scaling"], own_mask), None
        if packed_layout is not None:
            return _attend_packed(native, module, query, key, value, packed_layout, **kwargs), None
        if attention_mask is not None and attention_mask.dtype == torch.bool:
            attention_mask = _mask_for(native, attention_mask, query)
        return native(module, query, key, value, attention_mask, **kwargs)

    return attend


def _attend_packed(
    native: Attention,
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: PackedLayout,
    **kwargs: Any,
) -> Tensor:
    """Attention of packed rows in two calls: the prompts to themselves, then the completions to both.

    Queries, keys and values (rows, heads, prompt + completions * length, width) -> (rows, prompt +
    completions * length, heads, width).
    """
    count = layout.completions
    masks = layout.masks.get(kwargs.get("sliding_window"), layout.masks[None])
    prompt_mask, completion_mask = (_mask_for(native, mask, query) for mask in masks)
    prompt_states, completion_states = zip(
        *(states.tensor_split([layout.prompt_length], 2) for states in (query, key, value)), strict=True
    )
    prompt_output, _ = native(module, *prompt_states, prompt_mask, **kwargs)
    queries, keys, values = (_unpacked(states, count) for states in completion_states)
    keys, values = (
        torch.cat([_repeated(prompt, count), completion], dim=2)
        for prompt, completion in zip(prompt_states[1:], (keys, values), strict=True)
    )
    completion_output, _ = native(module, queries, keys, values, completion_mask, **kwargs)
    return torch.cat([prompt_output, completion_output.unflatten(0, (-1, count)).flatten(1, 2)], dim=1)


def _unpacked(packed: Tensor, count: int) -> Tensor:
    """(rows, heads, count * length, width) -> (rows * count, heads, length, width)."""
    return packed.unflatten(2, (count, -1)).transpose(1, 2).flatten(0, 1)


def _repeated(prompt: Tensor, count: int) -> Tensor:
    """(rows, heads, length, width) -> (rows * count, heads, length, width)."""
    return prompt[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)


def _mask_for(native: Attention, mask: Tensor, query: Tensor) -> Tensor:
    """A bool mask as the native function takes it: the eager one, the same in every family, adds its mask."""
    if native is not eager_attention_forward:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, torch.finfo(query.dtype).min)


AttentionInterface.register("shared_sdpa", _extended(sdpa_attention_forward))
AttentionInterface.register("shared_eager", _extended(eager_attention_forward))
AttentionMaskInterface.register("shared_sdpa", sdpa_mask)
AttentionMaskInterface.register("shared_eager", eager_mask)
