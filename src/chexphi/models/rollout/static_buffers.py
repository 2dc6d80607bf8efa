"""Keys and values of rows in buffers that stay where they are, so that a step over them can be recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chexphi.models.rollout import row_cache
from chexphi.models.rollout.draft_table import Ids
from chexphi.models.rollout.numbers import RowNumbers
from chexphi.models.rollout.row_cache import Columns
from chexphi.models.rollout.sampling import TokenSampler
from chexphi.models.rollout.static_sizes import Sizes, slots_of
from chexphi.models.shared_prompts.kv_cache import HeldPrompts, RowGroups
from chexphi.models.shared_prompts.read_prompts import PromptsRead

States = tuple[Tensor, Tensor]
"""Keys and values of a layer, (rows or prompts, key heads, columns, width) each."""


@dataclass(frozen=True, slots=True, eq=False)
class FirstRows:
    """The first rows of the buffers, as views: what a step reads and writes."""

    fed: Tensor
    """Columns that the row holds, its last token, its drafts: int (rows, 2 + drafts)."""
    row_keys: Tensor
    """Of the rows' random numbers, int (rows,)."""
    last_position: Tensor
    """Of each prompt's last token, (..., rows, 1)."""
    last_column: Tensor
    """Of a completion's last token, int (): tokens behind it have its position."""
    cache: Any
    columns: Columns
    """Where the cache writes."""
    held_prompts: HeldPrompts


def step(model: Any, rows: FirstRows, sampler: TokenSampler, tokens: int) -> Tensor:
    """One forward of so many tokens a row, and what is sampled after each: fp64 (2, rows, tokens).

    All shapes and addresses are fixed, nothing comes from the host, and nothing waits for the device. Run
    again, it gives the same.

    Args:
        model: The policy.
        rows: The rows.
        sampler: How tokens follow from scores; its numbers are replaced by those of the rows.
        tokens: Of each row: the last one and its drafts.
    """
    steps = torch.arange(tokens, device=rows.fed.device)
    own_columns = rows.fed[:, :1] + steps
    rows.columns.columns = own_columns
    sees = torch.arange(rows.columns.width, device=rows.fed.device) <= own_columns[..., None]
    output = model(
        input_ids=rows.fed[:, 1 : 1 + tokens],
        attention_mask=sees[:, None],
        position_ids=rows.last_position + 1 + own_columns.minimum(rows.last_column),
        cache=rows.cache,
        use_cache=True,
        held_prompts=rows.held_prompts,
    )
    numbers = None if sampler.numbers is None else RowNumbers(rows.row_keys)
    return TokenSampler(numbers, sampler.forbidden, sampler.warp).draw(output.logits, own_columns + 1)


class Buffers:
    """Of rows and their prompts; `begin` fills them for a call.

    Args:
        sizes: Of the buffers.
        layers: Keys and values of prompts, (prompts, key heads, length, width) in every layer: their sizes
            and types are taken.
        last_position: Of prompts' last tokens, (..., prompts, 1): its dimensions are taken.
    """

    def __init__(self, sizes: Sizes, layers: Sequence[States], last_position: Tensor) -> None:
        self.sizes = sizes
        device = last_position.device

        def room(rows: int, columns: int, dtype: torch.dtype | None = None) -> list[States]:
            shapes = [[(rows, kind.shape[1], columns, kind.shape[3]) for kind in layer] for layer in layers]
            dtypes = [dtype or layer[0].dtype for layer in layers]
            return [
                (torch.zeros(keys, dtype=kind, device=device), torch.zeros(values, dtype=kind, device=device))
                for (keys, values), kind in zip(shapes, dtypes, strict=True)
            ]

        def numbers(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.long, device=device)

        with torch.inference_mode(False):  # a tensor made in that mode is not written to outside of it
            self._own_states = room(sizes.rows, sizes.own_columns)
            self._prompt_states = room(sizes.prompts, sizes.prompt_columns, torch.float32)
            self._bias = torch.zeros(sizes.prompts, 1, 1, sizes.prompt_columns, device=device)
            self._fed = numbers(sizes.rows, 1 + sizes.tokens)
            self._row_keys, self._prompt_of_row, self._slots = (numbers(sizes.rows) for _ in range(3))
            self._last_position = numbers(*last_position.shape[:-2], sizes.rows, 1)
            self._last_column = numbers()
        self._first_rows: dict[tuple[int, int], FirstRows] = {}

    def begin(
        self, prompts_read: PromptsRead, prompt_of_row: Tensor, sampler: TokenSampler, *, new_tokens: int
    ) -> None:
        """Rows that begin after prompts that the model has read; the rest of the buffers becomes zero.

        Args:
            prompts_read: The prompts; no layer has dropped any of their tokens.
            prompt_of_row: The prompt of each row, int (rows,).
            sampler: Of these rows.
            new_tokens: Of a row, at most.
        """
        mask = prompts_read.mask.bool()
        length = mask.shape[1]
        self._bias.fill_(-torch.inf)
        self._bias[:, 0, 0, :length].masked_fill_(mask, 0)
        for prompt_layer, own_layer, layer in zip(
            self._prompt_states, self._own_states, prompts_read.cache.layers, strict=True
        ):
            for buffer, states in zip(prompt_layer, (layer.keys, layer.values), strict=True):
                buffer[:, :, :length] = states
                buffer[:, :, length:] = 0
            for buffer in own_layer:
                buffer.zero_()  # a nan would reach every row, though none sees it
        self._fed.zero_()
        self._last_position.copy_(prompts_read.last_position[..., prompt_of_row, :])
        self._last_column.fill_(new_tokens - 1)
        if sampler.numbers is not None:
            self._row_keys.copy_(sampler.numbers.keys)

    def move(self, sources: Ids, targets: Ids) -> None:
        """Put rows in the places of others, int (moved,) each."""
        source_rows, target_rows = (
            torch.from_numpy(row_places).to(self._fed.device) for row_places in (sources, targets)
        )
        for states in (state for layer in self._own_states for state in layer):
            states[target_rows] = states[source_rows]
        for values in (self._fed, self._row_keys):
            values[target_rows] = values[source_rows]
        self._last_position[..., target_rows, :] = self._last_position[..., source_rows, :]

    def feed(self, fed: Ids) -> None:
        """Give the first rows what they read next, int (rows, 2 + drafts): see `FirstRows.fed`."""
        self._fed[: len(fed)].copy_(torch.from_numpy(fed))

    def first_rows(self, prompt_of_row: Ids) -> FirstRows:
        """The first rows, whose prompts are these, int (rows,); for the same sizes the same object."""
        slots, size = slots_of(prompt_of_row)
        rows = len(prompt_of_row)
        for buffer, values in ((self._slots, slots), (self._prompt_of_row, prompt_of_row)):
            buffer[:rows].copy_(torch.from_numpy(values))
        if (rows, size) not in self._first_rows:
            self._first_rows[rows, size] = self._views(rows, size)
        return self._first_rows[rows, size]

    def _views(self, rows: int, size: int) -> FirstRows:
        own_layers = [(keys[:rows], values[:rows]) for keys, values in self._own_states]
        cache, columns = row_cache.in_buffers(own_layers)
        groups = RowGroups(self._prompt_of_row[:rows], self.sizes.prompts, size, self._slots[:rows])
        return FirstRows(
            self._fed[:rows],
            self._row_keys[:rows],
            self._last_position[..., :rows, :],
            self._last_column,
            cache,
            columns,
            HeldPrompts(tuple(self._prompt_states), self._bias, groups),
        )
