"""The completion that earns the most as the answer to every question: what a policy could collapse to."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from chexphi import prompts
from chexphi.graph.text import sentence_spans
from chexphi.graph.types import Extractor

Row = dict[str, Any]
Line = dict[str, Any]
Earn = Callable[[Sequence[Row], Sequence[str]], list[Line]]
"""Completions, one a row -> what each of them earns."""

_ROUNDS = ((32, 48), (160, 8))
"""(rows, candidates that stay): all candidates on a few rows, the best of them on more, then on all rows."""
_FREQUENT = 40
"""Frequent sentences of the data, of which a text is composed."""
_COMPOSED = 20
"""Of these sentences, as many as pay the most alone."""
_FREQUENT_FINDINGS = 15
"""Findings of the data that are stated or denied in sentences of their own."""
_LABELS = 12
"""Frequent labels that are tried together as one answer."""


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None without any."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


class ConstantSearch:
    """A search for one completion that is given to every row; `tried` counts the candidates.

    Args:
        rows: As `offline_scores.score_call` takes them.
        earn: What completions earn.
        seed: Of the rows that candidates are first tried on.
    """

    def __init__(self, rows: Sequence[Row], earn: Earn, *, seed: int = 0) -> None:
        rng = random.Random(seed)
        self.rows, self.earn = rows, earn
        self.samples = [(rng.sample(rows, count), stay) for count, stay in _ROUNDS if count < len(rows)]
        self.sample = self.samples[-1][0] if self.samples else rows
        self._texts: set[str] = set()

    @property
    def tried(self) -> int:
        return len(self._texts)

    def total(self, text: str, rows: Sequence[Row] | None = None) -> float:
        """Mean total of a completion on these rows, by default on all."""
        self._texts.add(text)
        sample = self.rows if rows is None else rows
        return mean(line["total"] for line in self.earn(sample, [text] * len(sample))) or 0.0

    def best(self, candidates: Iterable[str]) -> str:
        """The best of many completions: all are tried on a sample, the best of them on more rows."""
        remaining = list(dict.fromkeys(candidates))
        for sample, survivors in self.samples:
            if len(remaining) > survivors:
                remaining = self._top(remaining, sample, survivors)
        return max(remaining, key=self.total)

    def top_on_sample(self, candidates: Iterable[str], count: int) -> list[str]:
        """The `count` candidates that pay the most on the sample."""
        return self._top(list(dict.fromkeys(candidates)), self.sample, count)

    def _top(self, texts: Sequence[str], rows: Sequence[Row], count: int) -> list[str]:
        return sorted(texts, key=lambda text: self.total(text, rows), reverse=True)[:count]

    def composed(self, start: str, answer: str, pool: Sequence[str]) -> str:
        """A reasoning found step by step: a sentence is added or dropped as long as that pays more."""
        reasoning_sentences = [start[begin:end] for begin, end in sentence_spans(start)]
        best_total = self.total(prompts.render(" ".join(reasoning_sentences), answer), self.sample)
        while True:
            changes = [
                [*reasoning_sentences[:n], *reasoning_sentences[n + 1 :]]
                for n in range(len(reasoning_sentences))
            ]
            changes += [
                [*reasoning_sentences, sentence] for sentence in pool if sentence not in reasoning_sentences
            ]
            totals = [self.total(prompts.render(" ".join(text), answer), self.sample) for text in changes]
            if not changes or max(totals) <= best_total:
                return " ".join(reasoning_sentences)
            best_total = max(totals)
            reasoning_sentences = changes[totals.index(best_total)]


def best_constant(
    search: ConstantSearch, reasonings: Sequence[str], answers: Sequence[Sequence[str]], reader: Extractor
) -> str:
    """The completion with the highest mean total of all that are tried.

    Candidates are every distinct reasoning of the data, and lists of all findings that it names (as present,
    as absent, both). Each is tried with the two answers that pay most, out of every distinct answer and the
    most frequent labels together. Then sentences are added to and dropped from the best candidate, and from
    an empty reasoning.

    Args:
        search: Over the rows of the data.
        reasonings: The reference reasoning of every row.
        answers: The reference labels of every row.
        reader: The extractor that finds the findings of the references.
    """
    replies = _best_answers(search, answers)
    findings = _findings(reasonings, reader)
    lists = [" ".join(map(form, findings)) for form in (_stated, _denied)]
    whole_reasonings = [text for text in (".", *reasonings, *lists, " ".join(lists)) if text]
    best = search.best(prompts.render(text, reply) for text in whole_reasonings for reply in replies)
    think, reply = prompts.reference_reasoning(best), prompts.parse(best).answer or ""
    pool = _frequent_sentences(reasonings)
    pool += [form(name) for name in findings[:_FREQUENT_FINDINGS] for form in (_stated, _denied)]
    pool = search.top_on_sample([prompts.render(text, reply) for text in pool], _COMPOSED)
    pool = [prompts.reference_reasoning(text) for text in pool]
    reasonings_tried = [think, *(search.composed(start, reply, pool) for start in (".", think))]
    return search.best(prompts.render(text, answer) for text in reasonings_tried for answer in replies)


def frequent(answers: Sequence[Sequence[str]]) -> str:
    """The most frequent answer."""
    return Counter(", ".join(labels) for labels in answers).most_common(1)[0][0]


def _best_answers(search: ConstantSearch, answers: Sequence[Sequence[str]]) -> list[str]:
    """The two answers that pay most with an empty reasoning.

    They are compared by the sum of all rewards. The total would be 0 where rewards are multiplied.
    """

    def paid(rows: Sequence[Row], answer: str) -> float:
        lines = search.earn(rows, [prompts.render(".", answer)] * len(rows))
        return sum(value or 0.0 for line in lines for value in line["rewards"].values())

    best = list(dict.fromkeys(_answers(answers)))
    for rows, count in ((search.sample, _LABELS), (search.rows, 2)):
        best = sorted(best, key=functools.partial(paid, rows), reverse=True)[:count]
    return best


def _answers(answers: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from (", ".join(labels) for labels in answers)
    counts = Counter(label for labels in answers for label in labels)
    labels = [label for label, _ in counts.most_common()]
    yield from (", ".join(labels[:count]) for count in range(2, _LABELS))
    yield ", ".join(labels)


def _frequent_sentences(reasonings: Sequence[str]) -> list[str]:
    counts = Counter(text[start:end] for text in reasonings for start, end in sentence_spans(text))
    return [sentence for sentence, _ in counts.most_common(_FREQUENT)]


def _findings(reasonings: Sequence[str], reader: Extractor) -> list[str]:
    """Names of the findings and devices of the references, the most frequent first."""
    counts = Counter(
        mention.text
        for parse in reader.parse(list(reasonings))
        for mention in parse.mentions
        if mention.label.startswith(("disorder", "devices"))
    )
    return [name for name, _ in counts.most_common()]


def _stated(finding: str) -> str:
    return f"There is {finding}."


def _denied(finding: str) -> str:
    return f"No {finding}."
