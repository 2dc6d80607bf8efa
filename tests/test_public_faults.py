"""Inputs that public bug reports of this field led to: each as it is meant. Skipped without the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chexphi import answers, prompts
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.radgraph_annotations import parse_annotation
from chexphi.rewards import AccuracyReward
from chexphi.schema import InputError

Case = dict[str, Any]


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> list[Case]:
    path = shared_data / "faults" / "cases.jsonl"
    if not path.is_file():
        pytest.skip(f"no cases at {path}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def of(cases: list[Case], *kinds: str) -> list[Case]:
    found = [case for case in cases if case["kind"].split("-")[0] in kinds]
    assert {case["kind"].split("-")[0] for case in found} == set(kinds)
    return found


def test_texts_are_read_as_they_are_meant(cases: list[Case]) -> None:
    wrong = []
    reader = LexiconExtractor()
    for case in of(cases, *(f"K{number}" for number in range(1, 9))):
        (parse,) = reader.parse([case["input"]])
        found: dict[str, set[str]] = {}
        for mention in parse.mentions:
            if mention.label.startswith(("disorder", "devices")):
                mark = "-" if mention.label.endswith("notpresent") else "?" if mention.uncertain else "+"
                found.setdefault(mention.text.split()[-1], set()).add(mark)
        for item in case["expected"].split():
            marks = found.get(item[:-1], set())
            silent = not marks and (item[-1] == "0" or case["kind"].startswith("K8-"))
            if not silent and marks != set(item[-1]):
                wrong.append((case["input"], item, marks))
    assert not wrong


def test_answers_are_scored_as_they_are_meant(cases: list[Case]) -> None:
    strict = of(cases, "K9", "K10", "K11")
    assert [c for c in strict if answers.score(c["predicted"], c["gold"]) != c["expected"]] == []
    meant = of(cases, "K12")
    assert [c for c in meant if answers.score(c["predicted"], c["gold"], "clinical") != c["expected"]] == []


def test_a_completion_that_its_prompt_opened_is_well_formed(cases: list[Case]) -> None:
    for case in of(cases, "K18"):
        assert prompts.parse(case["completion"], opened_think=True).status == case["expected"]


def test_a_measurement_of_radgraph_is_a_size(cases: list[Case]) -> None:
    for case in of(cases, "K19"):
        parse = parse_annotation(json.loads(case["input"]))
        assert ("5 mm", "size") in parse.graph.entities


def test_a_reference_that_is_none_is_not_scored_and_a_mapping_is_refused() -> None:
    reward = AccuracyReward()
    assert reward(["<think>a</think><answer>no</answer>"], solution=[None]) == [None]
    with pytest.raises(InputError, match="row 1"):
        reward(["<think>a</think><answer>no</answer>"], solution=[{"answer": "no"}])
