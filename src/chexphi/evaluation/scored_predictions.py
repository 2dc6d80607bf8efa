"""What metrics need of each prediction: graphs compared, findings compared, and ratios over examples."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chexphi import prompts
from chexphi.answers import labels
from chexphi.graph import match as matching
from chexphi.graph.match import Counts, GraphMatch
from chexphi.graph.types import Graph
from chexphi.rewards.rules import WRONG_REASON
from chexphi.schema import Prediction
from chexphi.statistics.ratio import Floats, Ratio


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


def scene_counts(prediction: Prediction) -> Counts | None:
    return None if prediction.scene_counts is None else Counts(*prediction.scene_counts)


def present_counts(prediction: Prediction) -> Counts | None:
    """The findings claimed to be present against the reference's; None where that is not known."""
    if prediction.present_findings is None:
        return None
    reference, predicted = (set(prediction.present_findings[key]) for key in ("reference", "predicted"))
    return Counts(len(reference & predicted), len(predicted - reference), len(reference - predicted))


def majority_answers(scored: ScoredPredictions) -> Ratio:
    """Right answers of whoever always gives the commonest answer to a type of question in these examples."""
    types = [p.question_type for p in scored.predictions]
    references = [labels(p.answer) for p in scored.predictions]
    commonest: dict[str, frozenset[str]] = {}
    for (question_type, reference), _ in Counter(zip(types, references, strict=True)).most_common():
        commonest.setdefault(question_type, reference)
    pairs = zip(types, references, strict=True)
    return Ratio.mean([float(commonest[question_type] == reference) for question_type, reference in pairs])


def wrong_reason(scored: ScoredPredictions) -> Ratio:
    right = scored.right_where_scorable
    return Ratio(right * (scored.graph_f1 < WRONG_REASON), right)


def clinical_figure(prediction: Prediction, name: str) -> float | None:
    """A figure of the comparison of findings; None where the reference has none, and in older files."""
    return None if prediction.clinical is None else prediction.clinical[name]


def share_of_weights(scored: ScoredPredictions, name: Literal["omission", "hallucination"]) -> Ratio:
    """Weights that are left out or wrong, over all those of the reference or of the claims."""
    figures = [prediction.clinical for prediction in scored.predictions]
    missing = (np.nan, np.nan, np.nan)
    rows = [missing if row is None else (row["possible"], row["earned"], row["invented"]) for row in figures]
    possible, earned, invented = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return Ratio(possible - earned, possible) if name == "omission" else Ratio(invented, earned + invented)


def contradicts_itself(prediction: Prediction) -> float | None:
    """1 where the reasoning contradicts the answer, else 0; None if malformed, and in older files."""
    return None if prediction.consistency is None else float(prediction.consistency == "contradicts")


def wrong_findings(scored: ScoredPredictions) -> Ratio:
    """Over right answers whose findings can be compared."""
    wrong = [has_wrong_reason(prediction) for prediction in scored.predictions]
    right = [
        np.nan if is_wrong is None else float(prediction.is_correct)
        for is_wrong, prediction in zip(wrong, scored.predictions, strict=True)
    ]
    flags = np.array([np.nan if is_wrong is None else is_wrong for is_wrong in wrong], dtype=np.float64)
    right_answers = np.array(right, dtype=np.float64)
    return Ratio(right_answers * flags, right_answers)


def has_wrong_reason(prediction: Prediction) -> bool | None:
    """Whether a reasoning contradicts its answer or the reference, or invents a finding.

    None where the reference has no findings, and in older files.
    """
    if prediction.clinical is None:
        return None
    return prediction.consistency == "contradicts" or prediction.clinical["is_wrong"] == 1
