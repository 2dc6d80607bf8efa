"""One prompt and its completions as one row: the prompt's tokens and films are read once.

A row is `[prompt without its last token][last token, completion 1][last token, completion 2]…`: the last
token of a prompt predicts the first of each completion, so each has it before its own. A completion attends
to the prompt and to itself and counts its positions on from the prompt, so its log-probabilities, and their
gradients, are those of the plain row. (The idea is Prefix Grouper's, arXiv 2506.05433.) Gradient
checkpointing, LoRA and TRL's fused head work as they do on any row.
"""

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

from chexphi.models.shared_prompts.kv_cache import Held

IMPLEMENTATIONS = {"sdpa": "shared_sdpa", "eager": "shared_eager"}
"""Attention implementations that can read packed rows -> the name under which they do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What attention needs to know of packed rows."""

    prompt: int
    """Tokens before the completions, the last one of the prompt not among them."""
    completions: int
    """Of a row, with room for those that a smaller group lacks."""
    masks: dict[int | None, tuple[Tensor, Tensor]]
    """What tokens see, by the sliding window of a layer: bool (rows, 1, prompt, prompt) of a prompt's, and
    (rows * completions, 1, length, prompt + length) of a completion's. None: without a window, or with one
    that is longer than a row."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A batch of packed rows, and the way back to the plain ones."""

    inputs: dict[str, Any]
    """`input_ids`, `attention_mask` (among the prompt's tokens), `position_ids`, `shift_labels`, `shared`."""
    row: Tensor
    """For each plain row, the packed one it is in."""
    slot: Tensor
    """And its place there."""

    def plain(self, values: Tensor) -> Tensor:
        """(packed rows, length, …) -> (plain rows, completion length, …)."""
        layout: Layout = self.inputs["shared"]
        tail = values[:, layout.prompt :]
        return tail.unflatten(1, (layout.completions, -1))[self.row, self.slot]


def pack(
    input_ids: Tensor,
    attention_mask: Tensor,
    keep: int,
    distinct: Tensor,
    place: Tensor,
    *,
    positions: Tensor,
    window: int | None = None,
    both_ways: Tensor | None = None,
) -> Packed:
    """Pack rows of left-padded prompts and right-padded completions.

    Args:
        input_ids: int (rows, length).
        attention_mask: 1 for tokens and 0 for padding, (rows, length).
        keep: Length of the completions.
        distinct: A row of each distinct prompt.
        place: For each row, its prompt's place in `distinct`.
        positions: Of the distinct prompts' tokens, int (..., distinct, length - keep).
        window: Tokens that layers with a sliding window see.
        both_ways: bool (distinct, length - keep, length - keep): tokens that see later ones of a prompt.
    """
    end = input_ids.shape[1] - keep
    first = int(attention_mask[distinct, :end].argmax(1).min())
    slot = torch.zeros_like(place)
    for i in range(len(distinct)):
        same = place == i
        slot[same] = torch.arange(int(same.sum()), device=place.device)
    completions = int(slot.max()) + 1
    known = attention_mask[distinct, first : end - 1].bool()
    shape = (len(distinct), completions, keep)
    ids, labels = input_ids.new_zeros(shape), input_ids.new_full(shape, -100)
    seen = torch.zeros(shape, dtype=torch.bool, device=input_ids.device)
    ids[place, slot] = input_ids[:, end - 1 : -1]
    seen[place, slot] = torch.cat([attention_mask[:, :1] * 0 + 1, attention_mask[:, end:-1]], 1).bool()
    labels[place, slot] = input_ids[:, end:].masked_fill(attention_mask[:, end:] == 0, -100)
    own = positions[..., -1:] + torch.arange(keep, device=positions.device)
    unread = labels.new_full((len(distinct), end - 1 - first), -100)
    if both_ways is not None:
        both_ways = both_ways[:, first : end - 1, first : end - 1]
    shared = layout(known, seen, window=window, both_ways=both_ways)
    inputs = {
        "input_ids": torch.cat([input_ids[distinct, first : end - 1], ids.flatten(1)], 1),
        "attention_mask": shared.masks[None][0],
        "position_ids": torch.cat([positions[..., first:-1], own.tile(completions)], -1),
        "shift_labels": torch.cat([unread, labels.flatten(1)], 1),
        "shared": shared,
    }
    return Packed(inputs, place, slot)


def layout(
    known: Tensor, seen: Tensor, *, window: int | None = None, both_ways: Tensor | None = None
) -> Layout:
    """From real tokens of prompts (rows, prompt) and completions (rows, completions, length)."""
    rows, completions, length = seen.shape
    prompt = known.shape[1]
    own = _causal(known)
    if both_ways is not None:
        own = own | both_ways
    before = known[:, None, None, :].expand(rows, completions, length, -1)
    after = torch.cat([before, _causal(seen)], dim=-1).flatten(0, 1)
    masks: dict[int | None, tuple[Tensor, Tensor]] = {None: (own[:, None], after[:, None])}
    if window is not None and window < prompt + length:
        place = torch.arange(prompt + length, device=known.device)
        near = place[:, None] - place < window
        masks[window] = ((own & near[:prompt, :prompt])[:, None], (after & near[prompt:])[:, None])
    return Layout(prompt, completions, masks)


def _causal(known: Tensor) -> Tensor:
    """What tokens of rows see of their own row, bool (..., length, length); padding sees itself alone."""
    length = known.shape[-1]
    causal = torch.ones(length, length, dtype=torch.bool, device=known.device).tril()
    return (causal & known[..., None, :]) | torch.eye(length, dtype=torch.bool, device=known.device)


def _attention(base: Callable[..., Any]) -> Callable[..., Any]:
    """An attention function that reads packed rows in two parts, and others as `base` does."""

    def attend(
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        shared: Layout | Held | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        """Queries, keys and values (rows, heads, length, width) -> (rows, length, heads, width)."""
        if shared is None:
            return base(module, query, key, value, attention_mask, **kwargs)
        if isinstance(shared, Held):
            return shared.attend(module, query, key, value, kwargs["scaling"]), None
        prompt, count = shared.prompt, shared.completions
        masks = shared.masks.get(kwargs.get("sliding_window"), shared.masks[None])
        own, every = (_fitting(mask, base, query) for mask in masks)
        before, after = zip(*(part.tensor_split([prompt], 2) for part in (query, key, value)), strict=True)
        first, _ = base(module, *before, own, **kwargs)
        queries, keys, values = (_apart(part, count) for part in after)
        keys, values = (
            torch.cat([_repeated(old, count), new], dim=2)
            for old, new in zip(before[1:], (keys, values), strict=True)
        )
        second, _ = base(module, queries, keys, values, every, **kwargs)
        return torch.cat([first, second.unflatten(0, (-1, count)).flatten(1, 2)], dim=1), None

    return attend


def _apart(packed: Tensor, count: int) -> Tensor:
    """(rows, heads, count * length, width) -> (rows * count, heads, length, width)."""
    return packed.unflatten(2, (count, -1)).transpose(1, 2).flatten(0, 1)


def _repeated(prompt: Tensor, count: int) -> Tensor:
    """(rows, heads, length, width) -> (rows * count, heads, length, width)."""
    return prompt[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)


def _fitting(mask: Tensor, base: Callable[..., Any], query: Tensor) -> Tensor:
    """The eager function, the same in every family, adds its mask."""
    if base is not eager_attention_forward:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, torch.finfo(query.dtype).min)


def enable(causal: Any) -> bool:
    """Let a model's language layers read packed rows; says whether its attention can."""
    config = causal.config.get_text_config()
    # of the language layers alone: the property would set the towers' as well
    config._attn_implementation_internal = IMPLEMENTATIONS.get(
        config._attn_implementation, config._attn_implementation
    )
    return config._attn_implementation in IMPLEMENTATIONS.values()


AttentionInterface.register("shared_sdpa", _attention(sdpa_attention_forward))
AttentionInterface.register("shared_eager", _attention(eager_attention_forward))
AttentionMaskInterface.register("shared_sdpa", sdpa_mask)
AttentionMaskInterface.register("shared_eager", eager_mask)
