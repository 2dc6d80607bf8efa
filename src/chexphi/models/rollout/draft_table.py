"""Which token usually follows: a table of fixed size, from which drafts come. NumPy only.

A draft changes no sample; a good one saves a forward. One table of all completions so far beats tables for
each prompt, and SFT texts fill it before the first step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
CONTEXT = 6
"""Tokens that a context has, at most."""
BEFORE = -1
"""Stands for what comes before a completion."""
NO_DRAFT = -2
"""Where nothing is known."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MOST_VOTES = 1 << 15


class DraftTable:
    """The likeliest next token of each context, by majority of what was counted.

    A slot holds one context: the one with the most votes among those that fall into it.

    Args:
        size: Slots, a power of 2.
    """

    def __init__(self, size: int = 1 << 16) -> None:
        self.size = size
        self.contexts = np.zeros(size, np.uint64)
        """Hash of the context of each slot."""
        self.tokens = np.full(size, NO_DRAFT, np.int64)
        self.votes = np.zeros(size, np.int64)

    def add(self, completions: Iterable[Sequence[int]]) -> None:
        """Count what follows what in some completions."""
        texts = [np.asarray(ids, np.int64) for ids in completions if len(ids)]
        if not texts:
            return
        histories = np.concatenate([_histories(ids) for ids in texts])
        next_tokens = np.concatenate(texts)
        hashes = _hashes(histories).T.ravel()
        self._vote(hashes, np.tile(next_tokens, CONTEXT))

    def _vote(self, hashes: NDArray[np.uint64], tokens: Ids) -> None:
        """Each slot takes the commonest (context, token) that fell into it, less the votes against it."""
        pairs = np.stack([hashes, tokens.astype(np.uint64)], 1)
        distinct, counts = np.unique(pairs, axis=0, return_counts=True)
        slots = self._slots(distinct[:, 0])
        order = np.lexsort((counts, slots))
        is_best = np.append(np.diff(slots[order]) != 0, True)
        best = order[is_best]
        slots, counts = slots[best], counts[best]
        contexts, best_tokens = distinct[best, 0], distinct[best, 1].astype(np.int64)
        agrees = (self.contexts[slots] == contexts) & (self.tokens[slots] == best_tokens)
        votes = np.where(agrees, self.votes[slots] + counts, self.votes[slots] - counts)
        is_new = ~agrees & (votes < 0)
        self.contexts[slots[is_new]], self.tokens[slots[is_new]] = contexts[is_new], best_tokens[is_new]
        self.votes[slots] = np.minimum(np.abs(votes), _MOST_VOTES)

    def _slots(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (hashes & np.uint64(self.size - 1)).astype(np.int64)

    def drafts(self, histories: Ids, count: int) -> Ids:
        """The tokens that probably follow, int (rows, count); `NO_DRAFT` where nothing is known.

        Args:
            histories: The last tokens of each completion, int (rows, CONTEXT); `BEFORE` fills them up.
            count: Tokens of each row.
        """
        drafts = np.full((len(histories), count), NO_DRAFT, np.int64)
        for position in range(count):
            drafts[:, position] = self._next(histories)
            histories = np.concatenate([histories[:, 1:], drafts[:, position, None]], 1)
        return drafts

    def _next(self, histories: Ids) -> Ids:
        """The draft by the longest context that is known, (rows,)."""
        hashes = _hashes(histories)
        slots = self._slots(hashes)
        is_known = (self.contexts[slots] == hashes) & (self.votes[slots] > 0)
        longest = CONTEXT - 1 - is_known[:, ::-1].argmax(1)
        tokens = self.tokens[slots[np.arange(len(slots)), longest]]
        return np.where(is_known.any(1), tokens, NO_DRAFT)


def _histories(ids: Ids) -> Ids:
    """What stands before each token, int (tokens, CONTEXT)."""
    padded = np.concatenate([np.full(CONTEXT, BEFORE, np.int64), ids])
    return np.lib.stride_tricks.sliding_window_view(padded, CONTEXT)[: len(ids)]


def _hashes(histories: Ids) -> NDArray[np.uint64]:
    """Of the last 1, 2, ..., CONTEXT tokens: (rows, CONTEXT)."""
    tokens = (histories + 2).astype(np.uint64)
    hashes = np.empty(tokens.shape, np.uint64)
    hashed = np.full(len(tokens), _FACTOR)
    for length in range(1, CONTEXT + 1):
        hashed = (hashed ^ tokens[:, -length]) * _FACTOR
        hashed ^= hashed >> np.uint64(29)
        hashes[:, length - 1] = hashed
    return hashes
