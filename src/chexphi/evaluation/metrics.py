"""Each metric of `evaluate` as one record: its key in JSON, what people read of it, how it is computed.

A new metric is one record in `METRICS`: the summary, the tables on the terminal and the report have it then.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chexphi import prompts
from chexphi.graph import match as matching
from chexphi.graph.match import Counts, GraphMatch
from chexphi.graph.types import Graph
from chexphi.prompts import ParseStatus
from chexphi.schema import Prediction
from chexphi.statistics.ratio import Floats, Ratio

WRONG_REASON = 0.5
"""A right answer whose graph F1 lies below this is right for the wrong reason (our choice)."""


def graph_match(prediction: Prediction) -> GraphMatch | None:
    """Predicted against reference graph; None (unscorable) where the reference has nothing to compare.

    A reasoning that could not be read has an empty predicted graph and scores 0: it is counted as
    malformed as well. A prediction whose graphs were not extracted is not scorable.
    """
    if prediction.graph_reference is None or prediction.graph_predicted is None:
        return None
    reference = Graph.from_dict(prediction.graph_reference)
    return matching.compare(Graph.from_dict(prediction.graph_predicted), reference) if reference else None


def reasoning_words(prediction: Prediction) -> int:
    """Words of the reasoning; 0 where none can be read."""
    if prediction.reasoning_words is not None:
        return prediction.reasoning_words
    return prompts.parse(prediction.generated_text, opened_think=prediction.opened_think).words


@dataclass(frozen=True)
class ScoredPredictions:
    """Predictions with what several metrics need of each of them, in their order."""

    predictions: Sequence[Prediction]

    @functools.cached_property
    def matches(self) -> list[GraphMatch | None]:
        """The comparison of both graphs; None where it is not scorable."""
        return [graph_match(prediction) for prediction in self.predictions]

    @functools.cached_property
    def graph_f1(self) -> Floats:
        """(examples,): NaN where the graph is not scorable."""
        return np.array([np.nan if match is None else match.f1 for match in self.matches], dtype=np.float64)

    @functools.cached_property
    def right_where_scorable(self) -> Floats:
        """(examples,): 1 for a right answer, 0 for a wrong one, NaN where the graph is not scorable."""
        right = np.array([prediction.is_correct for prediction in self.predictions], dtype=np.float64)
        return np.where(np.isnan(self.graph_f1), np.nan, right)


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


def _scene_counts(prediction: Prediction) -> Counts | None:
    return None if prediction.scene_counts is None else Counts(*prediction.scene_counts)


def _wrong_reason(scored: ScoredPredictions) -> Ratio:
    right = scored.right_where_scorable
    return Ratio(right * (scored.graph_f1 < WRONG_REASON), right)


CountsOf = Callable[[ScoredPredictions], Sequence[Counts | None]]
"""True and false positives and false negatives of each example; None where it has none."""


def _columns(counts: Sequence[Counts | None]) -> tuple[Floats, Floats, Floats]:
    """True positives, false positives and false negatives (examples,); NaN where an example has no counts."""
    missing = (np.nan, np.nan, np.nan)
    rows = [missing if count is None else (count.tp, count.fp, count.fn) for count in counts]
    tp, fp, fn = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return tp, fp, fn


def _micro(name: str, items: str, meaning: str, counts_of: CountsOf) -> tuple[Metric, Metric, Metric]:
    """Precision, recall and F1 of counts that are added up over the examples.

    Args:
        name: Of the counts.
        items: What is counted, for the meanings of precision and recall.
        meaning: Of F1.
        counts_of: The counts of each example.
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
        Metric(f"{name}_f1", f"{name} F1", meaning, f1),
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
        lambda scored: [_scene_counts(prediction) for prediction in scored.predictions],
    ),
    Metric(
        "right_for_wrong_reason",
        "right for the wrong reason",
        "share of right answers whose graph F1 lies below 0.5",
        _wrong_reason,
        better="lower",
    ),
    Metric(
        "malformed",
        "malformed",
        "completions whose reasoning or answer cannot be read, or that were cut off",
        _mean(lambda prediction: prediction.parse_status != ParseStatus.ok),
        better="lower",
    ),
    Metric(
        "reasoning_words",
        "reasoning, words",
        "mean length of the reasoning",
        _mean(reasoning_words),
        digits=1,
        better="neither",
    ),
)
"""All metrics, in the order of `summary.json`."""
METRIC = {metric.name: metric for metric in METRICS}
"""By name."""
