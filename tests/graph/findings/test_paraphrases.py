"""Wordings of the same finding are read as the same, and are worth the same: a table of pairs, generated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from chexphi.graph.clinical.compare import compare
from chexphi.graph.clinical.tidy import tidy
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding
from chexphi.graph.lexicon.extractor import LexiconExtractor

ONTOLOGY, EXTRACTOR = default_ontology(), LexiconExtractor()
CLAIMED = (
    "{np}.",
    "There is {np}.",
    "{np} is seen.",
    "The film shows {np}.",
    "{np} is noted on this film.",
    "I see {np}.",
)
DENIED = ("No {np}.", "There is no {np}.", "No {np} is seen.", "There is no evidence of {np}.")
ARTICLE = re.compile(r"^(?:a|an|the) ")
FRAMES_A_LINE = 3
"""Frames that each noun phrase is put into; the first line of a block has the second frame."""


class Pair(NamedTuple):
    first: str
    second: str


def framed(frame: str, phrase: str) -> str:
    if not frame.startswith(("There", "I ", "The ")) or "no" in frame.lower().split():
        phrase = ARTICLE.sub("", phrase)
    sentence = frame.format(np=phrase)
    return sentence[0].upper() + sentence[1:]


def pairs() -> list[Pair]:
    text = Path(__file__).with_name("paraphrases.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    blocks = [block.splitlines() for block in "\n".join(lines).split("\n\n") if block.strip()]
    return [pair for block in blocks for pair in pairs_of([line for line in block if line])]


def pairs_of(block: list[str]) -> list[Pair]:
    """Each wording with the first, in several frames; noun phrases denied, too."""
    table = []
    for number, line in enumerate(block):
        if line.endswith("."):
            first = block[0] if block[0].endswith(".") else framed(CLAIMED[1], block[0])
            table += [Pair(first, line)] if line != first else []
            continue
        for step in range(FRAMES_A_LINE):
            frame = CLAIMED[(number + 2 * step) % len(CLAIMED)]
            table.append(Pair(framed(CLAIMED[1], block[0]), framed(frame, line)))
        if "possible" not in block[0] and not DENIED_IS_UNUSUAL.search(block[0]):
            denial = DENIED[number % len(DENIED)]
            table.append(Pair(framed(DENIED[1], block[0]), framed(denial, line)))
    return [pair for pair in table if pair.first != pair.second]


DENIED_IS_UNUSUAL = re.compile(
    r"\b(?:increased|decreased|stable|unchanged|new|healed|mild|severe|small|large|sternotomy|\d)\b"
)
"""Nobody denies a stable or a small finding by these words."""
PAIRS = pairs()


def read(text: str) -> list[Finding]:
    (parse,) = EXTRACTOR.parse([text])
    return tidy(findings(parse, ONTOLOGY), ONTOLOGY)


def keys(found: list[Finding]) -> set[tuple[object, ...]]:
    return {
        (f.concept, f.present, f.certain, q.sides, q.zones, q.degree, q.change, q.size_mm, q.position)
        for f in found
        for q in (f.qualities,)
    }


def test_the_table_has_more_than_500_pairs() -> None:
    assert len(set(PAIRS)) > 500
    assert len({finding.concept for pair in PAIRS for finding in read(pair.first)}) > 80


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.first} = {pair.second}")
def test_a_paraphrase_is_the_same(pair: Pair) -> None:
    first, second = read(pair.first), read(pair.second)
    assert first
    assert keys(first) == keys(second)
    one_way, other_way = compare(first, second, ONTOLOGY), compare(second, first, ONTOLOGY)
    assert one_way.score == other_way.score == 1
    assert one_way.affirmed == other_way.affirmed == 1
