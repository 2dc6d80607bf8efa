"""The completions of `chexphi rewards probe`: they ignore the film, or twist the truth."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chexphi import prompts
from chexphi.graph.types import Extractor
from chexphi.reward_checks import cheats
from chexphi.reward_checks.best_constant import Row, frequent

MEANINGS = {
    "best constant": "one completion for every row, the best of all that were tried",
    "usual answer alone": "the most frequent answer, with an empty reasoning or a point in its place",
    "every finding": "all findings and devices of the lexicon as present, as absent or as both; usual answer",
    "question repeated": "the question as the reasoning; usual answer",
    "polarity flipped": "the reference with every finding denied that it states, and stated that it denies",
    "sides swapped": "the reference with left for right and right for left",
    "another row's gold": "the reference of another row, drawn once",
    "a sentence 10 times": "the sentence of the reference that says the most, ten times; its answer",
    "another row's reasoning": "the right answer after the reasoning of another row",
}
"""What each cheat writes; where the reference is twisted, the right answer stays."""
TIMES = 10
"""How often a sentence is repeated."""


@dataclass(frozen=True)
class Cheat:
    """Completions that are not the reference, one for each row."""

    name: str
    forms: Mapping[str, Sequence[str]]
    """Wording -> a text for each row; the wording that earns the most counts."""
    row_indices: Sequence[int]
    """The rows whose text it changes."""


def texts(
    rows: Sequence[Row],
    thinks: Sequence[str],
    flipped: Sequence[str],
    questions: Sequence[str],
    reader: Extractor,
    *,
    seed: int,
) -> list[Cheat]:
    """All cheats that do not depend on the rewards; where a reasoning is twisted, its right answer stays."""
    golds = [row["completion"] for row in rows]
    answers = [", ".join(row["answer"]) for row in rows]
    usual = frequent([row["answer"] for row in rows])
    count, all_rows = len(rows), range(len(rows))
    row_permutation = derangement(count, random.Random(seed))
    present, absent = cheats.every_finding(denied=False), cheats.every_finding(denied=True)

    def same(think: str) -> list[str]:
        return [prompts.render(think, usual)] * count

    def answered(reasonings: Sequence[str]) -> list[str]:
        return list(map(prompts.render, reasonings, answers))

    def changed(twisted: Sequence[str]) -> list[int]:
        return [n for n in all_rows if twisted[n] != thinks[n]]

    swapped = list(map(cheats.swap_sides, thinks))
    repeated = [" ".join([cheats.richest_sentence(text, reader)] * TIMES) for text in thinks]
    lists = {"present": same(present), "absent": same(absent), "both": same(f"{present} {absent}")}
    return [
        Cheat("usual answer alone", {"empty": same(""), "a point": same(".")}, all_rows),
        Cheat("every finding", lists, all_rows),
        Cheat("question repeated", {"": [prompts.render(text, usual) for text in questions]}, all_rows),
        Cheat("polarity flipped", {"": answered(flipped)}, changed(flipped)),
        Cheat("sides swapped", {"": answered(swapped)}, changed(swapped)),
        Cheat("another row's gold", {"": [golds[n] for n in row_permutation]}, all_rows),
        Cheat("a sentence 10 times", {"": answered(repeated)}, changed(repeated)),
        Cheat("another row's reasoning", {"": answered([thinks[n] for n in row_permutation])}, all_rows),
    ]


def derangement(count: int, rng: random.Random) -> list[int]:
    """A random permutation in which no element keeps its position: one cycle through all, at least two."""
    order = list(range(count))
    rng.shuffle(order)
    follows = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [follows[n] for n in range(count)]
