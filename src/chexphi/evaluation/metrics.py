"""What a set of predictions amounts to: figures with 95 % intervals clustered by patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chexphi import prompts
from chexphi.evaluation.intervals import Estimate, draws, percentile, ratios
from chexphi.evaluation.ratio import Floats, Ratio, cluster_index
from chexphi.graph import match as matching
from chexphi.graph.match import Counts, GraphMatch
from chexphi.graph.types import Graph
from chexphi.prompts import ParseStatus
from chexphi.schema import InputError, Prediction

WRONG_REASON = 0.5
"""A right answer whose graph F1 lies below this is right for the wrong reason (our choice)."""
Slice = tuple[str, str, str]
"""(grouping key, its value, figure); the key of what goes over all examples is empty."""
GROUP_KEYS = ("kind", "question_type")
"""The fields of `extra` by which figures are grouped."""
GROUPED = ("accuracy", "accuracy_substring", "graph_f1")
"""The figures that are also given by kind and by question type."""


def graph_match(prediction: Prediction) -> GraphMatch | None:
    """Predicted against reference graph; None (unscorable) where the reference has nothing to compare.

    A reasoning that could not be read has an empty predicted graph and scores 0: it is counted as
    malformed as well. A prediction whose graphs were not extracted is not scorable.
    """
    if prediction.graph_reference is None or prediction.graph_predicted is None:
        return None
    reference = Graph.from_dict(prediction.graph_reference)
    return matching.compare(Graph.from_dict(prediction.graph_predicted), reference) if reference else None


def clusters(predictions: Sequence[Prediction]) -> tuple[list[Hashable], int]:
    """The patient of each prediction, and how many name none: each of those is a cluster of its own."""
    subjects = [str(prediction.extra.get("subject_id") or "") for prediction in predictions]
    keys: list[Hashable] = [subject or ("example", row) for row, subject in enumerate(subjects)]
    return keys, sum(not subject for subject in subjects)


def reasoning_words(prediction: Prediction) -> int:
    """Words of the reasoning; 0 where none can be read."""
    given = prediction.extra.get("reasoning_words")
    if given is not None:
        return int(given)
    return prompts.parse(prediction.generated_text, opened_think=prediction.opened_think).words


def _scene_counts(prediction: Prediction) -> Counts | None:
    given = prediction.extra.get("scene_counts")
    return Counts(*given) if given is not None else None


def _micro(name: str, counts: Sequence[Counts | None]) -> dict[str, Ratio]:
    """Precision, recall and F1 of counts that add up over examples."""

    def column(value: Callable[[Counts], int]) -> Floats:
        return np.array([np.nan if c is None else value(c) for c in counts], dtype=np.float64)

    tp, fp, fn = column(lambda c: c.tp), column(lambda c: c.fp), column(lambda c: c.fn)
    return {
        f"{name}_precision": Ratio(tp, tp + fp),
        f"{name}_recall": Ratio(tp, tp + fn),
        f"{name}_f1": Ratio(2 * tp, 2 * tp + fp + fn),
    }


def _number(known: bool | None) -> float | None:
    return None if known is None else float(known)


def figures(predictions: Sequence[Prediction]) -> dict[str, Ratio]:
    """Every figure as a ratio over the predictions, in their order.

    Entity and relation figures are micro (counts added up); `graph_f1` is the mean of the examples'
    own F1; `right_for_wrong_reason` is the share of right answers with a graph F1 below one half. An answer
    is right as the reward pays it, so not in a malformed completion; `accuracy_no_format_gate` counts those
    too, and `accuracy_clinical` takes the same meaning for the same answer.
    """
    matches = [graph_match(prediction) for prediction in predictions]
    f1 = np.array([np.nan if m is None else m.f1 for m in matches], dtype=np.float64)
    right = np.array([prediction.is_correct for prediction in predictions], dtype=np.float64)
    scored_right = np.where(np.isnan(f1), np.nan, right)
    malformed = [float(prediction.parse_status != ParseStatus.ok) for prediction in predictions]
    return {
        "accuracy": Ratio.mean(right),
        "accuracy_clinical": Ratio.mean([_number(prediction.correct_clinical) for prediction in predictions]),
        "accuracy_no_format_gate": Ratio.mean(
            [_number(prediction.correct_no_format_gate) for prediction in predictions]
        ),
        "accuracy_substring": Ratio.mean([float(prediction.correct_substring) for prediction in predictions]),
        "graph_f1": Ratio.mean(f1),
        **_micro("entity", [m.entities if m else None for m in matches]),
        **_micro("relation", [m.relations if m else None for m in matches]),
        **_micro("scene", [_scene_counts(prediction) for prediction in predictions]),
        "right_for_wrong_reason": Ratio(scored_right * (f1 < WRONG_REASON), scored_right),
        "malformed": Ratio.mean(malformed),
        "reasoning_words": Ratio.mean([float(reasoning_words(prediction)) for prediction in predictions]),
    }


def groups(predictions: Sequence[Prediction], key: str) -> dict[str, NDArray[np.bool_]]:
    """A mask for each value of `extra[key]`, sorted; examples without one are in no group."""
    values = [str(prediction.extra.get(key) or "") for prediction in predictions]
    return {value: np.array([v == value for v in values]) for value in sorted(set(values) - {""})}


def by_group(predictions: Sequence[Prediction], keys: Sequence[str] = GROUP_KEYS) -> dict[Slice, Ratio]:
    """All figures over all predictions, and those of `GROUPED` over each value of each key."""
    every = figures(predictions)
    found = {("", "", name): figure for name, figure in every.items()}
    for key in keys:
        for value, mask in groups(predictions, key).items():
            found |= {(key, value, name): every[name].within(mask) for name in GROUPED}
    return found


def nest(flat: Mapping[Slice, Any], key: str) -> dict[str, dict[str, Any]]:
    """The groups of one key: value -> figure -> estimate."""
    nested: dict[str, dict[str, Any]] = {}
    for (group, value, name), estimate in flat.items():
        if group == key:
            nested.setdefault(value, {})[name] = estimate
    return nested


def summarize(predictions: Sequence[Prediction], *, seed: int = 0, resamples: int = 1000) -> dict[str, Any]:
    """All figures of one set of predictions; plain values that JSON can hold.

    Returns:
        Counts (`n`, `patients`, `missing_subject`, `unscorable`, `parse_status`), one estimate
        `{"value", "low", "high", "n"}` a figure (None where it does not apply), and `by_kind` and
        `by_question_type` with the figures of `GROUPED`.

    Raises:
        InputError: If there are no predictions.
    """
    if not predictions:
        raise InputError("there are no predictions to summarise: evaluate at least one example")
    patients, missing = clusters(predictions)
    found = ratios(by_group(predictions), patients, seed=seed, resamples=resamples)
    return {
        "n": len(predictions),
        "patients": len(set(patients)),
        "missing_subject": missing,
        "unscorable": sum(graph_match(prediction) is None for prediction in predictions),
        "seed": seed,
        "resamples": resamples,
        **nest(found, "")[""],
        "parse_status": dict(
            sorted(Counter(str(prediction.parse_status) for prediction in predictions).items())
        ),
        "by_kind": nest(found, "kind"),
        "by_question_type": nest(found, "question_type"),
    }


def auroc_value(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Probability that a positive scores above a negative, ties half; None if a class is empty."""
    ones = np.ones((1, len(scores)))
    value = _auroc_rows(np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool), ones)[0]
    return None if np.isnan(value) else float(value)


def _auroc_rows(scores: Floats, labels: NDArray[np.bool_], weights: Floats) -> Floats:
    """AUROC under each row of weights (rows, examples): (rows,); NaN where a class has no weight."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    weights, labels = weights[:, order], labels[order]
    positive = np.add.reduceat(weights * labels, starts, axis=1)
    negative = np.add.reduceat(weights * ~labels, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    wins = (positive * (below + negative / 2)).sum(axis=1)
    return np.divide(wins, pairs, out=np.full_like(wins, np.nan), where=pairs != 0)


def auroc(
    scores: Sequence[float],
    labels: Sequence[bool],
    patients: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Estimate | None:
    """Area under the ROC curve with a 95 % interval clustered by patient.

    Args:
        scores: Higher means more probably positive; finite.
        labels: True for positives.
        patients: The patient of each example; without it each example is its own.
        seed: Of the draws.
        resamples: How often all patients are drawn anew; draws that hold one class only are left out.

    Returns:
        None if either class is empty.

    Raises:
        ValueError: If a score is not finite.
    """
    value = auroc_value(scores, labels) if len(scores) else None
    if value is None:
        return None
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    points, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    index, number = cluster_index(patients if patients is not None else range(len(points)))
    blocks = draws(number, seed=seed, resamples=resamples)
    resampled = np.concatenate([_auroc_rows(points, truth, block[:, index]) for block in blocks])
    bounds = percentile(resampled) if number > 1 else None
    low, high = bounds if bounds else (None, None)
    return {"value": value, "low": low, "high": high, "n": len(points)}


def answer_aurocs(predictions: Sequence[Prediction], *, seed: int = 0) -> dict[str, dict[str, Any]]:
    """AUROC of the answer's probability by question type, where `evaluate --answer_samples` wrote it.

    Returns:
        For each question type `{"positive": answer, **estimate}`; types with one class only are left out.
    """
    rows: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        if prediction.extra.get("answer_probabilities"):
            rows.setdefault(str(prediction.extra.get("question_type")), []).append(prediction)
    found: dict[str, dict[str, Any]] = {}
    for kind, group in sorted(rows.items()):
        positive = max(group[0].extra["answer_probabilities"])
        scores = [row.extra["answer_probabilities"][positive] for row in group]
        estimate = auroc(scores, [row.answer == (positive,) for row in group], clusters(group)[0], seed=seed)
        if estimate:
            found[kind] = {"positive": positive, **estimate}
    return found
