"""The reasoning of drawn films against its own answer, and against other answers to the same question."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest

from chexphi.data.phantom.frames import WORDINGS
from chexphi.data.phantom.language import ask, explain
from chexphi.data.phantom.questions import Question
from chexphi.data.phantom.scene import evolve, sample_build, sample_scene
from chexphi.graph.consistency.verdict import Verdict, consistency
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.schema import Kind

KINDS: tuple[Kind, ...] = ("basic", "region", "compare")
FILMS = 250
"""Of each kind of question."""
READER, ONTOLOGY = LexiconExtractor(), default_ontology()


@dataclass(frozen=True, slots=True)
class Row:
    question: Question
    answer: tuple[str, ...]
    reasoning: str

    def verdict(self, answer: tuple[str, ...]) -> Verdict:
        return consistency(self.question.text, ", ".join(answer), self.reasoning, READER, ONTOLOGY)


def drawn_row(seed: int, kind: Kind) -> Row:
    rng = random.Random(f"{seed}/{kind}")
    prior = sample_scene(rng, sample_build(rng))
    scenes = [prior, evolve(rng, prior)] if kind == "compare" else [prior]
    wording = WORDINGS[seed % len(WORDINGS)]
    question = ask(rng, scenes, kind, wording)
    explanation = explain(rng, question, scenes, wording)
    return Row(question, explanation.answer, explanation.think)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [drawn_row(seed, kind) for seed in range(FILMS) for kind in KINDS]


def test_a_drawn_reasoning_entails_its_answer(rows: list[Row]) -> None:
    verdicts = Counter(row.verdict(row.answer) for row in rows)
    assert verdicts["contradicts"] == 0
    assert verdicts["entails"] >= 0.97 * len(rows), verdicts


def test_no_other_answer_is_entailed(rows: list[Row]) -> None:
    """Another answer may hold too only where it names one of two places of the same finding."""
    answers = defaultdict(set)
    for row in rows:
        answers[row.question.semantic_type, row.question.question_type].add(row.answer)
    verdicts: Counter[Verdict] = Counter()
    for row in rows:
        others = answers[row.question.semantic_type, row.question.question_type] - {row.answer}
        for answer in sorted(others)[:6]:
            verdict = row.verdict(answer)
            verdicts[verdict] += 1
            if verdict == "entails":
                assert row.question.question_type == "location", (row, answer)
                assert set(answer) < set(row.answer), (row, answer)
    assert verdicts["contradicts"] >= 0.7 * verdicts.total(), verdicts
