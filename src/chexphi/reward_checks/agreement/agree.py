"""The figures of `chexphi rewards agree`: scores and raters against the same judgements."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from chexphi.reward_checks.agreement.figures import agreement, difference, rater_agreement
from chexphi.reward_checks.agreement.judgements import Judgements, RankedCase, RatedSet
from chexphi.reward_checks.agreement.rankings import passed, ranking_figures
from chexphi.reward_checks.agreement.scores import TextScore, score_texts, value_range

Step = Callable[[], object]


def pair_count(judgements: Judgements) -> int:
    """How many texts each score has to read: the steps of a progress bar."""
    rated = sum(len(rated.texts) for rated in judgements.rated)
    return rated + sum(len(case.candidates) for case in judgements.ranked)


def agree(
    judgements: Judgements,
    scores: Mapping[str, TextScore],
    *,
    seed: int = 0,
    step: Step = lambda: None,
) -> dict[str, Any]:
    """The agreement of each score with the judgements. It holds figures only, no text and no id.

    Args:
        judgements: From `read_judgements`.
        scores: From `open_scores`.
        seed: Of the draws of cases.
        step: Called after each text that a score has read.

    Returns:
        `source`, and what the file has of two parts. `rated`: a list with, for each form of texts, `form`,
        `n`, `cases`, `scores` (`tau_b`, `pearson`, `better_of_pair`, each with an interval, and
        `ms_per_sample`, the median), `baseline`, the first score, `differences` of the others from it, and
        `raters` (`rater_agreement`). `ranked`: `cases`, `needs_context`,
        `categories` (cases by name), `contexts` (cases that need one, by category) and `scores`
        (`ranking_figures` and `ms_per_sample`).
    """
    figures: dict[str, Any] = {"source": judgements.source}
    if judgements.rated:
        figures["rated"] = [_rated_figures(rated, scores, seed, step) for rated in judgements.rated]
    if judgements.ranked:
        figures["ranked"] = _ranked_figures(judgements.ranked, scores, seed, step)
    return figures


def _rated_figures(rated: RatedSet, scores: Mapping[str, TextScore], seed: int, step: Step) -> dict[str, Any]:
    texts = rated.texts
    pairs = [(text.candidate, text.reference) for text in texts]
    ratings = [text.mean_rating for text in texts]
    scored = {name: score_texts(score, pairs, step) for name, score in scores.items()}
    baseline, *other_names = scored
    return {
        "form": rated.form,
        "n": len(texts),
        "cases": len({text.case for text in texts}),
        "scores": {
            name: {
                **agreement(texts, each_text.values, ratings, seed=seed),
                "ms_per_sample": 1000 * statistics.median(each_text.seconds),
            }
            for name, each_text in scored.items()
        },
        "baseline": baseline,
        "differences": {
            name: difference(texts, scored[name].values, scored[baseline].values, ratings, seed=seed)
            for name in other_names
        },
        "raters": rater_agreement(rated, seed=seed),
    }


def _ranked_figures(
    cases: tuple[RankedCase, ...], scores: Mapping[str, TextScore], seed: int, step: Step
) -> dict[str, Any]:
    pairs = [(text, case.reference) for case in cases for text in case.candidates.values()]
    rows = {}
    for name, score in scores.items():
        scored = score_texts(score, pairs, step)
        verdicts = passed(cases, scored.values, value_range(scored.values))
        rows[name] = {
            **ranking_figures(cases, verdicts, seed=seed),
            "ms_per_sample": 1000 * statistics.median(scored.seconds),
        }
    return {
        "cases": len(cases),
        "needs_context": sum(case.needs_context for case in cases),
        "categories": dict(Counter(case.category for case in cases)),
        "contexts": dict(Counter(case.category for case in cases if case.needs_context)),
        "scores": rows,
    }
