"""What a policy still says when the film is exchanged: each figure under each control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chexphi import prompts
from chexphi.answers import labels
from chexphi.evaluation.film_controls.names import BLANK, SHUFFLE
from chexphi.evaluation.metrics import METRIC
from chexphi.evaluation.scored_predictions import ScoredPredictions
from chexphi.evaluation.summary import clusters
from chexphi.graph.types import Extractor
from chexphi.rewards.reading import read
from chexphi.rewards.rules import CLINICAL, GraphRule
from chexphi.schema import Prediction
from chexphi.statistics.intervals import Estimate, ratios
from chexphi.statistics.ratio import Ratio

HEADLINES = ("accuracy", "graph_f1", "scene_f1", "clinical")
"""The metrics that are given under each control."""
ANSWERS_CHANGED, FINDINGS_CLAIMED = "answers_changed", "findings_claimed"


def answers_changed(with_own_films: Sequence[Prediction], controlled: Sequence[Prediction]) -> Ratio:
    """Share of answers that are another one, as sets of labels, than with the film itself.

    An answer that cannot be read is another one than any that can.
    """
    pairs = zip(with_own_films, controlled, strict=True)
    return Ratio.mean([float(_labels(a) != _labels(b)) for a, b in pairs])


def _labels(prediction: Prediction) -> frozenset[str] | None:
    return None if prediction.predicted_answer is None else labels(prediction.predicted_answer)


def findings_claimed(predictions: Sequence[Prediction], extractor: Extractor, ontology: str = "") -> Ratio:
    """Share of reasonings that claim at least one finding to be present, with or without certainty.

    Args:
        predictions: Of a policy.
        extractor: What reads the reasonings.
        ontology: The file of concepts that they are read with.
    """
    texts = [
        prompts.parse(prediction.generated_text, opened_think=prediction.opened_think).think or ""
        for prediction in predictions
    ]
    readings = read(texts, extractor, GraphRule(CLINICAL, ontology=ontology))
    return Ratio.mean([float(any(f.present for f in reading.findings)) for reading in readings])


def control_figures(
    with_own_films: Sequence[Prediction],
    by_control: Mapping[str, Sequence[Prediction]],
    extractor: Extractor,
    *,
    ontology: str = "",
    seed: int = 0,
) -> dict[str, Any]:
    """The figures under each control, over the same examples.

    Args:
        with_own_films: Predictions with the films themselves.
        by_control: Predictions of the same examples, in the same order, by control.
        extractor: What reads the reasonings.
        ontology: The file of concepts that they are read with.
        seed: Of the intervals.

    Returns:
        `n`; `as_shown` and each control with an estimate of each of `HEADLINES`, of `findings_claimed` and,
        for the controls, of `answers_changed`; `image_sensitivity`, the answers that change with the film of
        another patient, and `hallucinated_reasoning`, the findings claimed of a grey film, where these
        controls were run.
    """
    patients, _ = clusters(with_own_films)

    def estimates(predictions: Sequence[Prediction], *, is_control: bool) -> dict[str, Estimate | None]:
        scored = ScoredPredictions(predictions)
        figures = {name: METRIC[name].ratio(scored) for name in HEADLINES}
        figures[FINDINGS_CLAIMED] = findings_claimed(predictions, extractor, ontology)
        if is_control:
            figures[ANSWERS_CHANGED] = answers_changed(with_own_films, predictions)
        return ratios(figures, patients, seed=seed)

    figures_by_control: dict[str, Any] = {
        "n": len(with_own_films),
        "as_shown": estimates(with_own_films, is_control=False),
    }
    figures_by_control |= {name: estimates(rows, is_control=True) for name, rows in by_control.items()}
    if SHUFFLE in by_control:
        figures_by_control["image_sensitivity"] = figures_by_control[SHUFFLE][ANSWERS_CHANGED]
    if BLANK in by_control:
        figures_by_control["hallucinated_reasoning"] = figures_by_control[BLANK][FINDINGS_CLAIMED]
    return figures_by_control
