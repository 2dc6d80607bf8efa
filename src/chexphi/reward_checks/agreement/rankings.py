"""Whether scores put candidates into the order that is known to be right (RadJudge)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chexphi.reward_checks.agreement.judgements import RankedCase, Ranking
from chexphi.statistics import intervals
from chexphi.statistics.ratio import Ratio
from chexphi.statistics.shares import ROUNDING_ERROR

EQUAL_WITHIN = 0.05
"""Two scores are equal if they differ by at most this share of the score's range."""


def holds(ranking: Ranking, scores: Mapping[str, float], score_range: float) -> bool:
    """Whether the candidates' scores are as a ranking says.

    >>> scores = {"C1": 0.60, "C2": 0.57}
    >>> [holds(Ranking("C1", "C2", equal=equal), scores, 1.0) for equal in (False, True)]
    [True, True]
    """
    difference = scores[ranking.first_name] - scores[ranking.second_name]
    if ranking.equal:
        return abs(difference) <= EQUAL_WITHIN * score_range + ROUNDING_ERROR
    return difference > ROUNDING_ERROR


def passed(cases: Sequence[RankedCase], values: Sequence[float], score_range: float) -> list[bool]:
    """For each case whether all its rankings hold.

    Args:
        cases: The cases.
        values: Of all candidates of the first case, then of the second, and so on.
        score_range: Of the score.
    """
    remaining = iter(values)
    verdicts = []
    for case in cases:
        scores = {name: next(remaining) for name in case.candidates}
        verdicts.append(all(holds(ranking, scores, score_range) for ranking in case.expected))
    return verdicts


def ranking_figures(cases: Sequence[RankedCase], verdicts: Sequence[bool], *, seed: int) -> dict[str, Any]:
    """How many cases a score passes, in all and by category.

    Returns:
        `passed`, its share with an interval (`share`), `passed_without_context` (of the cases that need none)
        and `categories`: passed by name.
    """
    numbers = list(range(len(cases)))
    share = intervals.ratios({"share": Ratio.mean([float(v) for v in verdicts])}, numbers, seed=seed)["share"]
    without_context = [v for case, v in zip(cases, verdicts, strict=True) if not case.needs_context]
    categories = dict.fromkeys((case.category for case in cases), 0)
    for case, verdict in zip(cases, verdicts, strict=True):
        categories[case.category] += verdict
    return {
        "passed": sum(verdicts),
        "share": share,
        "passed_without_context": sum(without_context),
        "categories": categories,
    }
