"""A reward for reasonings that entail their own answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from chexphi.graph.consistency.verdict import VERDICTS
from chexphi.graph.types import Extractor
from chexphi.rewards import columns as batch_columns
from chexphi.rewards import rules
from chexphi.rewards.batch_texts import LogMetric, log_outcomes, parsed_batch
from chexphi.rewards.combine import CONSISTENCY
from chexphi.rewards.rules import GraphRule
from chexphi.rewards.score import reader_of
from chexphi.rewards.verdicts import value_of, verdict_of


class ConsistencyReward:
    """1 where the reasoning entails its own answer, 0.5 where it says nothing of it, 0 where it denies it.

    >>> completions = ["<think>The effusion is new.</think><answer>unchanged</answer>"]
    >>> ConsistencyReward()(completions, question=["How has the effusion changed?"])
    [0.0]

    Args:
        extractor: What reads the texts: `open_extractor(NAME)`; by default the lexicon.
        rule: Its `ontology` is used.
        end_token_ids: Ids that end a completion; see `AccuracyReward`.
    """

    __name__ = CONSISTENCY

    def __init__(
        self,
        extractor: Extractor | None = None,
        rule: GraphRule = GraphRule(),  # noqa: B008 (frozen)
        end_token_ids: Iterable[int] = (),
    ) -> None:
        rules.check_rules(self.__name__, rule)
        self.extractor = reader_of(extractor, self.__name__, rule.ontology)
        self.rule = rule
        self.end_token_ids = frozenset(end_token_ids)

    def __call__(
        self,
        completions: Sequence[Any],
        question: Sequence[str | None] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        opened_think: Sequence[bool | None] | None = None,
        **columns: Any,
    ) -> list[float]:
        """Rewards of a batch, one a row; a malformed completion earns 0.

        Args:
            completions: Texts, or conversations whose last message is the completion.
            question: The question of each row, with its options.
            completion_ids: As in `AccuracyReward.__call__`, as are the other arguments.
            log_metric: TRL's hook; it gets the share of each verdict.
            opened_think: See there.
            columns: The other columns, of which `id` names rows in messages.

        Raises:
            InputError: If there is no question, or a value has a wrong type; it names the row.
        """
        parsed = parsed_batch(completions, completion_ids, self.end_token_ids, opened_think, columns)
        questions = batch_columns.question_texts(question, len(parsed), columns)
        log_outcomes(parsed, log_metric)
        verdicts = [
            verdict_of(completion, text, self.extractor, self.rule.ontology)
            for completion, text in zip(parsed, questions, strict=True)
        ]
        if log_metric and parsed:
            counts = Counter(verdict for verdict in verdicts if verdict)
            for verdict in VERDICTS:
                log_metric(f"consistency/{verdict}", counts[verdict] / max(1, counts.total()))
        return [value_of(verdict) for verdict in verdicts]
