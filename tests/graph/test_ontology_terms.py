"""The terms and words of a user's file of concepts are found in a text, and nothing else changes."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.ontology_terms import lexicon_with, with_ontology
from chexphi.graph.open import open_extractor
from chexphi.graph.service import Service
from chexphi.graph.types import Parse

PAGE = (Path(__file__).parents[2] / "docs" / "clinical.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[-1]
OWN = """
[widget_of_the_lung]
terms = ["lung widget", "Blorf's sign"]
normal = ["zorblobe crisp"]
under = ["lung_abnormality"]
significance = "urgent"
[ticker]
terms = ["pacemaker"]
under = ["device"]
[pacemaker]
terms = ["ticker box"]
under = ["device"]
[words.side]
left = ["sinister"]
[words.change]
resolved = ["evaporated"]
[words.count]
7 = ["seven"]
[words.doubt]
words = ["may", "dubious"]
"""


def said(text: str, file: Path) -> list[dict[str, Any]]:
    (parse,) = open_extractor(ontology=str(file)).parse([text])
    rows = [finding.to_dict() for finding in findings(parse, open_ontology(str(file)))]
    return [{key: value for key, value in row.items() if key != "span" and value is not True} for row in rows]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    file = tmp_path / "example.toml"
    file.write_text(EXAMPLE)
    return file


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    return file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Trial device.", {"concept": "device_of_the_trial"}),
        ("Two trial devices on the left.", {"concept": "device_of_the_trial", "sides": ["left"], "count": 2}),
        ("No trial device is seen.", {"concept": "device_of_the_trial", "present": False}),
        ("A whopping effusion.", {"concept": "pleural_effusion", "degree": 4.0}),
        ("Cor enlarged.", {"concept": "cardiomegaly"}),
        ("The cor is mildly enlarged.", {"concept": "cardiomegaly", "degree": 2.0}),
        ("A dubious effusion.", {"concept": "pleural_effusion", "certain": False}),
        ("Cor pulmonale.", {"concept": "pulmonary_artery_enlargement"}),
    ],
)
def test_the_example_of_the_docs_has_its_effect(text: str, expected: dict[str, Any], example: Path) -> None:
    assert said(text, example) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lung widget.", {"concept": "widget_of_the_lung"}),
        ("A widget in the left lung.", {"concept": "widget_of_the_lung", "sides": ["left"]}),
        ("No widgets in the lungs.", {"concept": "widget_of_the_lung", "present": False}),
        ("Pulmonary widget, new.", {"concept": "widget_of_the_lung", "change": "new"}),
        ("BLORF\u2019S SIGN is present.", {"concept": "widget_of_the_lung"}),
        ("The zorblobe is crisp.", {"concept": "widget_of_the_lung", "present": False}),
        ("The ticker box is in place.", {"concept": "pacemaker"}),
        ("A sinister effusion.", {"concept": "pleural_effusion", "sides": ["left"]}),
        ("The effusion has evaporated.", {"present": False, "change": "resolved"}),
        ("Seven nodules.", {"concept": "lung_nodule", "count": 7}),
        ("There may be an effusion.", {"concept": "pleural_effusion", "certain": False}),
    ],
)  # fmt: skip
def test_own_terms_and_words_are_read(text: str, expected: dict[str, Any], own: Path) -> None:
    (finding,) = said(text, own)
    assert {key: finding.get(key) for key in expected} == expected


@pytest.mark.parametrize("text", ["The trial was stopped.", "A widget in the chest.", "The box is crisp."])
def test_a_part_of_an_own_term_is_not_a_finding(text: str, own: Path, example: Path) -> None:
    assert said(text, own) == said(text, example) == []


def test_a_mention_has_the_words_of_the_text(example: Path) -> None:
    (parse,) = lexicon_with(str(example)).parse(["A whopping trial device; cor normal."])
    assert [(mention.text, mention.label) for mention in parse.mentions] == [
        ("whopping", "concept"),
        ("trial device", "devices_present"),
        ("cor", "anatomy"),
        ("normal", "concept"),
    ]
    assert [parse.text[mention.start : mention.end] for mention in parse.mentions][1] == "trial device"


def test_texts_without_own_terms_are_read_as_without_the_file(own: Path) -> None:
    texts = [
        "No effusion, but a possible 5 mm nodule in the right upper lobe.",
        "ICD; cor pulmonale, NG/OG tube.",
    ]
    assert lexicon_with(str(own)).parse(texts) == LexiconExtractor().parse(texts)


def parses_of(extractor: Any) -> list[Parse]:
    return list(extractor.parse(["A trial device."]))


def test_an_extractor_that_is_open_already_learns_the_terms(example: Path, own: Path) -> None:
    lexicon, service, file = LexiconExtractor(), open_extractor(), str(example)
    known = parses_of(open_extractor(ontology=file))
    assert known != parses_of(lexicon)
    assert parses_of(with_ontology(lexicon, file)) == known
    taught = with_ontology(service, file)
    assert isinstance(taught, Service)
    assert taught is not service
    assert parses_of(taught) == known
    assert with_ontology(taught, file) is taught
    assert with_ontology(service, "") is service
    assert parses_of(pickle.loads(pickle.dumps(taught))) == known
    assert lexicon_with(file).version != LexiconExtractor().version != lexicon_with(str(own)).version


def test_what_is_no_lexicon_stays_as_it_is(example: Path) -> None:
    class Silent:
        def extract(self, texts: list[str]) -> list[None]:
            return [None for _ in texts]

    silent: Any = Silent()
    assert with_ontology(silent, str(example)) is silent
