"""How a policy answered one question of a pool: a line of `scored.jsonl`. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chexphi.rewards.rules import WRONG_REASON
from chexphi.schema import InputError


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """How a policy answered one question: a line of `scored.jsonl`."""

    id: str
    question_type: str
    kind: str
    correct: tuple[float, ...]
    """Score of each sampled answer, in [0, 1]; one value if the answer was greedy."""
    confidence: float | None = None
    """Mean probability of a generated token; recorded, and not used by any selection."""
    graph: tuple[float | None, ...] = ()
    """What the graph of each sample's reasoning earns, in [0, 1]; None where the reference has nothing to
    compare. Empty if the pool was scored without a measure."""

    def __post_init__(self) -> None:
        if not self.correct:
            raise InputError(f"scored example {self.id!r} has no sample: score the pool again")
        if self.graph and not (len(self.graph) == len(self.correct) and all(map(_is_share, self.graph))):
            raise InputError(
                f"scored example {self.id!r} has a `graph` that is not a list of a number from 0 to 1, or "
                "null, for each sample: score the pool again"
            )

    @property
    def accuracy(self) -> float:
        """Mean score of the samples."""
        return sum(self.correct) / len(self.correct)

    def to_dict(self) -> dict[str, Any]:
        row = {**dataclasses.asdict(self), "correct": list(self.correct)}
        graph = row.pop("graph")
        return row | {"graph": list(graph)} if graph else row

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> ScoredRow:
        """Read a line of `scored.jsonl`; a single value, such as `true` or 1, counts as one sample.

        Raises:
            InputError: If a field is missing or not a number.
        """
        try:
            correct = tuple(float(score) for score in _listed(row["correct"]))
            return cls(
                id=str(row["id"]),
                question_type=str(row.get("question_type", "")),
                kind=str(row.get("kind", "")),
                correct=correct,
                confidence=row.get("confidence"),
                graph=() if row.get("graph") is None else tuple(_listed(row["graph"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"scored example {row.get('id')!r} has no `id`, or no `correct` that is a list of numbers: "
                "score the pool again"
            ) from None


def is_hard(row: ScoredRow) -> bool:
    """Whether a row can teach something: right sometimes but not always; with one sample, wrong.

    A group of completions that are all right or all wrong has no spread and so no advantage. The original has
    one greedy answer and keeps the wrong ones.
    """
    return row.accuracy < 1 if len(row.correct) == 1 else 0 < row.accuracy < 1


def has_wrong_reason(row: ScoredRow) -> bool:
    """Whether a sample is right while its graph earns less than one half; not where nothing is compared.

    The graph of a malformed sample earns 0, as in training: its reasoning cannot be read.
    """
    return any(
        right == 1 and graph is not None and graph < WRONG_REASON
        for right, graph in zip(row.correct, row.graph or [None] * len(row.correct), strict=True)
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_share(value: object) -> bool:
    return value is None or (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    )
