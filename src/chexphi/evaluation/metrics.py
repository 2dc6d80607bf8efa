"""Each metric of `evaluate` as one record: its key in JSON, what people read of it, how it is computed.

A new metric is one record in `METRICS`: the summary, the tables on the terminal and the report have it then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chexphi.evaluation.scored_predictions import (
    ScoredPredictions,
    clinical_figure,
    contradicts_itself,
    reasoning_words,
    scene_counts,
    share_of_weights,
    wrong_findings,
    wrong_reason,
)
from chexphi.graph.match import Counts
from chexphi.prompts import ParseStatus
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


def _mean(value: Callable[[Prediction], float | None]) -> Callable[[ScoredPredictions], Ratio]:
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


def _micro(
    name: str, items: str, meaning: str, counts_of: CountsOf, *, on_page: bool = False
) -> tuple[Metric, Metric, Metric]:
    """Precision, recall and F1 of counts that are added up over the examples.

    Args:
        name: Of the counts.
        items: What is counted, for the meanings of precision and recall.
        meaning: Of F1.
        counts_of: The counts of each example.
        on_page: Whether the report's table has room for the F1.
    """

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
            f"{name} precision",
            f"share of the {items} that the reasoning states which are right",
            precision,
            below=f"{name}_f1",
        ),
        Metric(
            f"{name}_recall",
            f"{name} recall",
            f"share of the {items} to be stated which the reasoning states",
            recall,
            below=f"{name}_f1",
        ),
        Metric(f"{name}_f1", f"{name} F1", meaning, f1, on_page=on_page),
    )


METRICS: tuple[Metric, ...] = (
    Metric(
        "accuracy",
        "strict accuracy",
        "the answer, read from its tags, equals the reference as a set of labels, in a completion that is "
        "not malformed: what the answer reward pays",
        _mean(lambda prediction: prediction.is_correct),
        by_group=True,
    ),
    Metric(
        "accuracy_clinical",
        "clinical accuracy",
        "the same, but the same meaning is enough: LLL is left lower lobe, 0.5 cm is 5 mm",
        _mean(lambda prediction: prediction.correct_clinical),
    ),
    Metric(
        "accuracy_no_format_gate",
        "strict accuracy, no format gate",
        "strict accuracy that also counts a right answer in a malformed completion",
        _mean(lambda prediction: prediction.correct_no_format_gate),
        on_page=False,
    ),
    Metric(
        "accuracy_substring",
        "substring accuracy",
        "a reference label occurs anywhere in the text (the original's metric)",
        _mean(lambda prediction: prediction.correct_substring),
        by_group=True,
        on_page=False,
    ),
    Metric(
        "graph_f1",
        "graph F1",
        "mean over examples: the entities and relations of the reasoning against the reference's",
        lambda scored: Ratio.mean(scored.graph_f1),
        by_group=True,
    ),
    *_micro(
        "entity",
        "entities",
        "all examples' entities added up; a finding and its negation are two entities",
        lambda scored: [None if match is None else match.entities for match in scored.matches],
    ),
    *_micro(
        "relation",
        "relations",
        "the same of relations, with the polarity of both ends",
        lambda scored: [None if match is None else match.relations for match in scored.matches],
    ),
    *_micro(
        "scene",
        "findings",
        "what the reasoning states against what was really drawn, not against the reference text",
        lambda scored: [scene_counts(prediction) for prediction in scored.predictions],
        on_page=True,
    ),
    Metric(
        "clinical",
        "clinical score",
        "mean over examples: the findings of the reasoning against the reference's, each by its clinical "
        "significance; 0 is no better than saying nothing",
        _mean(lambda prediction: clinical_figure(prediction, "reward")),
    ),
    Metric(
        "omission",
        "omission",
        "share of the reference's findings that the reasoning leaves out, by their significance",
        lambda scored: share_of_weights(scored, "omission"),
        better="lower",
    ),
    Metric(
        "hallucination",
        "hallucination",
        "share of the findings that the reasoning claims which the reference does not have, by significance",
        lambda scored: share_of_weights(scored, "hallucination"),
        better="lower",
    ),
    Metric(
        "wrong_findings",
        "right for the wrong reason",
        "share of right answers whose reasoning contradicts its own answer or the reference, or invents a "
        "finding",
        wrong_findings,
        better="lower",
    ),
    Metric(
        "right_for_wrong_reason",
        "right, graph F1 below 0.5",
        "share of right answers whose graph F1 lies below 0.5: the older form of the figure above",
        wrong_reason,
        better="lower",
        on_page=False,
    ),
    Metric(
        "inconsistent",
        "inconsistent",
        "share of answers that contradict their own reasoning, right or wrong",
        _mean(contradicts_itself),
        better="lower",
    ),
    Metric(
        "malformed",
        "malformed",
        "completions whose reasoning or answer cannot be read, or that were cut off",
        _mean(lambda prediction: prediction.parse_status != ParseStatus.ok),
        better="lower",
        on_page=False,
    ),
    Metric(
        "reasoning_words",
        "reasoning, words",
        "mean length of the reasoning",
        _mean(reasoning_words),
        digits=1,
        better="neither",
        on_page=False,
    ),
)
"""All metrics, in the order of `summary.json`."""
METRIC = {metric.name: metric for metric in METRICS}
"""By name."""
