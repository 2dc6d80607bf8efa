"""The parts of a report: arms, training curves, films; and how films are chosen."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chexphi.schema import Prediction

CHOICE = (
    "The films are drawn at random, in turn from each kind of question and each pattern of right and wrong "
    "answers, so that all occur: how often a policy errs is in the table, not here."
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One evaluated policy."""

    name: str
    predictions: Sequence[Prediction]
    """Empty where only the summary exists."""
    summary: Mapping[str, Any]
    """`evaluation.summary.summarize`"""
    comparison: Mapping[str, Any] | None = None
    """`evaluation.compare.compare_predictions(baseline, arm)`; None for the baseline itself."""
    ontology: str = ""
    """The file of concepts that findings were compared with (`evaluate --ontology`); empty: none."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of one panel: a figure over the steps of a training run."""

    arm: str
    panel: str
    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class FilmExample:
    """One example with the prediction of each arm."""

    id: str
    images: Sequence[str]
    """Paths or `data:` URIs; prior first, current last."""
    predictions: Mapping[str, Prediction]
    """Arm name -> its prediction; at least one."""
    ontology_of_arm: Mapping[str, str]
    """Arm name -> `Arm.ontology`."""


def choose_films(arms: Sequence[Arm], *, count: int = 12, seed: int = 0) -> list[FilmExample]:
    """Films that every arm with predictions answered, drawn at random as `CHOICE` describes."""
    by_arm = {arm.name: {p.id: p for p in arm.predictions} for arm in arms if arm.predictions}
    if not by_arm:
        return []
    shared = set.intersection(*(set(rows) for rows in by_arm.values()))
    example_of = next(iter(by_arm.values()))
    ontology_of_arm = {arm.name: arm.ontology for arm in arms}
    strata: dict[str, dict[tuple[bool, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for key in sorted(shared):
        pattern = tuple(rows[key].is_correct for rows in by_arm.values())
        strata[example_of[key].kind][pattern].append(key)
    ids = _in_turn([_in_turn(list(cells.values()), seed) for _, cells in sorted(strata.items())], None)
    return [
        FilmExample(
            key,
            example_of[key].image_paths,
            {name: rows[key] for name, rows in by_arm.items()},
            ontology_of_arm,
        )
        for key in ids[:count]
    ]


def _in_turn(lists: Sequence[Sequence[str]], seed: int | None) -> list[str]:
    """One of each list in turn until all are empty; lists and their order are shuffled if a seed is given."""
    columns = [list(column) for column in lists]
    if seed is not None:
        rng = random.Random(seed)
        rng.shuffle(columns)
        for column in columns:
            rng.shuffle(column)
    longest = max(map(len, columns), default=0)
    return [column[row] for row in range(longest) for column in columns if row < len(column)]
