"""What texts say of their findings: a table of cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor

TABLE = Path(__file__).parent / "what_is_said.txt"
READER = LexiconExtractor()


def rows() -> list[tuple[str, str]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#")]
    cases = (line.rpartition(" | ") for line in lines)
    return [(text.replace("\\n", "\n").replace("\\t", "\t"), expected) for text, _, expected in cases]


def said(text: str) -> dict[str, set[str]]:
    """The marks of each finding or device, by the last word of its name."""
    (parse,) = READER.parse([text])
    found: dict[str, set[str]] = {}
    for mention in parse.mentions:
        if mention.label.startswith(("disorder", "devices")):
            absent = mention.label.endswith("notpresent")
            mark = "-" if absent else "?" if mention.uncertain else "+"
            found.setdefault(mention.text.split()[-1], set()).add(mark)
    return found


@pytest.mark.parametrize(("text", "expected"), rows())
def test_each_finding_is_read_as_it_is_meant(text: str, expected: str) -> None:
    wanted: dict[str, set[str]] = {}
    for item in expected.split():
        wanted.setdefault(item[:-1], set()).update(set(item[-1]) - {"0"})
    found = said(text)
    assert {word: found.get(word, set()) for word in wanted} == wanted


def test_the_table_is_large() -> None:
    assert len(rows()) >= 1200


@pytest.mark.parametrize(
    "text",
    [
        "Is there a small left pleural effusion?",
        "If there were a small left pleural effusion, the angle would be blunted.",
        "INDICATION: small left pleural effusion.",
        "Question: Is there a small left pleural effusion?\n",
    ],
)
def test_a_question_has_no_graph_and_is_still_shown(text: str) -> None:
    (parse,) = READER.parse([text])
    assert not parse.graph
    named = [mention for mention in parse.unclaimed if mention.text == "effusion"]
    assert [text[mention.start : mention.end] for mention in named] == ["effusion"]


def test_what_is_claimed_beside_a_question_keeps_its_relations() -> None:
    (parse,) = READER.parse(["Is there an effusion? A small nodule lies in the left lung."])
    assert ("nodule", "disorder_present") in parse.graph.entities
    assert (("small", "concept"), "modify", ("nodule", "disorder_present")) in parse.graph.relations
    assert not any(entity[0] == "effusion" for entity in parse.graph.entities)
