"""The two rewards as the original computes them, for comparing with its runs. Not for training.

Their faults are kept: one reference for a whole batch, tags and answer in the completion's graph, any
common answer (`plugin.py`; docs/paper_map.md says what ours do instead).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from chexphi.graph import match
from chexphi.graph.types import Extractor
from chexphi.rewards import rules

_FIRST_SENTENCE = re.compile(r"[^.!?\u3002\uff01\uff1f]*")


class OriginalGraphReward:
    """Every completion, whole, against the reasoning of the *first* solution.

    `RexkgExtractor(folder, compat="original")` gives the original's figures. With `measure="f1"` this is the
    original's other reward, which no name led to (`kgkg`, `plugin.py:269-339`).
    """

    __name__ = "external_kg_jac"

    def __init__(self, extractor: Extractor, measure: str = "jaccard") -> None:
        rules.check(self.__name__, rules.GraphRule(measure=measure))
        self.extractor = extractor
        self.measure = measure

    def __call__(self, completions: Sequence[str], solution: Sequence[str], **columns: Any) -> list[float]:
        """Rewards of a batch in [0, 1], one a completion.

        Raises:
            IndexError: If there is no solution.
        """
        think = _between("think", solution[0])
        reference = solution[0] if think is None else think
        *predicted, gold = self.extractor.extract([*completions, reference])
        scores = (match.score(graph, gold, measure=self.measure, compat="original") for graph in predicted)
        return [score for score in scores if score is not None]  # it always is a number


def external_r1v_acc(completions: Sequence[str], solution: Sequence[str], **columns: Any) -> list[float]:
    """1 where the answers, split at commas, have an item in common; as many as the shorter list has rows."""
    return [answer_score(text, gold) for text, gold in zip(completions, solution, strict=False)]


def answer_score(completion: str, gold: str) -> float:
    """1 where an item of the answers is common to both, else 0."""
    read = _answer if "<answer>" in gold else _first_sentence
    said, wanted = _items(read(completion)), _items(read(gold))
    return float(bool(said & wanted) if wanted else not said)


def _between(name: str, text: str) -> str | None:
    """What stands between the first tag of a name and the first that closes it; None without both."""
    start, end = f"<{name}>", f"</{name}>"
    _, opened, rest = text.partition(start)
    inside, closed, _ = rest.partition(end)
    return inside if opened and closed else None


def _answer(text: str) -> str:
    """The first answer that is opened and closed on one line; without one the whole text."""
    found = (_between("answer", line) for line in text.split("\n"))
    return next((answer for answer in found if answer is not None), text)


def _first_sentence(text: str) -> str:
    found = _FIRST_SENTENCE.match(text)
    return found[0] if found else text


def _items(text: str) -> set[str]:
    return {item for piece in text.split(",") if (item := piece.strip().lower())}
