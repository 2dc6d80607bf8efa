"""Drafts for the rows of a batch, and how many of them are worth a try."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chexphi.models.rollout.draft_table import BEFORE, CONTEXT, NO_DRAFT, DraftTable, Ids

MOST_TEXTS = 10_000
"""That fill a table before the first call: 5 MB of reports."""
_MEMORY = 512.0
"""Drafts over which the share of right ones is averaged."""


@dataclass(frozen=True, slots=True)
class DraftLimits:
    """What one more token a row costs a forward, and how many drafts are tried at most."""

    cost: float
    """Of a draft, as a share of a forward with one token a row."""
    most_drafts: int

    @classmethod
    def of(cls, device_type: str, most_drafts: int | None = None) -> DraftLimits:
        """A CPU is bound by arithmetic. A GPU waits for Python: there a draft costs next to nothing.

        Args:
            device_type: Of the policy.
            most_drafts: Drafts a row, where the user sets it.
        """
        limits = cls(0.02, 8) if device_type == "cuda" else cls(0.3, 4)
        return limits if most_drafts is None else cls(limits.cost, most_drafts)


@dataclass
class Drafter:
    """Where drafts come from; it learns from completions, and changes no sample."""

    limits: DraftLimits
    table: DraftTable = field(default_factory=DraftTable)
    share_right: float = 0.5
    """Of drafts whose predecessors were right."""
    proposed: int = 0
    accepted: int = 0
    forwards: int = 0

    def count(self) -> int:
        """Drafts a row in the next forward: the number with the most expected tokens for its cost."""
        gains = [
            sum(self.share_right**power for power in range(count + 1)) / (1 + self.limits.cost * count)
            for count in range(self.limits.most_drafts + 1)
        ]
        return int(np.argmax(gains))

    def guesses(self, completions: Sequence[Sequence[int]], count: int) -> Ids:
        """What probably follows each completion, int (rows, count)."""
        if not self.limits.most_drafts:
            return np.full((len(completions), count), NO_DRAFT, np.int64)
        return self.table.drafts(np.array([_history(ids) for ids in completions], np.int64), count)

    def learn(self, right: Ids, guessed: int, *, drafts_read: int) -> None:
        """Take in how many guesses of each row were right, in front of the first wrong one.

        Args:
            right: int (rows,).
            guessed: Guesses a row; one is made, and compared, also where no draft is read.
            drafts_read: Of them, those that a forward read as drafts.
        """
        self.forwards += 1
        self.proposed += drafts_read * len(right)
        self.accepted += int(np.minimum(right, drafts_read).sum())
        compared_count = int(np.minimum(right + 1, guessed).sum())
        if compared_count:
            weight = min(1.0, compared_count / _MEMORY)
            self.share_right += weight * (int(right.sum()) / compared_count - self.share_right)

    def take_counts(self) -> dict[str, float]:
        """Forwards since the last call, and the share of drafts that were right (0 where none was read)."""
        counts = {
            "forwards": float(self.forwards),
            "accepted": self.accepted / self.proposed if self.proposed else 0.0,
        }
        self.forwards = self.proposed = self.accepted = 0
        return counts

    def add(self, completions: Iterable[Sequence[int]]) -> None:
        """Learn from whole completions, or from texts that are like them."""
        if self.limits.most_drafts:
            self.table.add(completions)


def fed_drafter(
    tokenizer: Any,
    texts: Iterable[str],
    device_type: str,
    *,
    most_drafts: int | None = None,
    slots: int = 1 << 16,
) -> Drafter:
    """A drafter that knows what texts say which completions may be like: no sample depends on them.

    Args:
        tokenizer: Of the policy.
        texts: Such as the references of a run's data.
        device_type: Of the policy.
        most_drafts: Drafts a row; None: as `DraftLimits.of` says.
        slots: Of the table.
    """
    drafter = Drafter(DraftLimits.of(device_type, most_drafts), DraftTable(slots))
    distinct_texts = list(dict.fromkeys(filter(None, texts)))[:MOST_TEXTS]
    if distinct_texts and drafter.limits.most_drafts:
        drafter.add(tokenizer(distinct_texts, add_special_tokens=False)["input_ids"])
    return drafter


def _history(ids: Sequence[int]) -> list[int]:
    """The last tokens of a completion."""
    last_ids = list(ids[-CONTEXT:])
    return [BEFORE] * (CONTEXT - len(last_ids)) + last_ids


def right_counts(drafts: Ids, tokens: Ids) -> Ids:
    """The number of drafts of each row that are the sampled tokens, up to the first that is not.

    Args:
        drafts: int (rows, drafts).
        tokens: The tokens sampled at the same places, int (rows, drafts).
    """
    return ((drafts == tokens) & (drafts != NO_DRAFT)).cumprod(1).sum(1)
