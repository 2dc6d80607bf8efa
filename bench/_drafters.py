"""Drafts of a set quality: right with a given chance, because the completions are known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chexphi.models.rollout.draft_table import NO_DRAFT, Ids
from chexphi.models.rollout.drafting import Drafter, DraftLimits

WRONG = 0
"""An id that no policy here samples."""


class Remembering(Drafter):
    """Proposes nothing, and keeps what was sampled last."""

    def __init__(self) -> None:
        super().__init__(DraftLimits(1.0, 0))
        self.completions: list[list[int]] = []

    def add(self, completions: Iterable[Sequence[int]]) -> None:
        self.completions = [list(ids) for ids in completions]


class Known(Drafter):
    """Proposes what a run with the same numbers has sampled, and each token is right with one chance.

    Args:
        limits: As the real drafter has them.
        chance_right: Of each draft.
    """

    def __init__(self, limits: DraftLimits, chance_right: float) -> None:
        super().__init__(limits)
        self._chance_right, self._random = chance_right, np.random.default_rng(0)
        self._following: dict[tuple[int, ...], list[int]] = {}

    def prepare(self, completions: Sequence[list[int]]) -> None:
        """Learn what the next call will sample; this is no part of what is timed."""
        self._following = {tuple(ids[:end]): ids[end:] for ids in completions for end in range(len(ids))}

    def add(self, completions: Any) -> None:
        """Nothing: the real drafter's table is not used."""

    def guesses(self, completions: Sequence[Sequence[int]], count: int) -> Ids:
        guesses = np.full((len(completions), count), NO_DRAFT, np.int64)
        for row, ids in enumerate(completions):
            following = self._following.get(tuple(ids), [])[:count]
            guesses[row, : len(following)] = following
        return np.where(self._random.random(guesses.shape) < self._chance_right, guesses, WRONG)
