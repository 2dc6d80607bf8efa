"""Every metric of a set of predictions with its 95 % interval by patient, over all and by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chexphi.evaluation.metrics import METRICS
from chexphi.evaluation.scored_predictions import ScoredPredictions
from chexphi.schema import InputError, Prediction
from chexphi.statistics.intervals import ratios
from chexphi.statistics.ratio import Ratio

Slice = tuple[str, str, str]
"""(grouping key, its value, metric); the key of what goes over all examples is empty."""
GROUP_KEYS = ("kind", "question_type")
"""The fields of a prediction by which metrics are grouped."""


def clusters(predictions: Sequence[Prediction]) -> tuple[list[Hashable], int]:
    """The patient of each prediction, and how many name none: each of those is a cluster of its own."""
    subjects = [str(prediction.subject_id or "") for prediction in predictions]
    keys: list[Hashable] = [subject or ("example", row) for row, subject in enumerate(subjects)]
    return keys, sum(not subject for subject in subjects)


def groups(predictions: Sequence[Prediction], key: str) -> dict[str, NDArray[np.bool_]]:
    """A mask (examples,) for each value of a field, sorted; examples without one are in no group."""
    values = [getattr(prediction, key) for prediction in predictions]
    return {value: np.array([v == value for v in values]) for value in sorted(set(values) - {""})}


def by_group(scored: ScoredPredictions, keys: Sequence[str] = GROUP_KEYS) -> dict[Slice, Ratio]:
    """Every metric over all predictions, and those that are given by group over each value of each key."""
    overall = {metric.name: metric.ratio(scored) for metric in METRICS}
    slices = {("", "", name): ratio for name, ratio in overall.items()}
    grouped = [metric.name for metric in METRICS if metric.by_group]
    for key in keys:
        for value, mask in groups(scored.predictions, key).items():
            slices |= {(key, value, name): overall[name].within(mask) for name in grouped}
    return slices


def nest(flat: Mapping[Slice, Any], key: str) -> dict[str, dict[str, Any]]:
    """The groups of one key: value -> metric -> estimate."""
    nested: dict[str, dict[str, Any]] = {}
    for (group_key, value, name), estimate in flat.items():
        if group_key == key:
            nested.setdefault(value, {})[name] = estimate
    return nested


def summarize(predictions: Sequence[Prediction], *, seed: int = 0, resamples: int = 1000) -> dict[str, Any]:
    """All metrics of one set of predictions; plain values that JSON can hold.

    Returns:
        Counts (`n`, `patients`, `missing_subject`, `unscorable`, `parse_status`), one estimate
        `{"value", "low", "high", "n"}` a metric (None where it does not apply), and `by_kind` and
        `by_question_type` with the metrics that have `by_group`.

    Raises:
        InputError: If there are no predictions.
    """
    if not predictions:
        raise InputError("there are no predictions to summarise: evaluate at least one example")
    patients, missing = clusters(predictions)
    scored = ScoredPredictions(predictions)
    estimates = ratios(by_group(scored), patients, seed=seed, resamples=resamples)
    return {
        "n": len(predictions),
        "patients": len(set(patients)),
        "missing_subject": missing,
        "unscorable": scored.matches.count(None),
        "seed": seed,
        "resamples": resamples,
        **nest(estimates, "")[""],
        "parse_status": dict(
            sorted(Counter(str(prediction.parse_status) for prediction in predictions).items())
        ),
        "by_kind": nest(estimates, "kind"),
        "by_question_type": nest(estimates, "question_type"),
    }
