"""The two rewards as plain TRL callables (also what ms-swift and veRL wrap).

Row *i* is scored against reference *i* alone, reasoning against reasoning alone. A malformed
completion earns 0 and is counted by kind; a row that cannot be scored is `None`; a crash stays a crash.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chexphi import prompts
from chexphi.answers import Match
from chexphi.graph.match import Counts, GraphMatch, Measure
from chexphi.graph.types import Extractor, Graph
from chexphi.prompts import Parsed, ParseStatus
from chexphi.rewards.score import accuracy, gold_answer, score

LogMetric = Callable[[str, float], None]


def text_of(completion: str | Sequence[dict[str, Any]]) -> str:
    """The text of a completion given as a string or as chat messages."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)


def truncated(
    completion_ids: Sequence[Sequence[int]] | None, end_token_ids: frozenset[int], count: int
) -> list[bool]:
    """Which completions hit the length limit; none where the ids or the end tokens are not known."""
    if completion_ids is None or not end_token_ids:
        return [False] * count
    return [not ids or ids[-1] not in end_token_ids for ids in completion_ids]


def _finite(rewards: list[float | None], name: str, ids: Sequence[Any] | None) -> list[float | None]:
    for row, value in enumerate(rewards):
        if value is not None and not math.isfinite(value):
            raise FloatingPointError(f"{name} is {value} for row {ids[row] if ids else row}")
    return rewards


class AccuracyReward:
    """R_acc: 1 if the answer equals the reference as a set of labels, else 0 (paper; seed `plugin.py`)."""

    __name__ = "external_r1v_acc"

    def __init__(self, match: Match = "exact", end_token_ids: Iterable[int] = ()) -> None:
        self.match: Match = match
        self.end_token_ids = frozenset(end_token_ids)

    def __call__(
        self,
        completions: Sequence[Any],
        solution: Sequence[str],
        answer: Sequence[Sequence[str]] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Rewards of a batch, one a row.

        Args:
            completions: Texts, or conversations whose last message is the completion.
            solution: The reference explanation of each row.
            answer: The reference labels of each row; read from `solution` where absent.
            completion_ids: The sampled ids; one that ends without an end token is truncated.
            log_metric: TRL's hook; receives the share of each malformed kind.
        """
        golds = answer if answer is not None else [None] * len(solution)
        cut = truncated(completion_ids, self.end_token_ids, len(completions))
        rewards: list[float | None] = []
        kinds: Counter[ParseStatus] = Counter()
        for completion, reference, gold, short in zip(completions, solution, golds, cut, strict=True):
            parsed = prompts.parse(text_of(completion), truncated=short)
            kinds[parsed.status] += 1
            rewards.append(accuracy(parsed, gold_answer(reference, gold), self.match))
        if log_metric and completions:
            for kind in ParseStatus:
                if kind is not ParseStatus.ok:
                    log_metric(f"malformed/{kind}", kinds[kind] / len(completions))
        return _finite(rewards, self.__name__, columns.get("id"))


class GraphReward:
    """R_kg: mean of entity and relation Jaccard of two reasonings (paper; seed `plugin.py`)."""

    __name__ = "external_kg_jac"

    def __init__(
        self, extractor: Extractor, measure: Measure = "jaccard", end_token_ids: Iterable[int] = ()
    ) -> None:
        self.extractor = extractor
        self.measure: Measure = measure
        self.end_token_ids = frozenset(end_token_ids)
        self._references: dict[str, Graph] = {}

    def _reference_graphs(self, solutions: Sequence[str]) -> list[Graph]:
        new = [text for text in dict.fromkeys(solutions) if text not in self._references]
        if new:
            graphs = self.extractor.extract([prompts.reference_reasoning(text) for text in new])
            self._references.update(zip(new, graphs, strict=True))
        return [self._references[text] for text in solutions]

    def _graphs(self, parsed: Sequence[Parsed]) -> list[Graph]:
        thinks = [part.think or "" if part.status is ParseStatus.ok else "" for part in parsed]
        distinct = list(dict.fromkeys(thinks))
        found = dict(zip(distinct, self.extractor.extract(distinct), strict=True))
        return [found[think] for think in thinks]

    def __call__(
        self,
        completions: Sequence[Any],
        solution: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Rewards of a batch, one a row; None where the reference has no graph. Arguments as above."""
        cut = truncated(completion_ids, self.end_token_ids, len(completions))
        texts = [text_of(completion) for completion in completions]
        parsed = [prompts.parse(text, truncated=short) for text, short in zip(texts, cut, strict=True)]
        rows = zip(texts, self._graphs(parsed), self._reference_graphs(solution), cut, strict=True)
        scores = [
            score(t, graph, ref, None, truncated=short, measure=self.measure) for t, graph, ref, short in rows
        ]
        if log_metric:
            total = sum((s.match for s in scores if s.match), start=GraphMatch(Counts(), Counts()))
            for name, counts in (("entity", total.entities), ("relation", total.relations)):
                log_metric(f"graph/{name}_precision", counts.precision)
                log_metric(f"graph/{name}_recall", counts.recall)
        return _finite([s.graph for s in scores], self.__name__, columns.get("id"))
