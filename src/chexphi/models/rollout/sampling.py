"""The tokens that fixed numbers choose: by the inverse of the distribution, or the most likely ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chexphi.models.rollout.draft_table import Ids
from chexphi.models.rollout.numbers import RowNumbers
from chexphi.schema import NotFiniteError

Warper = Callable[[Tensor], Tensor]
"""Scores (rows, vocabulary) -> scores of the same shape; it looks at nothing else. Warpers that are equal do
the same."""
_NO_TOKEN = -1
"""In place of a token where the scores are nan."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """A warper that divides the scores by a temperature."""

    temperature: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Scores of any shape -> scores."""
        return scores / self.temperature


@dataclass(frozen=True, slots=True)
class TokenSampler:
    """How the next token follows from its scores; nothing of it waits for the device."""

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

    def draw(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Tokens and their log-probabilities at temperature 1, fp64 (2, rows, tokens); see `on_host`.

        Args:
            logits: Of the next token, (rows, tokens, vocabulary).
            positions: Of the tokens in their completions, int (rows, tokens).
        """
        logits = logits.float()
        tokens = self.tokens(logits, positions)
        chosen_logits = logits.gather(-1, tokens.clamp(min=0)[..., None])[..., 0]
        return torch.stack([tokens.double(), (chosen_logits - logits.logsumexp(-1)).double()])

    def tokens(self, logits: Tensor, positions: Tensor) -> Tensor:
        """The tokens at some positions of each row, int (rows, tokens); -1 where the scores are nan.

        Args:
            logits: In fp32, (rows, tokens, vocabulary).
            positions: Of the tokens in their completions, int (rows, tokens).
        """
        units = None if self.numbers is None else self.numbers.at(positions)
        token_columns = []
        for column in range(logits.shape[1]):  # one at a time: the sums are as large as the logits
            scores = logits[:, column]
            if self.forbidden:
                scores = scores.clone()
                for token in self.forbidden:  # a tensor of them would be copied from the host
                    scores[:, token] = -torch.inf
            scores = scores if self.warp is None else self.warp(scores)
            token_columns.append(scores.argmax(-1) if units is None else _drawn(scores, units[:, column]))
        return torch.stack(token_columns, 1)


def _drawn(scores: Tensor, units: Tensor) -> Tensor:
    """The token of each row (rows,) in whose share of [0, 1) the number lies; tokens in the order of ids."""
    sums = scores.softmax(-1).double().cumsum(-1)
    tokens = torch.searchsorted(sums, units[:, None] * sums[:, -1:], right=True)[:, 0]
    return tokens.where(~sums[:, -1].isnan(), _NO_TOKEN)


def on_host(drawn: Tensor) -> tuple[Ids, NDArray[np.float64]]:
    """Tokens and log-probabilities, (rows, tokens) each, in one copy from the device.

    Args:
        drawn: As `TokenSampler.draw` returns them.

    Raises:
        NotFiniteError: If scores were nan.
    """
    tokens, logprobs = drawn.cpu().numpy()
    if (tokens == _NO_TOKEN).any():
        raise NotFiniteError("the policy's scores of the next token are nan: no token can be drawn from them")
    return tokens.astype(np.int64), logprobs
