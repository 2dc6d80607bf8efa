"""The two rewards as the original computes them, for comparing with its runs. Not for training.

Their faults are kept: one reference for a whole batch, tags and answer in the completion's graph, any
common answer (`plugin.py`; docs/paper_map.md says what ours do instead).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from chexphi.graph import match
from chexphi.graph.match import Measure
from chexphi.graph.types import Extractor
from chexphi.rewards.settings import check_choices

_THINK = re.compile(r"<think>(.*?)</think>", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>")
"""On one line only."""
_FIRST_SENTENCE = re.compile(r"[^.!?\u3002\uff01\uff1f]*")


class SeedGraphReward:
    """Every completion, whole, against the reasoning of the *first* solution.

    The original's figures come out with `RexkgExtractor(folder, compat="seed")`. With `measure="f1"` it is
    the original's other reward, which no name led to (`kgkg`, `plugin.py:269-339`).
    """

    __name__ = "external_kg_jac"

    def __init__(self, extractor: Extractor, measure: Measure = "jaccard") -> None:
        check_choices(self.__name__, measure=measure)
        self.extractor = extractor
        self.measure: Measure = measure

    def __call__(self, completions: Sequence[str], solution: Sequence[str], **columns: Any) -> list[float]:
        """Rewards of a batch in [0, 1], one a completion.

        Raises:
            IndexError: If there is no solution.
        """
        think = _THINK.search(solution[0])
        reference = think[1] if think else solution[0]
        *predicted, gold = self.extractor.extract([*completions, reference])
        scores = (match.score(graph, gold, measure=self.measure, compat="seed") for graph in predicted)
        return [score for score in scores if score is not None]  # it always is a number


def external_r1v_acc(completions: Sequence[str], solution: Sequence[str], **columns: Any) -> list[float]:
    """1 where the answers, split at commas, have an item in common; as many as the shorter list has rows."""
    return [answer_score(text, gold) for text, gold in zip(completions, solution, strict=False)]


def answer_score(completion: str, gold: str) -> float:
    """1 where an item of the answers is common to both, else 0."""
    pattern = _ANSWER if "<answer>" in gold else _FIRST_SENTENCE
    said, wanted = _items(pattern, completion), _items(pattern, gold)
    return float(bool(said & wanted) if wanted else not said)


def _items(pattern: re.Pattern[str], text: str) -> set[str]:
    found = pattern.search(text)
    part = text if found is None else found[found.re.groups]
    return {item for piece in part.split(",") if (item := piece.strip().lower())}
