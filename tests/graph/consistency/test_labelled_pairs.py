"""What the reasoning says of the answer, against labelled pairs."""

from __future__ import annotations

from collections import Counter

import pytest
from labelled_pairs import Pair, read_pairs

from chexphi.graph.consistency.verdict import VERDICTS, Verdict, consistency
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.lexicon.extractor import LexiconExtractor

PAIRS, LATER_PAIRS = read_pairs(), read_pairs("later_pairs.txt")
"""Those that the rules were written with, and those that were written after the rules."""
READER, ONTOLOGY = LexiconExtractor(), default_ontology()


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
    every_pair = (*PAIRS, *LATER_PAIRS)
    assert len({(pair.question, pair.answer, pair.reasoning) for pair in every_pair}) == len(every_pair)


@pytest.mark.parametrize(
    ("pairs", "least_right"),
    [
        ([pair for pair in PAIRS if pair.half == "seen"], 0.97),
        ([pair for pair in PAIRS if pair.half == "kept"], 0.97),
        (LATER_PAIRS, 0.93),
    ],
    ids=["seen", "kept", "later"],
)
def test_share_of_pairs_that_are_judged_as_labelled(pairs: list[Pair], least_right: float) -> None:
    wrong = [(verdict(pair), pair) for pair in pairs if verdict(pair) != pair.label]
    assert 1 - len(wrong) / len(pairs) >= least_right, wrong


def test_no_pair_is_wrongly_called_contradictory() -> None:
    every_pair = (*PAIRS, *LATER_PAIRS)
    assert not [p for p in every_pair if p.label != "contradicts" and verdict(p) == "contradicts"]
