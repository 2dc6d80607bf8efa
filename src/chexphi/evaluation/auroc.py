"""Area under the ROC curve of the answers' probabilities, with an interval by patient."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chexphi.evaluation.summary import clusters
from chexphi.schema import Prediction
from chexphi.statistics.intervals import Estimate, draws, percentile
from chexphi.statistics.ratio import Floats, cluster_index


def auroc_value(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Probability that a positive scores above a negative, ties half; None if a class is empty."""
    equal_weights = np.ones((1, len(scores)))
    value = _auroc_rows(np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool), equal_weights)[
        0
    ]
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
        resamples: How often all patients are drawn again; draws that hold one class only are left out.

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
    by_type: dict[str, list[tuple[Prediction, dict[str, float]]]] = {}
    for prediction in predictions:
        if prediction.answer_probabilities:
            pair = prediction, prediction.answer_probabilities
            by_type.setdefault(prediction.question_type, []).append(pair)
    aurocs: dict[str, dict[str, Any]] = {}
    for question_type, pairs in sorted(by_type.items()):
        rows = [prediction for prediction, _ in pairs]
        positive = max(pairs[0][1])
        scores = [probabilities[positive] for _, probabilities in pairs]
        estimate = auroc(scores, [row.answer == (positive,) for row in rows], clusters(rows)[0], seed=seed)
        if estimate:
            aurocs[question_type] = {"positive": positive, **estimate}
    return aurocs
