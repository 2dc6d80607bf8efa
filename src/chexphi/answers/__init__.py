"""Compare short answers, for the reward and for the evaluation.

`labels` compares answers strictly, as sets of labels. `clinical` compares their meanings; its tables are in
`terms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from chexphi.answers import clinical
from chexphi.answers.labels import labels as labels
from chexphi.answers.labels import normalize as normalize

Match = Literal["exact", "clinical", "f1", "any", "substring"]
REWARD_MATCHES: tuple[Match, ...] = ("exact", "clinical", "f1", "any")
"""The ways of comparing that a reward may use."""
MATCHES: tuple[Match, ...] = (*REWARD_MATCHES, "substring")


def score(predicted: str | Sequence[str], gold: str | Sequence[str], match: Match = "exact") -> float:
    """Compare an answer with the reference.

    Args:
        predicted: The parsed answer; for `substring` the whole response.
        gold: The reference labels.
        match: `exact` (same set of labels), `clinical` (same set of labels, or of meanings: `Yes, there is`
            is `yes`, `LLL` is `left lower lobe`, `5 mm` is `0.5 cm`), `f1` (of the two sets of labels),
            `any` (one label in common: the original's reward), `substring` (a label occurs anywhere in
            the text: the original's evaluation; kept for comparison only, "no" is found in "normal").

    Returns:
        A value in [0, 1]. An empty reference never counts as answered.

    Raises:
        ValueError: If `match` is unknown.
    """
    if match == "substring":
        texts = [gold] if isinstance(gold, str) else gold
        response = predicted if isinstance(predicted, str) else " ".join(predicted)
        return float(any(text.strip() and text.lower() in response.lower() for text in texts))
    predicted_labels, gold_labels = labels(predicted), labels(gold)
    common = len(predicted_labels & gold_labels)
    if match == "exact":
        return float(bool(gold_labels) and predicted_labels == gold_labels)
    if match == "clinical":
        return float(
            bool(gold_labels) and (predicted_labels == gold_labels or clinical.same(predicted, gold))
        )
    if match == "f1":
        return 2 * common / (len(predicted_labels) + len(gold_labels)) if gold_labels else 0.0
    if match == "any":
        return float(common > 0)
    raise ValueError(f"unknown match {match!r}: use one of {', '.join(MATCHES)}")
