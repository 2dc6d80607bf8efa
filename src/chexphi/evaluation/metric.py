"""What a metric is, and how metrics are made of values and of counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chexphi.evaluation.scored_predictions import ScoredPredictions
from chexphi.graph.match import Counts
from chexphi.schema import Prediction
from chexphi.statistics.ratio import Floats, Ratio


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    """Its key in `summary.json` and in what `compare` returns."""
    label: str
    """Its name for people."""
    meaning: str
    """What it says, in one phrase under the report's table."""
    ratio: Callable[[ScoredPredictions], Ratio]
    """Its value as a ratio of sums over the examples."""
    digits: int = 3
    """Decimals it is shown with."""
    better: Literal["higher", "lower", "neither"] = "higher"
    """Which values are the better ones."""
    below: str = ""
    """The metric that a table of one evaluation shows it below, as precision and recall below their F1; such
    a metric is in no other table."""
    by_group: bool = False
    """Whether it is also given by kind and by question type."""
    on_page: bool = True
    """Whether the report's table has room for it."""

    def number(self, value: float, *, sign: bool = False) -> str:
        """A value as text."""
        return f"{value:{'+' if sign else ''}.{self.digits}f}"


def mean(value: Callable[[Prediction], float | None]) -> Callable[[ScoredPredictions], Ratio]:
    """The mean over the examples that have the value."""
    return lambda scored: Ratio.mean([value(prediction) for prediction in scored.predictions])


CountsOf = Callable[[ScoredPredictions], Sequence[Counts | None]]
"""True and false positives and false negatives of each example; None where it has none."""


def _columns(counts: Sequence[Counts | None]) -> tuple[Floats, Floats, Floats]:
    """True positives, false positives and false negatives (examples,); NaN where an example has no counts."""
    missing = (np.nan, np.nan, np.nan)
    rows = [missing if count is None else (count.tp, count.fp, count.fn) for count in counts]
    tp, fp, fn = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return tp, fp, fn


def micro(
    name: str, items: str, meaning: str, counts_of: CountsOf, *, label: str = "", on_page: bool = False
) -> tuple[Metric, Metric, Metric]:
    """Precision, recall and F1 of counts that are added up over the examples.

    Args:
        name: Of the counts.
        items: What is counted, for the meanings of precision and recall.
        meaning: Of F1.
        counts_of: The counts of each example.
        label: What people read in place of the name.
        on_page: Whether the report's table has room for the F1.
    """

    label = label or name

    def precision(scored: ScoredPredictions) -> Ratio:
        tp, fp, _ = _columns(counts_of(scored))
        return Ratio(tp, tp + fp)

    def recall(scored: ScoredPredictions) -> Ratio:
        tp, _, fn = _columns(counts_of(scored))
        return Ratio(tp, tp + fn)

    def f1(scored: ScoredPredictions) -> Ratio:
        tp, fp, fn = _columns(counts_of(scored))
        return Ratio(2 * tp, 2 * tp + fp + fn)

    return (
        Metric(
            f"{name}_precision",
            f"{label} precision",
            f"share of the {items} that the reasoning states which are right",
            precision,
            below=f"{name}_f1",
        ),
        Metric(
            f"{name}_recall",
            f"{label} recall",
            f"share of the {items} to be stated which the reasoning states",
            recall,
            below=f"{name}_f1",
        ),
        Metric(f"{name}_f1", f"{label} F1", meaning, f1, on_page=on_page),
    )
