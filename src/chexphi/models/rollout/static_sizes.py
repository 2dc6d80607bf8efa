"""Sizes of rows at fixed addresses: rounded, so that a few of them serve all calls. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from chexphi.models.rollout.draft_table import Ids

COLUMNS = 128
"""Prompts and completions have room for a multiple of this many tokens."""
MOST_TOKENS = 128
"""That a recorded forward reads: with more, a GPU is bound by arithmetic and drafts are no longer free."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the buffers that rows decode in."""

    rows: int
    prompts: int
    prompt_columns: int
    """Tokens of a prompt, at most."""
    own_columns: int
    """Tokens of a row behind its prompt, at most, with drafts."""
    tokens: int
    """Of a row that a forward reads, at most."""

    @classmethod
    def of(cls, rows: int, prompts: int, prompt_length: int, new_tokens: int, most_drafts: int) -> Self:
        """The sizes for a call.

        Args:
            rows: Of the call.
            prompts: Distinct ones.
            prompt_length: Tokens of a prompt with its padding.
            new_tokens: Of a completion, at most.
            most_drafts: Of a row.
        """
        tokens = 1 + drafts_taken(most_drafts, 1)
        return cls(rows, prompts, _up(prompt_length, COLUMNS), _up(new_tokens + tokens, COLUMNS), tokens)

    def same_rows(self, sizes: Sizes) -> bool:
        """Whether both are of as many rows and prompts."""
        return (self.rows, self.prompts) == (sizes.rows, sizes.prompts)

    def widened(self, sizes: Sizes) -> Sizes:
        """Sizes that hold both: padding changes nothing. Both are of as many rows and prompts."""
        return Sizes(
            self.rows,
            self.prompts,
            max(self.prompt_columns, sizes.prompt_columns),
            max(self.own_columns, sizes.own_columns),
            max(self.tokens, sizes.tokens),
        )

    def byte_count(self, layers: int, key_values: int, element_size: int) -> int:
        """Of the keys and values: those of prompts are held in fp32.

        >>> Sizes(64, 8, 640, 384, 8).byte_count(32, 8 * 128, 2) / 2**30  # Phi-4 in bf16
        4.25

        Args:
            layers: Of the language model.
            key_values: Numbers that a key of one token has: key heads x width.
            element_size: Bytes of a number of the model's type.
        """
        prompt_bytes = 4 * self.prompts * self.prompt_columns
        own_bytes = element_size * self.rows * self.own_columns
        return 2 * layers * key_values * (prompt_bytes + own_bytes)


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _power_of_two(count: int) -> int:
    """The smallest that is at least so large."""
    return 1 << (count - 1).bit_length()


def drafts_taken(draft_count: int, rows: int) -> int:
    """Drafts of each row: a forward reads a power of 2 of tokens a row, and `MOST_TOKENS` at most.

    >>> [drafts_taken(8, rows) for rows in (4, 16, 24, 64, 128, 500)]
    [7, 7, 3, 1, 0, 0]
    >>> [drafts_taken(count, 4) for count in (0, 1, 2, 3, 6, 7)]
    [0, 1, 1, 3, 3, 7]
    """
    tokens = max(1, min(1 + draft_count, MOST_TOKENS // rows))
    return (1 << (tokens.bit_length() - 1)) - 1


def rows_read(live: int, rows: int) -> int:
    """Rows that a forward reads: fewer once at most half of them are live.

    >>> [rows_read(live, 24) for live in (24, 13, 12, 5, 1)]
    [24, 24, 16, 8, 1]

    Args:
        live: Rows that have not ended.
        rows: Rows that the last forward read.
    """
    return rows if 2 * live > rows else _power_of_two(live)


def moves(live_places: Ids, rows: int) -> tuple[Ids, Ids]:
    """Which rows go where, so that all live ones are among the first; two times int (moved,).

    >>> [places.tolist() for places in moves(np.array([5, 0, 7]), 4)]
    [[5, 7], [1, 2]]

    Args:
        live_places: Of the live rows, int (live,).
        rows: The first ones; at least as many as are live.
    """
    sources = np.sort(live_places[live_places >= rows])
    free = np.setdiff1d(np.arange(rows), live_places)
    return sources, free[: len(sources)]


def slots_of(prompt_of_row: Ids) -> tuple[Ids, int]:
    """The place of each row in a table of prompts with a number of rows each, and that number.

    >>> slots, size = slots_of(np.array([1, 0, 1, 1]))
    >>> slots.tolist(), size
    ([4, 0, 5, 6], 4)

    Args:
        prompt_of_row: int (rows,).
    """
    earlier_rows = np.tril(prompt_of_row[:, None] == prompt_of_row, -1).sum(1)
    size = _power_of_two(int(earlier_rows.max()) + 1)
    return prompt_of_row * size + earlier_rows, size
