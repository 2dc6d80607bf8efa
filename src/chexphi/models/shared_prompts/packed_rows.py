"""One prompt and its completions as one row: the prompt's tokens and films are read once.

A row is `[prompt without its last token][last token, completion 1][last token, completion 2]…`. The last
token of a prompt predicts the first token of each completion, so each completion has a copy of it in front.
A completion attends to the prompt and to itself, and its positions continue those of the prompt. So its
log-probabilities, and their gradients, are those of the plain row. (The idea is Prefix Grouper's, arXiv
2506.05433.) Gradient checkpointing, LoRA and TRL's fused head work as they do on any row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chexphi.models.shared_prompts import packed_attention
from chexphi.models.shared_prompts.packed_attention import PackedLayout
from chexphi.models.shared_prompts.same_prompts import DistinctPrompts


@dataclass(frozen=True, slots=True)
class PackedRows:
    """A batch of packed rows, and the way back to the plain ones."""

    inputs: dict[str, Any]
    """The model's: `input_ids`, `attention_mask` (of the prompt's tokens), `position_ids`, `shift_labels`,
    `packed_layout`."""
    layout: PackedLayout
    packed_row: Tensor
    """The packed row that each plain row is in, (rows,)."""
    slot: Tensor
    """The number of its completion in that packed row, (rows,)."""

    def unpack(self, values: Tensor) -> Tensor:
        """(packed rows, length, …) -> (plain rows, completion length, …)."""
        completions = values[:, self.layout.prompt_length :]
        return completions.unflatten(1, (self.layout.completions, -1))[self.packed_row, self.slot]


def pack(
    input_ids: Tensor,
    attention_mask: Tensor,
    completion_length: int,
    prompts: DistinctPrompts,
    *,
    positions: Tensor,
    window: int | None = None,
    bidirectional: Tensor | None = None,
) -> PackedRows:
    """Pack rows of left-padded prompts and right-padded completions.

    Args:
        input_ids: int (rows, prompt length + completion length).
        attention_mask: 1 for tokens and 0 for padding, (rows, prompt length + completion length).
        completion_length: Tokens of the completions, padding included.
        prompts: Which row has which prompt.
        positions: Of the distinct prompts' tokens, int (..., prompts, prompt length).
        window: Tokens that layers with a sliding window see.
        bidirectional: bool (prompts, prompt length, prompt length): tokens that see later ones of a prompt.
    """
    first_rows, packed_row = prompts
    end = input_ids.shape[1] - completion_length
    start = int(attention_mask[first_rows, :end].argmax(1).min())  # of the longest prompt
    slot = _slots(prompts)
    completions = int(slot.max()) + 1
    shape = (len(first_rows), completions, completion_length)
    ids, labels = input_ids.new_zeros(shape), input_ids.new_full(shape, -100)
    completion_mask = torch.zeros(shape, dtype=torch.bool, device=input_ids.device)
    ids[packed_row, slot] = input_ids[:, end - 1 : -1]
    last_token_mask = attention_mask[:, :1] * 0 + 1
    completion_mask[packed_row, slot] = torch.cat([last_token_mask, attention_mask[:, end:-1]], 1).bool()
    labels[packed_row, slot] = input_ids[:, end:].masked_fill(attention_mask[:, end:] == 0, -100)
    prompt_columns = slice(start, end - 1)
    if bidirectional is not None:
        bidirectional = bidirectional[:, prompt_columns, prompt_columns]
    prompt_mask = attention_mask[first_rows, prompt_columns].bool()
    layout = make_layout(prompt_mask, completion_mask, window=window, bidirectional=bidirectional)
    completion_positions = positions[..., -1:] + torch.arange(completion_length, device=positions.device)
    prompt_labels = labels.new_full((len(first_rows), end - 1 - start), -100)
    inputs = {
        "input_ids": torch.cat([input_ids[first_rows, prompt_columns], ids.flatten(1)], 1),
        "attention_mask": layout.masks[None][0],
        "position_ids": torch.cat([positions[..., start:-1], completion_positions.tile(completions)], -1),
        "shift_labels": torch.cat([prompt_labels, labels.flatten(1)], 1),
        "packed_layout": layout,
    }
    return PackedRows(inputs, layout, packed_row, slot)


def _slots(prompts: DistinctPrompts) -> Tensor:
    """The number of each row among the rows of its prompt, int (rows,)."""
    prompt_of_row = prompts.prompt_of_row
    slots = torch.zeros_like(prompt_of_row)
    for prompt in range(len(prompts.first_rows)):
        is_of_prompt = prompt_of_row == prompt
        slots[is_of_prompt] = torch.arange(int(is_of_prompt.sum()), device=slots.device)
    return slots


def make_layout(
    prompt_mask: Tensor,
    completion_mask: Tensor,
    *,
    window: int | None = None,
    bidirectional: Tensor | None = None,
) -> PackedLayout:
    """What attention needs to know of packed rows.

    Args:
        prompt_mask: True for tokens and False for padding, (rows, prompt).
        completion_mask: The same of completions, (rows, completions, length).
        window: Tokens that layers with a sliding window see.
        bidirectional: bool (rows, prompt, prompt): tokens that see later ones of a prompt.
    """
    rows, completions, length = completion_mask.shape
    prompt_length = prompt_mask.shape[1]
    prompt_sees = _causal(prompt_mask)
    if bidirectional is not None:
        prompt_sees = prompt_sees | bidirectional
    sees_prompt = prompt_mask[:, None, None, :].expand(rows, completions, length, -1)
    completion_sees = torch.cat([sees_prompt, _causal(completion_mask)], dim=-1).flatten(0, 1)
    masks: dict[int | None, tuple[Tensor, Tensor]] = {None: (prompt_sees[:, None], completion_sees[:, None])}
    if window is not None and window < prompt_length + length:
        position = torch.arange(prompt_length + length, device=prompt_mask.device)
        in_window = position[:, None] - position < window
        prompt_window, completion_window = (
            in_window[:prompt_length, :prompt_length],
            in_window[prompt_length:],
        )
        masks[window] = (
            (prompt_sees & prompt_window)[:, None],
            (completion_sees & completion_window)[:, None],
        )
    return PackedLayout(prompt_length, completions, masks)


def _causal(mask: Tensor) -> Tensor:
    """What tokens (..., length) see of their row, bool (..., length, length); padding sees itself alone."""
    length = mask.shape[-1]
    causal = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    return (causal & mask[..., None, :]) | torch.eye(length, dtype=torch.bool, device=mask.device)


def enable(causal: Any) -> bool:
    """Let a model's language layers read packed rows and held prompts; returns whether its attention can."""
    config = causal.config.get_text_config()
    # of the language layers alone: the property would set the towers' as well
    config._attn_implementation_internal = packed_attention.IMPLEMENTATIONS.get(
        config._attn_implementation, config._attn_implementation
    )
    return config._attn_implementation in packed_attention.IMPLEMENTATIONS.values()
