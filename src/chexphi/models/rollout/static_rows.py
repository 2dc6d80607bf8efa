"""The rows of a batch over buffers of fixed shapes and addresses; the same interface as `rows.Rows`.

Rows that have ended run on where they are, and write what they wrote before. Once at most half of the rows
are live, these move to the front, and the forwards read a smaller power of two of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chexphi.models.rollout.draft_table import Ids
from chexphi.models.rollout.sampling import TokenSampler, on_host
from chexphi.models.rollout.static_buffers import Buffers, FirstRows
from chexphi.models.rollout.static_sizes import drafts_taken, moves, rows_read

Run = Callable[[FirstRows, TokenSampler, int], Tensor]
"""`static_buffers.step` of a policy: as it is, or recorded."""


class StaticRows:
    """Rows that decode in buffers which `Buffers.begin` has filled.

    Args:
        buffers: Theirs.
        prompt_of_row: The prompt of each row, int (rows,).
        sampler: Of these rows.
        run: A step of the policy.
    """

    def __init__(self, buffers: Buffers, prompt_of_row: Ids, sampler: TokenSampler, run: Run) -> None:
        self._buffers, self._sampler, self._run = buffers, sampler, run
        self._prompt_of_row = prompt_of_row.copy()
        self._row_places = np.arange(len(prompt_of_row))
        """Of the rows that have not left, among those of the buffers."""
        self._fed = np.zeros((len(prompt_of_row), 1 + buffers.sizes.tokens), np.int64)
        self._first_rows = buffers.first_rows(self._prompt_of_row)

    def drafts(self, draft_count: int) -> int:
        """How many drafts a row the next forward takes."""
        return drafts_taken(draft_count, len(self._fed))

    def keep(self, rows: Tensor) -> None:
        """Keep only some of the rows, int (kept,)."""
        self._row_places = self._row_places[rows.cpu().numpy()]
        count = rows_read(len(self._row_places), len(self._fed))
        if count == len(self._fed):
            return
        sources, targets = moves(self._row_places, count)
        self._buffers.move(sources, targets)
        for values in (self._fed, self._prompt_of_row):
            values[targets] = values[sources]
        place_after = np.arange(len(self._fed))
        place_after[sources] = targets
        self._row_places = place_after[self._row_places]
        self._fed, self._prompt_of_row = self._fed[:count], self._prompt_of_row[:count]
        self._first_rows = self._buffers.first_rows(self._prompt_of_row)

    def sample(self, sampled: Sequence[Sequence[int]], drafts: Ids) -> tuple[Ids, NDArray[np.float64]]:
        """Read the last token of each row and its drafts, and sample after each.

        Args:
            sampled: The tokens of each row so far, at least one.
            drafts: int (rows, drafts).

        Returns:
            Tokens, and their log-probabilities at temperature 1, (rows, 1 + drafts) each.
        """
        count = 1 + drafts.shape[1]
        self._fed[self._row_places, 0] = [len(ids) - 1 for ids in sampled]
        self._fed[self._row_places, 1] = [ids[-1] for ids in sampled]
        self._fed[self._row_places, 2 : 1 + count] = drafts
        self._buffers.feed(self._fed)
        samples = self._run(self._first_rows, self._sampler, count)
        tokens, logprobs = on_host(samples)
        return tokens[self._row_places, :count], logprobs[self._row_places, :count]
