"""The tokens that fixed numbers choose, or the most likely ones.

A forward of other rows, or with drafts, rounds a token's probability otherwise, by about 1e-7. Were a token
the place of one number among the sums of all probabilities, each of these sums would be a border that such a
change moves over some numbers: one token in 50,000 became another (docs/log.md). So the vocabulary is a tree.
Each branch is chosen by a number of its own among a few, whose borders alone can move.
"""

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
BRANCHES = 8
"""Of each node of the tree of tokens."""
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
    """None decodes greedily."""
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
        scores = logits.flatten(0, 1)
        if self.forbidden:
            scores = scores.clone()
            for token in self.forbidden:  # a tensor of them would be copied from the host
                scores[:, token] = -torch.inf
        scores = scores if self.warp is None else self.warp(scores)
        if self.numbers is None:
            return scores.argmax(-1).view(positions.shape)
        units = self.numbers.at(positions, depth_of(scores.shape[1]))
        return _drawn(scores, units.flatten(0, 1)).view(positions.shape)


def depth_of(vocabulary: int) -> int:
    """The number of choices that lead to one of so many tokens.

    >>> [depth_of(count) for count in (2, 8, 9, 64, 65)]
    [1, 1, 2, 2, 3]
    """
    depth = 1
    while BRANCHES**depth < vocabulary:
        depth += 1
    return depth


def _drawn(scores: Tensor, units: Tensor) -> Tensor:
    """The token of each row (rows,) that its numbers, (rows, depth), lead to from the root of the tree."""
    shares = scores.softmax(-1)
    levels = []
    for _ in range(units.shape[1]):
        shares = torch.nn.functional.pad(shares, (0, -shares.shape[1] % BRANCHES))
        levels.append(shares.unflatten(1, (-1, BRANCHES)))
        shares = levels[-1].sum(-1, dtype=torch.float64)
    rows = torch.arange(len(scores), device=scores.device)
    nodes = torch.zeros_like(rows)
    for level, unit in zip(reversed(levels), units.unbind(1), strict=True):
        sums = level[rows, nodes].double().cumsum(-1)
        branches = (sums[:, :-1] <= unit[:, None] * sums[:, -1:]).sum(-1)
        nodes = nodes * BRANCHES + branches
    return nodes.masked_fill(shares[:, 0].isnan(), _NO_TOKEN)


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
