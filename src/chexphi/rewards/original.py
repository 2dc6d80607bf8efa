"""The two rewards as the original computes them, to compare with its runs. Not for training.

Their faults are kept: one reference for a whole batch, tags and answer in the completion's graph, any answer
in common (`plugin.py`). docs/paper_map.md says what ours do instead.
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
    """The graph of every whole completion against that of the *first* solution's reasoning.

    `RexkgExtractor(folder, compat="original")` gives the original's figures. With `measure="f1"` this is the
    original's other reward, which no name led to (`kgkg`, `plugin.py:269-339`).
    """

    __name__ = "external_kg_jac"

    def __init__(self, extractor: Extractor, measure: str = "jaccard") -> None:
        rules.check_rules(self.__name__, rules.GraphRule(measure=measure))
        rules.check_original_measure(self.__name__, measure)
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
        return [score for score in scores if score is not None]  # always a number here


def external_r1v_acc(completions: Sequence[str], solution: Sequence[str], **columns: Any) -> list[float]:
    """1 where the answers, split at commas, have an item in common. The shorter list decides the length."""
    return [answer_score(text, gold) for text, gold in zip(completions, solution, strict=False)]


def answer_score(completion: str, gold: str) -> float:
    """1 where both answers have an item in common, else 0."""
    items_text_of = _answer if "<answer>" in gold else _first_sentence
    answer_items, gold_items = _items(items_text_of(completion)), _items(items_text_of(gold))
    return float(bool(answer_items & gold_items) if gold_items else not answer_items)


def _between(name: str, text: str) -> str | None:
    """The text between the first tag of a name and the first that closes it; None without both."""
    start, end = f"<{name}>", f"</{name}>"
    _, start_tag, after_start = text.partition(start)
    inside, end_tag, _ = after_start.partition(end)
    return inside if start_tag and end_tag else None


def _answer(text: str) -> str:
    """The first answer that is opened and closed on one line; without one the whole text."""
    line_answers = (_between("answer", line) for line in text.split("\n"))
    return next((answer for answer in line_answers if answer is not None), text)


def _first_sentence(text: str) -> str:
    sentence = _FIRST_SENTENCE.match(text)
    return sentence[0] if sentence else text


def _items(text: str) -> set[str]:
    return {item for piece in text.split(",") if (item := piece.strip().lower())}
