"""The one completion that earns the most whatever the question: what a policy could collapse to."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from chexphi import prompts
from chexphi.graph.text import sentences
from chexphi.graph.types import Extractor

Row = dict[str, Any]
Line = dict[str, Any]
Earn = Callable[[Sequence[Row], Sequence[str]], list[Line]]
"""What completions earn, one a row."""

_ROUNDS = ((32, 48), (160, 8))
"""(rows, candidates that stay): all of them on few rows first, the best on more, then on all."""
_FREQUENT = 40
"""Sentences of the data that a text is composed of."""
_COMPOSED = 20
"""Sentences of those that pay the most alone."""
_NAMED = 15
"""Findings of the data that are stated or denied in a sentence of their own."""
_LABELS = 12
"""Frequent labels that are tried together as one answer."""


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that there are."""
    given = [value for value in values if value is not None]
    return sum(given) / len(given) if given else None


class Search:
    """Candidates for one completion that is given to every row; `tried` counts them.

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
        """Mean total of a completion on some rows, by default on all."""
        self._texts.add(text)
        some = self.rows if rows is None else rows
        return mean(line["total"] for line in self.earn(some, [text] * len(some))) or 0.0

    def best(self, candidates: Iterable[str]) -> str:
        """The best of many completions: all on a sample, those that stay on a larger one, then on all."""
        left = list(dict.fromkeys(candidates))
        for sample, stay in self.samples:
            if len(left) > stay:
                left = self._top(left, sample, stay)
        return max(left, key=self.total)

    def few(self, candidates: Iterable[str], keep: int) -> list[str]:
        """Those that pay the most on a sample."""
        return self._top(list(dict.fromkeys(candidates)), self.sample, keep)

    def _top(self, texts: Sequence[str], rows: Sequence[Row], keep: int) -> list[str]:
        return sorted(texts, key=lambda text: self.total(text, rows), reverse=True)[:keep]

    def composed(self, start: str, answer: str, pool: Sequence[str]) -> str:
        """The reasoning that is left when sentences are gained and lost for as long as that pays more."""
        said = [start[first:end] for first, end in sentences(start)]
        paid = self.total(prompts.render(" ".join(said), answer), self.sample)
        while True:
            changes = [[*said[:n], *said[n + 1 :]] for n in range(len(said))]
            changes += [[*said, sentence] for sentence in pool if sentence not in said]
            totals = [self.total(prompts.render(" ".join(text), answer), self.sample) for text in changes]
            if not changes or max(totals) <= paid:
                return " ".join(said)
            paid = max(totals)
            said = changes[totals.index(paid)]


def best_constant(
    search: Search, reasonings: Sequence[str], answers: Sequence[Sequence[str]], reader: Extractor
) -> str:
    """The completion with the highest mean total that was found.

    Candidates are every distinct reasoning of the data, and lists of all findings it names (there, denied,
    both), each with the two best paid answers; among those are every distinct one and the most frequent
    labels together. From the best candidate, and from nothing, sentences are then added and dropped.

    Args:
        search: Over the rows of the data.
        reasonings: The reference reasoning of every row.
        answers: The reference labels of every row.
        reader: What tells which findings the references name.
    """
    replies = _best_answers(search, answers)
    findings = _findings(reasonings, reader)
    lists = [" ".join(map(form, findings)) for form in (_stated, _denied)]
    whole = [text for text in (".", *reasonings, *lists, " ".join(lists)) if text]
    best = search.best(prompts.render(text, reply) for text in whole for reply in replies)
    think, reply = prompts.reference_reasoning(best), prompts.parse(best).answer or ""
    pool = _frequent_sentences(reasonings)
    pool += [form(name) for name in findings[:_NAMED] for form in (_stated, _denied)]
    pool = search.few([prompts.render(text, reply) for text in pool], _COMPOSED)
    pool = [prompts.reference_reasoning(text) for text in pool]
    found = [think, *(search.composed(start, reply, pool) for start in (".", think))]
    return search.best(prompts.render(text, answer) for text in found for answer in replies)


def frequent(answers: Sequence[Sequence[str]]) -> str:
    """The most frequent answer."""
    return Counter(", ".join(labels) for labels in answers).most_common(1)[0][0]


def _best_answers(search: Search, answers: Sequence[Sequence[str]]) -> list[str]:
    """The two answers that pay most, whatever the reasoning: by the sum of all rewards, not by the total,
    which is nothing without a reasoning where rewards are multiplied."""

    def paid(rows: Sequence[Row], answer: str) -> float:
        lines = search.earn(rows, [prompts.render(".", answer)] * len(rows))
        return sum(value or 0.0 for line in lines for value in line["rewards"].values())

    best = list(dict.fromkeys(_answers(answers)))
    for rows, keep in ((search.sample, _LABELS), (search.rows, 2)):
        best = sorted(best, key=functools.partial(paid, rows), reverse=True)[:keep]
    return best


def _answers(answers: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from (", ".join(labels) for labels in answers)
    counts = Counter(label for labels in answers for label in labels)
    labels = [label for label, _ in counts.most_common()]
    yield from (", ".join(labels[:count]) for count in range(2, _LABELS))
    yield ", ".join(labels)


def _frequent_sentences(reasonings: Sequence[str]) -> list[str]:
    counts = Counter(text[start:end] for text in reasonings for start, end in sentences(text))
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
