"""How well values agree with ratings of the same texts, with 95 % intervals by case."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chexphi.reward_checks.agreement.correlation import pearson, tau_b
from chexphi.reward_checks.agreement.judgements import RatedSet, RatedText
from chexphi.statistics import intervals
from chexphi.statistics.intervals import Estimate
from chexphi.statistics.ratio import Floats, Ratio, cluster_index
from chexphi.statistics.shares import ROUNDING_ERROR

RESAMPLES = 1000
CORRELATIONS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {"tau_b": tau_b, "pearson": pearson}


def agreement(
    texts: Sequence[RatedText], values: Sequence[float], ratings: Sequence[float], *, seed: int
) -> dict[str, Estimate | None]:
    """Tau-b, Pearson's correlation, and the better one of a pair, each None where it has no value.

    Args:
        texts: What is judged; intervals are drawn by case, the same draws for all values of these texts.
        values: (texts,) of the score.
        ratings: (texts,) to agree with.
        seed: Of the draws.
    """
    weights = text_weights(texts, seed=seed)
    pair = better_of_pair(texts, values, ratings)
    cases = [text.case for text in texts]
    return {
        **{name: _estimate(_drawn(name, values, ratings, weights), len(texts)) for name in CORRELATIONS},
        "better_of_pair": intervals.ratios({"pair": pair}, cases, seed=seed)["pair"],
    }


def difference(
    texts: Sequence[RatedText],
    values: Sequence[float],
    baseline: Sequence[float],
    ratings: Sequence[float],
    *,
    seed: int,
) -> dict[str, Estimate | None]:
    """The figures of `agreement` of a score less those of another score on the same texts, in each draw.

    Args:
        texts: As in `agreement`.
        values: (texts,) of the score.
        baseline: (texts,) of the score that it is compared with.
        ratings: (texts,) to agree with.
        seed: Of the draws.
    """
    weights = text_weights(texts, seed=seed)
    figures: dict[str, Estimate | None] = {"better_of_pair": None}
    for name in CORRELATIONS:
        gains = _drawn(name, values, ratings, weights) - _drawn(name, baseline, ratings, weights)
        figures[name] = _estimate(gains, len(texts))
    before, after = ({"pair": better_of_pair(texts, side, ratings)} for side in (baseline, values))
    pair = intervals.paired_ratios(before, after, [text.case for text in texts], seed=seed)["pair"]
    if pair:
        gain = pair["difference"]
        figures["better_of_pair"] = {"value": gain, "low": pair["low"], "high": pair["high"], "n": pair["n"]}
    return figures


def text_weights(texts: Sequence[RatedText], *, seed: int) -> Floats:
    """(1 + resamples, texts): how often each text is there; the first row is all texts once."""
    index, number = cluster_index([text.case for text in texts])
    blocks = intervals.draws(number, seed=seed, resamples=RESAMPLES)
    return np.concatenate([np.ones((1, len(texts))), *(block[:, index] for block in blocks)])


def _drawn(name: str, values: Sequence[float], ratings: Sequence[float], weights: Floats) -> Floats:
    """(1 + resamples,): a correlation of all texts, and in each draw."""
    scores, targets = np.array(values, dtype=np.float64), np.array(ratings, dtype=np.float64)
    return CORRELATIONS[name](scores, targets, weights)


def _estimate(drawn_values: Floats, count: int) -> Estimate | None:
    """The first value, with the interval of the others. Of a few cases the draws may all miss the value: then
    they tell no interval."""
    value = float(drawn_values[0])
    if not np.isfinite(value):
        return None
    bounds = intervals.percentile(drawn_values[1:])
    if bounds is None or not bounds[0] - ROUNDING_ERROR <= value <= bounds[1] + ROUNDING_ERROR:
        return {"value": value, "low": None, "high": None, "n": count}
    return {"value": value, "low": bounds[0], "high": bounds[1], "n": count}


def better_of_pair(texts: Sequence[RatedText], values: Sequence[float], ratings: Sequence[float]) -> Ratio:
    """Of the pairs within a case: how often the text with the higher rating has the higher value.

    Pairs with equal ratings are left out; equal values count one half.

    Returns:
        (texts,): what a text adds as the later one of pairs.
    """
    right_pairs, pairs = np.zeros(len(texts)), np.zeros(len(texts))
    texts_of_case: dict[str, list[int]] = {}
    for text_index, text in enumerate(texts):
        for earlier_index in texts_of_case.setdefault(text.case, []):
            by_rating = _sign(ratings[earlier_index] - ratings[text_index])
            if by_rating:
                pairs[text_index] += 1
                right_pairs[text_index] += (
                    1 + by_rating * _sign(values[earlier_index] - values[text_index])
                ) / 2
        texts_of_case[text.case].append(text_index)
    return Ratio(right_pairs, pairs)


def _sign(difference: float) -> int:
    return (difference > ROUNDING_ERROR) - (difference < -ROUNDING_ERROR)


def rater_agreement(rated: RatedSet, *, seed: int) -> dict[str, Any] | None:
    """How well the raters agree among themselves; None where fewer than two are known.

    Returns:
        `raters`, their number; `between`: tau-b of each two raters, as `mean`, `low` (the least) and `high`
        (the greatest); `one_against_others`: for each rater, the figures of `agreement` with the mean of the
        others in place of the ratings. None where there are no two texts to compare.
    """
    if len(rated.raters) < 2:
        return None
    between = [
        figures["tau_b"]["value"]
        for pair in itertools.combinations(rated.raters, 2)
        if (figures := _one_against(rated.texts, pair[0], pair[1:], seed=seed)) and figures["tau_b"]
    ]
    by_rater = [
        _one_against(rated.texts, rater, [other for other in rated.raters if other != rater], seed=seed)
        for rater in rated.raters
    ]
    return {
        "raters": len(rated.raters),
        "between": {"mean": _mean(between), "low": min(between), "high": max(between)} if between else None,
        "one_against_others": by_rater,
    }


def _one_against(
    texts: Sequence[RatedText], rater: str, other_raters: Sequence[str], *, seed: int
) -> Mapping[str, Estimate | None] | None:
    """The agreement of one rater with the mean of others, on the texts that both sides rated."""
    shared = [text for text in texts if rater in text.ratings and text.ratings.keys() & {*other_raters}]
    if len(shared) < 2:
        return None
    return agreement(
        shared,
        [text.ratings[rater] for text in shared],
        [_mean([text.ratings[other] for other in other_raters if other in text.ratings]) for text in shared],
        seed=seed,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
