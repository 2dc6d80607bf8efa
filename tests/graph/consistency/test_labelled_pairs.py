"""What the reasoning says of the answer, against 400 labelled pairs."""

from __future__ import annotations

from collections import Counter

import pytest
from labelled_pairs import Pair, read_pairs

from chexphi.graph.consistency.verdict import VERDICTS, Verdict, consistency
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.lexicon.extractor import LexiconExtractor

PAIRS = read_pairs()
READER, ONTOLOGY = LexiconExtractor(), default_ontology()
LEAST_RIGHT, MOST_WRONGLY_CONTRADICTED = 0.74, 22
"""Of each half, and of all."""


def verdict(pair: Pair) -> Verdict:
    return consistency(pair.question, pair.answer, pair.reasoning, READER, ONTOLOGY)


def test_the_table_has_every_kind_and_every_label() -> None:
    kinds = Counter(pair.kind for pair in PAIRS)
    assert len(PAIRS) >= 300
    assert min(kinds.values()) >= 20, kinds
    for kind in kinds:
        labels = Counter(pair.label for pair in PAIRS if pair.kind == kind)
        assert set(labels) == set(VERDICTS), kind
        assert min(labels.values()) >= 3, (kind, labels)
    assert len({(pair.question, pair.answer, pair.reasoning) for pair in PAIRS}) == len(PAIRS)


@pytest.mark.parametrize("half", ["seen", "kept"])
def test_share_of_pairs_that_are_judged_as_labelled(half: str) -> None:
    pairs = [pair for pair in PAIRS if pair.half == half]
    wrong = [(verdict(pair), pair) for pair in pairs if verdict(pair) != pair.label]
    assert 1 - len(wrong) / len(pairs) >= LEAST_RIGHT, wrong


def test_no_pair_is_wrongly_called_contradictory() -> None:
    wrong = [pair for pair in PAIRS if pair.label != "contradicts" and verdict(pair) == "contradicts"]
    assert len(wrong) <= MOST_WRONGLY_CONTRADICTED, wrong
