"""The rows of a batch that are not finished, and what the model has read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chexphi.models.rollout import row_cache
from chexphi.models.rollout.draft_table import Ids
from chexphi.models.rollout.row_cache import Columns
from chexphi.models.rollout.sampling import TokenSampler, on_host
from chexphi.models.shared_prompts import packed_rows
from chexphi.models.shared_prompts.kv_cache import HeldPrompts, RowGroups
from chexphi.models.shared_prompts.prefill import prepare_decoding_cache
from chexphi.models.shared_prompts.read_prompts import PromptsRead


@dataclass(slots=True)
class Rows:
    """Rows that decode, each with a length of its own."""

    model: Any
    sampler: TokenSampler
    cache: Any
    held_prompts: HeldPrompts | None
    """Keys and values of prompts that several rows share; None if each row has its own in the cache."""
    prompt_mask: Tensor
    """True where the cache holds a token of the prompt, (rows, prompt); no columns if prompts are held."""
    last_position: Tensor
    """Of each prompt's last token, (..., rows, 1)."""
    columns: Columns | None
    """Where rows write; None for a cache that drops tokens, whose rows go on in step and take no drafts."""

    @classmethod
    def after(
        cls,
        model: Any,
        prompts_read: PromptsRead,
        prompt_of_row: Tensor,
        sampler: TokenSampler,
        *,
        new_tokens: int,
    ) -> Self:
        """Rows that begin after prompts that the model has read.

        Args:
            model: The policy.
            prompts_read: The prompts.
            prompt_of_row: The prompt of each row, int (rows,).
            sampler: Of these rows.
            new_tokens: Of a row, at most.
        """
        count, length = prompts_read.mask.shape
        groups = RowGroups.of(prompt_of_row, count) if len(prompt_of_row) > count else None
        held_prompts = prepare_decoding_cache(
            model, prompts_read.cache, prompts_read.mask, groups, length + new_tokens, model.prompt_sharing
        )
        if groups is None and not torch.equal(
            prompt_of_row, torch.arange(count, device=prompt_of_row.device)
        ):
            prompts_read.cache.batch_select_indices(prompt_of_row)
        mask = prompts_read.mask[prompt_of_row].bool()
        is_ragged = row_cache.holds_all(prompts_read.cache) and packed_rows.enable(model)
        return cls(
            model,
            sampler,
            prompts_read.cache,
            held_prompts,
            mask if held_prompts is None else mask[:, :0],
            prompts_read.last_position[..., prompt_of_row, :],
            row_cache.by_rows(prompts_read.cache) if is_ragged else None,
        )

    def drafts(self, draft_count: int) -> int:
        """How many drafts a row the next forward takes."""
        return 0 if self.columns is None else draft_count

    def keep(self, rows: Tensor) -> None:
        """Keep only some of the rows, int (kept,)."""
        self.sampler = self.sampler.select(rows)
        self.cache.batch_select_indices(rows)
        self.held_prompts = self.held_prompts and self.held_prompts.select(rows)
        self.prompt_mask, self.last_position = self.prompt_mask[rows], self.last_position[..., rows, :]

    def sample(self, sampled: Sequence[Sequence[int]], drafts: Ids) -> tuple[Ids, NDArray[np.float64]]:
        """Read the last token of each row and its drafts, and sample after each.

        Args:
            sampled: The tokens of each row so far, at least one.
            drafts: int (rows, drafts).

        Returns:
            Tokens, and their log-probabilities at temperature 1, (rows, 1 + drafts) each.
        """
        device = self.prompt_mask.device
        last_ids = np.array([[ids[-1]] for ids in sampled], np.int64)
        input_ids = torch.from_numpy(np.concatenate([last_ids, drafts], 1)).to(device)
        held_counts = [len(ids) - 1 for ids in sampled]
        steps = torch.arange(input_ids.shape[1], device=device)
        own_columns = torch.tensor(held_counts, device=device)[:, None] + steps
        own_width = max(held_counts) + input_ids.shape[1]
        if self.columns is not None:
            prompt_length, is_in_step = self.prompt_mask.shape[1], len(set(held_counts)) == 1
            self.columns.columns, self.columns.width = own_columns + prompt_length, prompt_length + own_width
            self.columns.first_column = prompt_length + held_counts[0] if is_in_step else None
        output = self.model(
            input_ids=input_ids,
            attention_mask=self._mask(own_columns, own_width),
            position_ids=self.last_position + 1 + own_columns,
            cache=self.cache,
            use_cache=True,
            **({} if self.held_prompts is None else {"held_prompts": self.held_prompts}),
        )
        return on_host(self.sampler.draw(output.logits, own_columns + 1))

    def _mask(self, own_columns: Tensor, own_width: int) -> Tensor:
        """What each token sees, bool (rows, 1, tokens, width); for rows in step 1 a token, (rows, width)."""
        if self.columns is None:
            ones = self.prompt_mask.new_ones(len(own_columns), own_width)
            return torch.cat([self.prompt_mask, ones], 1).long()
        sees_own = torch.arange(own_width, device=own_columns.device) <= own_columns[..., None]
        sees_prompt = self.prompt_mask[:, None].expand(-1, own_columns.shape[1], -1)
        return torch.cat([sees_prompt, sees_own], -1)[:, None]
