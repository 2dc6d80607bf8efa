"""The rewards of this package as plain TRL callables, which the plugins for ms-swift and veRL wrap too.

Row *i* is scored against reference *i* alone, and reasoning against reasoning alone. A malformed completion
earns 0 and is counted by kind. A row that cannot be scored is `None`. An error of the code is not caught. A
column of a wrong type is an `InputError` that names the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chexphi import prompts
from chexphi.graph.clinical.sums import clinical_sums
from chexphi.graph.match import Counts, GraphMatch
from chexphi.graph.types import Extractor
from chexphi.prompts import Parsed, ParseStatus
from chexphi.rewards import columns as batch_columns
from chexphi.rewards import rules
from chexphi.rewards.batch_texts import LogMetric, log_outcomes, parsed_batch
from chexphi.rewards.combine import Scheme
from chexphi.rewards.reading import Reading, read
from chexphi.rewards.rules import AnswerRule, GraphRule
from chexphi.rewards.score import accuracy, gold_answer, reader_of, reasoning, score, score_graph
from chexphi.rewards.scored import Score


class AccuracyReward:
    """R_acc: 1 if the answer equals the reference as a set of labels, else 0 (paper; seed `plugin.py`).

    >>> completions = ["<think>An effusion.</think><answer>yes</answer>", "yes"]
    >>> AccuracyReward()(completions, answer=["yes", "yes"])
    [1.0, 0.0]

    Args:
        rule: When an answer is right, and whether a malformed completion earns anything.
        end_token_ids: Ids that end a completion. With them, and with `completion_ids` in a batch, a
            completion that was cut off counts as malformed.
    """

    __name__ = "external_r1v_acc"

    def __init__(
        self,
        rule: AnswerRule = AnswerRule(),  # noqa: B008 (frozen)
        end_token_ids: Iterable[int] = (),
    ) -> None:
        rules.check_rules(self.__name__, rule)
        self.rule = rule
        self.end_token_ids = frozenset(end_token_ids)

    def __repr__(self) -> str:
        return f"AccuracyReward(rule={self.rule})"

    def __call__(
        self,
        completions: Sequence[Any],
        solution: Sequence[str | None] | None = None,
        answer: Sequence[Any] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        opened_think: Sequence[bool | None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Rewards of a batch, one a row.

        Args:
            completions: Texts, or conversations whose last message is the completion.
            solution: The reference explanation of each row; needed where `answer` is absent.
            answer: The reference labels of each row: a text, a number, or a list of them. For a row without
                labels they are read from `solution`.
            completion_ids: The sampled ids. A completion that does not end in an end token is truncated.
            log_metric: TRL's hook; it gets the share of each malformed kind and the length.
            opened_think: Whether each row's prompt ended in an open `<think>`; see `texts_of`.
            columns: The other columns, of which `id` names rows in messages.

        Raises:
            InputError: For a value of a wrong type, or a column of another length; it names the row.
        """
        parsed = parsed_batch(completions, completion_ids, self.end_token_ids, opened_think, columns)
        golds = batch_columns.answer_labels(answer, len(parsed), columns)
        solutions = [None] * len(parsed) if solution is None and answer is not None else solution
        references = batch_columns.solution_texts(solutions, len(parsed), columns)
        log_outcomes(parsed, log_metric)
        return [
            accuracy(completion, gold_answer(reference, gold), self.rule)
            for completion, reference, gold in zip(parsed, references, golds, strict=True)
        ]


class GraphReward:
    """R_kg: mean of entity and relation Jaccard of two reasonings (paper; seed `plugin.py`).

    Ours on top, by default: the share of the reference's claims that are not contradicted is a factor, and a
    statement that is repeated divides the reward by the number of times. With `measure="clinical"` it
    compares findings instead; see `chexphi.graph.clinical.compare`.

    >>> reference = "<think>There is a small left effusion.</think><answer>yes</answer>"
    >>> GraphReward()([reference, "Yes."], solution=[reference, reference])
    [1.0, 0.0]
    >>> GraphReward(rule=GraphRule("f1"))  # doctest: +ELLIPSIS
    GraphReward(rule=GraphRule(measure='f1', empty='skip', ...))

    Args:
        extractor: What reads the graphs: `open_extractor(NAME)`; by default the lexicon.
        rule: How two graphs are compared.
        end_token_ids: Ids that end a completion. With them, and with `completion_ids` in a batch, a
            completion that was cut off counts as malformed.
    """

    __name__ = "external_kg_jac"

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
        self._references: dict[str, Reading] = {}

    def __repr__(self) -> str:
        return f"GraphReward(rule={self.rule})"

    def _read_references(self, solutions: Sequence[str]) -> list[Reading]:
        new_solutions = [
            solution for solution in dict.fromkeys(solutions) if solution not in self._references
        ]
        if new_solutions:
            reasonings = [prompts.reference_reasoning(solution) for solution in new_solutions]
            readings = read(reasonings, self.extractor, self.rule)
            self._references.update(zip(new_solutions, readings, strict=True))
        return [self._references[solution] for solution in solutions]

    def _read(self, parsed: Sequence[Parsed]) -> list[Reading]:
        thinks = [reasoning(completion) for completion in parsed]
        distinct = list(dict.fromkeys(thinks))
        reading_of = dict(zip(distinct, read(distinct, self.extractor, self.rule), strict=True))
        return [reading_of[think] for think in thinks]

    def __call__(
        self,
        completions: Sequence[Any],
        solution: Sequence[str | None] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        opened_think: Sequence[bool | None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Rewards of a batch, one a row; None where the reference has no graph.

        Arguments and errors are those of `AccuracyReward.__call__`.
        """
        parsed = parsed_batch(completions, completion_ids, self.end_token_ids, opened_think, columns)
        solutions = batch_columns.solution_texts(solution, len(parsed), columns)
        log_outcomes(parsed, log_metric)
        rows = zip(parsed, self._read(parsed), self._read_references(solutions), solutions, strict=True)
        scores = [
            score_graph(
                completion,
                predicted,
                reference,
                self.rule,
                reference_reasoning=prompts.reference_reasoning(solution),
            )
            for completion, predicted, reference, solution in rows
        ]
        if log_metric:
            total = sum((s.match for s in scores if s.match), start=GraphMatch(Counts(), Counts()))
            for name, counts in (("entity", total.entities), ("relation", total.relations)):
                log_metric(f"graph/{name}_precision", counts.precision)
                log_metric(f"graph/{name}_recall", counts.recall)
            agreements = [s.agreement for s in scores if s.agreement is not None]
            log_metric("graph/contradicted", 1 - sum(agreements) / len(agreements) if agreements else 0.0)
            if matches := [s.clinical for s in scores if s.clinical]:
                sums = clinical_sums(matches)
                log_metric("clinical/omission", sums.omission)
                log_metric("clinical/hallucination", sums.hallucination)
        return [s.value for s in scores]

    def explain(self, completion: str | Sequence[dict[str, Any]], solution: str) -> Score:
        """The score of one completion by this reward's rule and extractor; printed, it says why.

        >>> reference = "<think>There is a small left effusion.</think><answer>yes</answer>"
        >>> GraphReward().explain("<think>A left effusion.</think><answer>no</answer>", reference)
        Score(ok, accuracy 0.000, graph 0.167, total 0.167)
        """
        scheme = Scheme((self.__name__,))
        return score(completion, solution, extractor=self.extractor, graph_rule=self.rule, scheme=scheme)


class FormatReward:
    """1 for a well-formed completion (one reasoning, one answer, in either order), else 0."""

    __name__ = "format"

    def __init__(self, end_token_ids: Iterable[int] = ()) -> None:
        self.end_token_ids = frozenset(end_token_ids)

    def __call__(
        self,
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        opened_think: Sequence[bool | None] | None = None,
        **columns: Any,
    ) -> list[float]:
        """Rewards of a batch, one a row; arguments and errors are those of `AccuracyReward.__call__`."""
        parsed = parsed_batch(completions, completion_ids, self.end_token_ids, opened_think, columns)
        log_outcomes(parsed, log_metric)
        return [float(completion.status is ParseStatus.ok) for completion in parsed]
