"""The tokens that fixed numbers choose: by the inverse of the distribution, or the most likely ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chexphi.models.rollout.numbers import RowNumbers
from chexphi.schema import NotFiniteError

Warper = Callable[[Tensor], Tensor]
"""Scores (rows, vocabulary) -> scores of the same shape; it looks at nothing else."""


@dataclass(frozen=True, slots=True)
class TokenSampler:
    """How the next token follows from its scores."""

    numbers: RowNumbers | None
    """One number a token; None decodes greedily."""
    forbidden: Sequence[int] = ()
    """Ids that are never sampled."""
    warp: Warper | None = None
    """Applied to the logits before the softmax, such as a temperature."""

    def select(self, rows: Tensor) -> TokenSampler:
        """For some of the rows, int (token_columns,)."""
        numbers = self.numbers and self.numbers.select(rows)
        return TokenSampler(numbers, self.forbidden, self.warp)

    def tokens(self, logits: Tensor, positions: Tensor) -> Tensor:
        """The tokens at some positions of each row, int (rows, tokens).

        Args:
            logits: In fp32, (rows, tokens, vocabulary).
            positions: Of the tokens in their completions, int (rows, tokens).
        """
        forbidden = torch.tensor(self.forbidden, dtype=torch.long, device=logits.device)
        units = None if self.numbers is None else self.numbers.at(positions)
        token_columns = []
        for column in range(logits.shape[1]):  # one at a time: the sums are as large as the logits
            scores = logits[:, column].index_fill(1, forbidden, -torch.inf)
            scores = scores if self.warp is None else self.warp(scores)
            token_columns.append(scores.argmax(-1) if units is None else _drawn(scores, units[:, column]))
        return torch.stack(token_columns, 1)


def _drawn(scores: Tensor, units: Tensor) -> Tensor:
    """The token of each row (rows,) in whose share of [0, 1) the number lies; tokens in the order of ids."""
    sums = scores.softmax(-1).double().cumsum(-1)
    if sums[:, -1].isnan().any():
        raise NotFiniteError("the policy's scores of the next token are nan: no token can be drawn from them")
    return torch.searchsorted(sums, units[:, None] * sums[:, -1:], right=True)[:, 0]
