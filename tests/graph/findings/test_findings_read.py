"""What is read from sentences: denial, doubt, normal forms, signs, sizes, degrees, change, devices."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.radgraph import parse_annotation
from chexphi.graph.types import Mention, Parse

ONTOLOGY, EXTRACTOR = default_ontology(), LexiconExtractor()
TEXT = Path(__file__).with_name("readings.txt").read_text(encoding="utf-8")
LINES = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
BLOCKS = [block.strip().splitlines() for block in LINES.split("\n\n") if block.strip()]
READINGS = {block[0]: block[1:] for block in BLOCKS}
WHAT_IS_SAID = (Path(__file__).parents[1] / "lexicon" / "what_is_said.txt").read_text(encoding="utf-8")
NO_NEW = re.compile(r"\b(?:no|without|not|nor|none|hasn't)\b.*\bnew", re.IGNORECASE)


def shown(finding: Finding) -> str:
    """A finding as the table writes it."""
    qualities = finding.qualities
    amounts = {
        "size": qualities.size_mm,
        "degree": qualities.degree,
        "change": qualities.change,
        "time": qualities.time,
        "position": qualities.position,
    }
    return " ".join(
        [
            "+" if finding.present else "-",
            finding.concept + ("" if finding.certain else "?"),
            *sorted(qualities.sides),
            *sorted(qualities.zones),
            *(
                f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
                for name, value in amounts.items()
                if value
            ),
        ]
    )


def read(parse: Parse) -> list[str]:
    return [shown(finding) for finding in findings(parse, ONTOLOGY)]


def read_text(text: str) -> list[str]:
    return read(EXTRACTOR.parse([text])[0])


@pytest.mark.parametrize("sentence", READINGS)
def test_a_sentence_is_read_as_its_findings(sentence: str) -> None:
    assert read_text(sentence) == READINGS[sentence]


def test_each_sentence_of_a_report_is_read_as_by_itself() -> None:
    statements = [sentence for sentence in READINGS if sentence.endswith(".")]
    expected = [finding for sentence in statements for finding in READINGS[sentence]]
    assert read_text(" ".join(statements)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Previous film showed a left pneumothorax. This has resolved.",
            ["- pneumothorax left change=resolved"],
        ),
        (
            "On the prior film there was an effusion. It is unchanged.",
            ["+ pleural_effusion change=unchanged"],
        ),
        ("The earlier film had a nodule. It has increased.", ["+ lung_nodule change=increased"]),
        ("The prior film showed edema. There is now an effusion.", ["+ pleural_effusion"]),
    ],
)
def test_the_next_sentence_tells_what_became_of_a_former_finding(text: str, expected: list[str]) -> None:
    assert read_text(text) == expected
    (parse,) = EXTRACTOR.parse([text])
    assert any(finding.present for finding in findings(parse, ONTOLOGY, with_former=True))


def test_nothing_is_absent_and_new_or_larger() -> None:
    """But for `no new consolidation`, which does not say that there is none."""
    texts = [*READINGS, *(line.rpartition(" | ")[0] for line in WHAT_IS_SAID.splitlines() if "|" in line)]
    assert len(texts) > 1400
    contradictions = {
        (text, finding)
        for text in texts
        for finding in read_text(text)
        if finding.startswith("-")
        and ("change=increased" in finding or ("change=new" in finding and not NO_NEW.search(text)))
    }
    assert not contradictions


RadgraphWord = tuple[str, str, list[tuple[str, int]]]
RADGRAPH: dict[str, tuple[list[RadgraphWord | None], list[str]]] = {
    "small left pleural effusion": (
        [("small", "OBS-DP", [("modify", 3)]), ("left", "ANAT-DP", [("modify", 2)]),
         ("pleural", "ANAT-DP", []), ("effusion", "OBS-DP", [("located_at", 2)])],
        ["+ pleural_effusion left degree=2"],
    ),
    "no pneumothorax": ([None, ("pneumothorax", "OBS-DA", [])], ["- pneumothorax"]),
    "heart is mildly enlarged": (
        [("heart", "ANAT-DP", []), None, ("mildly", "OBS-DP", [("modify", 3)]),
         ("enlarged", "OBS-DP", [("located_at", 0)])],
        ["+ cardiomegaly degree=2"],
    ),
    "lungs are clear": (
        [("lungs", "ANAT-DP", []), None, ("clear", "OBS-DP", [("located_at", 0)])],
        ["- lung_abnormality"],
    ),
    "possible pneumonia in right lower lobe": (
        [None, ("pneumonia", "OBS-U", [("located_at", 5)]), None, ("right", "ANAT-DP", [("modify", 5)]),
         ("lower", "ANAT-DP", [("modify", 5)]), ("lobe", "ANAT-DP", [])],
        ["+ pneumonia? right lower"],
    ),
    "heart size is normal": (
        [("heart", "ANAT-DP", []), ("size", "ANAT-DP", [("modify", 0)]), None,
         ("normal", "OBS-DP", [("located_at", 0)])],
        ["- cardiomegaly"],
    ),
    "opacity suggests pneumonia": (
        [("opacity", "OBS-DP", [("suggestive_of", 2)]), None, ("pneumonia", "OBS-DP", [])],
        ["+ opacity", "+ pneumonia"],
    ),
    "endotracheal tube": (
        [("endotracheal", "ANAT-DP", []), ("tube", "OBS-DP", [("located_at", 0)])],
        ["+ endotracheal_tube"],
    ),
}  # fmt: skip
"""Words, each with RadGraph's label and relations, as its models annotate; and what is read."""


@pytest.mark.parametrize("text", RADGRAPH)
def test_radgraph_s_mentions_are_read_as_the_lexicon_s(text: str) -> None:
    words, expected = RADGRAPH[text]
    entities = {
        str(at): {"tokens": word[0], "label": word[1], "start_ix": at, "end_ix": at,
                  "relations": [[kind, str(tail)] for kind, tail in word[2]]}
        for at, word in enumerate(words)
        if word is not None
    }  # fmt: skip
    assert read(parse_annotation({"text": text, "entities": entities})) == expected
    assert read_text(f"There is {text}." if "is" not in text.split() else f"The {text}.") == expected


REXKG = {
    "small left pleural effusion": (
        [("small", "concept"), ("left pleural", "anatomy"), ("effusion", "disorder_present")],
        {(0, "modify", 2), (2, "located_at", 1)},
        ["+ pleural_effusion left degree=2"],
    ),
    "No pleural effusion": (
        [("pleural", "anatomy"), ("effusion", "disorder_notpresent")],
        {(1, "located_at", 0)},
        ["- pleural_effusion"],
    ),
    "5 mm nodule in the right upper lobe": (
        [("5 mm", "size"), ("nodule", "disorder_present"), ("right upper", "concept"), ("lobe", "anatomy")],
        {(0, "modify", 1), (1, "located_at", 3), (2, "modify", 3)},
        ["+ lung_nodule right upper size=5"],
    ),
    "The heart is enlarged": (
        [("heart", "anatomy"), ("enlarged", "concept")],
        {(1, "modify", 0)},
        ["+ cardiomegaly"],
    ),
    "Left picc line": (
        [("left", "concept"), ("picc line", "devices_present")],
        {(0, "modify", 1)},
        ["+ picc left"],
    ),
}
"""Spans with ReXKG's labels and relations, and what is read."""


@pytest.mark.parametrize("text", REXKG)
def test_rexkg_s_spans_are_read_as_the_lexicon_s(text: str) -> None:
    spans, edges, expected = REXKG[text]
    mentions = []
    for words, label in spans:
        start = text.lower().index(words)
        mentions.append(Mention(words, label, start, start + len(words)))
    assert read(Parse(text, tuple(mentions), frozenset(edges))) == expected
    assert read_text(f"{text}.") == expected


@pytest.mark.parametrize("phrase", ["nipple shadow", "lines", "endotracheal tube", "Heart large: small"])
def test_thousands_of_phrases_are_read_as_one_is(phrase: str) -> None:
    (one,) = EXTRACTOR.parse([f"{phrase} and effusion"])
    (many,) = EXTRACTOR.parse([" and ".join([phrase] * 3000) + " and effusion"])
    assert set(read(one)) == set(read(many))
