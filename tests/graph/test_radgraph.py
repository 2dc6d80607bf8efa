"""RadGraph's documented output, read and scored; the library itself is not needed."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from chexphi.graph import radgraph
from chexphi.schema import InputError

WORDS = "no small left effusion but possible edema in the lungs"


def entity(word: str, label: str, *relations: list[str]) -> dict[str, Any]:
    at = WORDS.split(" ").index(word)
    return {"tokens": word, "label": label, "start_ix": at, "end_ix": at, "relations": list(relations)}


def annotation(**changes: str) -> dict[str, Any]:
    labels = {
        "small": "Observation::definitely absent",
        "left": "Anatomy::definitely present",
        "effusion": "Observation::definitely absent",
        "edema": "Observation::uncertain",
        "lungs": "Anatomy::definitely present",
    } | changes
    entities = {
        "1": entity("small", labels["small"], ["modify", "3"]),
        "2": entity("left", labels["left"]),
        "3": entity("effusion", labels["effusion"], ["located_at", "2"]),
        "4": entity("edema", labels["edema"], ["located_at", "5"]),
        "5": entity("lungs", labels["lungs"]),
    }
    return {"text": WORDS, "entities": entities}


def test_labels_relations_and_places() -> None:
    parse = radgraph.read(annotation())
    graph = parse.graph
    assert (("effusion", "disorder_notpresent"), "located_at", ("left", "anatomy")) in graph.relations
    assert (("edema", "disorder_present"), "located_at", ("lungs", "anatomy")) in graph.relations
    assert graph.uncertain == {("edema", "disorder_present")}
    assert [WORDS[m.start : m.end] for m in parse.mentions] == [m.text for m in parse.mentions]


def test_places_are_those_of_the_text_that_was_read() -> None:
    found = radgraph.read(annotation())
    text = "  " + found.text.title().replace(" .", ".").replace(" ", "  ")  # as it is before RadGraph cuts it
    parse = radgraph.aligned(found, text)
    assert [text[m.start : m.end].lower().split() for m in parse.mentions] == [
        m.text.split() for m in found.mentions
    ]
    assert parse.graph == found.graph
    nothing = radgraph.aligned(found, "")
    assert {(m.start, m.end) for m in nothing.mentions} == {(0, 0)}


def test_short_labels_are_the_same() -> None:
    short = {"small": "OBS-DA", "left": "ANAT-DP", "effusion": "OBS-DA", "edema": "OBS-U", "lungs": "ANAT-DP"}
    assert radgraph.read(annotation(**short)) == radgraph.read(annotation())


@pytest.mark.parametrize("label", ["Observation", "OBS-XX", "device::definitely present", ""])
def test_other_labels_are_refused(label: str) -> None:
    with pytest.raises(ValueError, match="is no label of RadGraph"):
        radgraph.read(annotation(edema=label))


def test_a_place_outside_the_text_is_refused() -> None:
    wrong = annotation()
    wrong["entities"]["5"]["end_ix"] = 10
    with pytest.raises(ValueError, match="entity 5 lies at words 9 to 10 of 10"):
        radgraph.read(wrong)


def independent_f1(predicted: dict[str, Any], reference: dict[str, Any], level: str) -> float:
    """The definition of the paper on RadGraph's own rows, without our graphs."""

    def rows(report: dict[str, Any]) -> set[tuple[Any, ...]]:
        found: set[tuple[Any, ...]] = set()
        for row in report["entities"].values():
            ends = [(kind, report["entities"][other]["tokens"]) for kind, other in row["relations"]]
            if level == "simple":
                found.add((row["tokens"], row["label"]))
            elif level == "partial":
                found.add((row["tokens"], row["label"], bool(ends)))
            else:
                found |= {(row["tokens"], row["label"], *end) for end in ends or [()]}
        return found

    a, b = rows(predicted), rows(reference)
    precision, recall = len(a & b) / len(a), len(a & b) / len(b)
    return 2 * precision * recall / (precision + recall) if a & b else 0.0


@pytest.mark.parametrize("level", ["simple", "partial", "complete"])
def test_f1_is_radgraphs_own(level: radgraph.Level) -> None:
    reference = annotation()
    others = [
        reference,
        annotation(edema="Observation::definitely present"),
        annotation(effusion="Observation::definitely present", left="Anatomy::uncertain"),
        annotation(lungs="Anatomy::definitely absent"),
    ]
    no_relation = annotation()
    no_relation["entities"]["4"]["relations"] = []
    for other in (*others, no_relation):
        ours = radgraph.f1(radgraph.read(other), radgraph.read(reference), level)
        assert ours == pytest.approx(independent_f1(other, reference, level))


@pytest.mark.skipif(importlib.util.find_spec("radgraph") is not None, reason="the library is here")
def test_without_the_library_one_line_says_what_to_install() -> None:
    with pytest.raises(InputError, match="pip install radgraph, in an environment of its own"):
        radgraph.RadgraphExtractor()
