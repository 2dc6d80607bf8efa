"""The lexicon extractor on hand-written sentences, on garbage, and its parts."""

from __future__ import annotations

import random
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.normalize import normalize
from chexphi.graph.types import Graph
from chexphi.kg.annotated import evaluate, read_annotated

EXTRACTOR = LexiconExtractor()


def extract(text: str) -> Graph:
    (graph,) = EXTRACTOR.extract([text])
    return graph


def edges(text: str) -> set[str]:
    """Relations as `head -type> tail`; a minus marks what is denied."""

    def name(entity: tuple[str, str]) -> str:
        return ("-" if entity[1].endswith("notpresent") else "") + entity[0]

    return {f"{name(head)} {kind} {name(tail)}" for head, kind, tail in extract(text).relations}


RELATIONS = {
    "A small left pleural effusion is seen.": {
        "small left modify effusion",
        "small left modify pleural",
        "effusion located_at pleural",
    },
    "The heart size is normal and the lungs are clear.": {
        "size modify heart",
        "normal modify size",
        "clear modify lungs",
    },
    "No focal consolidation, pleural effusion or pneumothorax.": {
        "focal modify -consolidation",
        "-effusion located_at pleural",
    },
    "Patchy opacity in the right lower lobe, consistent with pneumonia.": {
        "patchy modify opacity",
        "opacity located_at lobe",
        "right lower modify lobe",
        "opacity suggestive_of pneumonia",
    },
    "A 1.5 cm nodule is seen in the left upper lobe.": {
        "1.5 cm modify nodule",
        "nodule located_at lobe",
        "left upper modify lobe",
    },
    "The endotracheal tube tip lies 4 cm above the carina.": {
        "endotracheal tube located_at tip",
        "tip located_at carina",
        "4 cm modify above",
        "above modify carina",
    },
    "The right pleural effusion has resolved.": {
        "right modify pleural",
        "-effusion located_at pleural",
        "resolved modify -effusion",
    },
    "Neither effusion nor pneumothorax is present, but there is mild edema.": {"mild modify edema"},
    "The right costophrenic angle is blunted, which suggests a small effusion.": {
        "right modify costophrenic angle",
        "blunted located_at costophrenic angle",
        "blunted suggestive_of effusion",
        "small modify effusion",
    },
    "Opacities in the right and left lung are unchanged.": {
        "opacities located_at lung",
        "right modify lung",
        "left modify lung",
        "unchanged modify opacities",
    },
    "A right effusion is noted; the size of the heart is normal.": {
        "right modify effusion",
        "size modify heart",
        "normal modify size",
    },
    "Sternotomy wires are intact.": {"sternotomy located_at wires", "intact modify wires"},
    "Subcutaneous emphysema extends along the left chest wall.": {
        "emphysema located_at subcutaneous",
        "emphysema located_at chest wall",
        "left modify chest wall",
    },
    "The heart is enlarged and there is interstitial edema, suggesting heart failure.": {
        "enlarged modify heart",
        "edema located_at interstitial",
        "enlarged suggestive_of failure",
        "edema suggestive_of failure",
        "failure located_at heart",
    },
}


@pytest.mark.parametrize("text", RELATIONS)
def test_relations_of_a_sentence(text: str) -> None:
    assert edges(text) == RELATIONS[text]


DENIED = {
    "There is no pneumothorax.": {"pneumothorax"},
    "No effusion or consolidation, and a nodule is seen.": {"effusion", "consolidation"},
    "The lungs are clear without edema or effusion.": {"edema", "effusion"},
    "The lungs are free of infiltrate.": {"infiltrate"},
    "I do not see a fracture.": {"fracture"},
    "An effusion is not seen.": {"effusion"},
    "The nodule was not present on the prior film.": set(),
    "The edema has cleared but the effusion persists.": {"edema"},
    "Neither mass nor nodule.": {"mass", "nodule"},
    "Atelectasis rather than pneumonia.": {"pneumonia"},
    "The chest tube has been removed.": {"tube"},
    "The effusion is no longer loculated.": set(),
    "No change in the opacity.": set(),
    "Pneumonia cannot be excluded.": set(),
    "Is there an effusion?": set(),
    "The heart is not enlarged, and edema is seen.": set(),
    "No effusion. A nodule.": {"effusion"},
    "No enlargement of the heart.": {"enlargement"},
    "No enlargement of the effusion.": {"enlargement"},
}


@pytest.mark.parametrize("text", DENIED)
def test_denied_findings(text: str) -> None:
    entities = extract(text).entities
    assert {name for name, label in entities if label.endswith("notpresent")} == DENIED[text]


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ("The heart is not enlarged.", {"not enlarged"}),
        ("The heart is not enlarged. The aorta is enlarged.", {"not enlarged", "enlarged"}),
        ("The aorta is neither tortuous nor calcified.", {"not tortuous", "not calcified"}),
        ("No change in the left effusion.", {"not change", "left"}),
        ("No small left effusion.", {"small left"}),
        ("There is no new finding since the prior film.", {"new", "prior"}),
        (
            "The heart is not significantly enlarged since the prior film.",
            {"not significantly enlarged", "prior"},
        ),
        (
            "No focal consolidation on the right, and the heart is not enlarged.",
            {"focal", "right", "not enlarged"},
        ),
    ],
)
def test_a_denied_quality_is_another_entity(text: str, concepts: set[str]) -> None:
    """A concept has no label of its absence; of an absent finding its label says enough."""
    assert {name for name, label in extract(text).entities if label == "concept"} == concepts


def test_one_finding_denied_and_affirmed_is_two_entities() -> None:
    graph = extract("No right pleural effusion. There is a left pleural effusion.")
    assert {("effusion", "disorder_present"), ("effusion", "disorder_notpresent")} <= graph.entities


@pytest.mark.parametrize(
    "text", ["", "   ", "<think></think>", "你好", "1.5", "...", "<|end|>", "\x00\ud800", "no", "of the"]
)
def test_text_without_findings_gives_the_empty_graph(text: str) -> None:
    assert not extract(text)


def test_graphs_come_in_order() -> None:
    texts = ["Cardiomegaly.", "", "No nodule."]
    assert [sorted(graph.entities) for graph in EXTRACTOR.extract(texts)] == [
        [("cardiomegaly", "disorder_present")],
        [],
        [("nodule", "disorder_notpresent")],
    ]


WORDS = st.sampled_from(
    [
        "no",
        "not",
        "the",
        "a",
        "of",
        "in",
        "and",
        "or",
        ",",
        ".",
        ";",
        "is",
        "are",
        "has",
        "been",
        "left",
        "upper",
        "above",
        "tip",
        "lung",
        "heart",
        "size",
        "effusion",
        "tube",
        "removed",
        "film",
        "opacity",
        "normal",
        "enlarged",
        "suggests",
        "so",
        "because",
        "which",
        "on",
        "resolved",
        "2",
        "cm",
        "neither",
        "nor",
        "where",
        "with",
        "<think>",
        "é",
        "肺",
    ]
)


@given(st.lists(WORDS, max_size=40).map(" ".join))
def test_any_order_of_known_words_gives_a_valid_graph(text: str) -> None:
    graph = extract(text)
    assert Graph.of(graph.entities, graph.relations) == graph


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    graph = extract(text)
    assert Graph.of(graph.entities, graph.relations) == graph


def test_normalize() -> None:
    assert normalize("  Right\n UPPER ") == "right upper"


def test_a_group_of_sentences_in_any_order_is_one_graph() -> None:
    parts = ["No effusion.", "A nodule in the left lung.", "The heart is enlarged."]
    graphs = EXTRACTOR.extract([" ".join(order) for order in permutations(parts)])
    assert len(set(graphs)) == 1
    assert extract(" ".join(parts * 3)) == graphs[0]


def test_mentions_keep_their_place() -> None:
    text = "1. No  effusion.\n2. Possible Right-sided opacity of\n1.5 x 2 cm."
    (parse,) = EXTRACTOR.parse([text])
    assert [(m.text, text[m.start : m.end], m.label, m.uncertain) for m in parse.mentions] == [
        ("effusion", "effusion", "disorder_notpresent", False),
        ("possible right-sided", "Possible Right-sided", "concept", False),
        ("opacity", "opacity", "disorder_present", True),
        ("1.5 x 2 cm", "1.5 x 2 cm", "size", False),
    ]


PIECES = (
    *(
        "no",
        "effusion",
        "effusions",
        "and",
        ",",
        ".",
        "the left",
        "lung",
        "suggests",
        "edema",
        "1.5",
        "x",
        "cm",
        "/",
    ),
    *(
        "-",
        "Dr.",
        "e.g.",
        "\n",
        "\t",
        "\0",
        "\x1b[31m",
        "\u200b",
        "\u202e",
        "\ud83d",
        "😀",
        "é",
        "½",
        "①",
        "رئة",
        "<b>",
        "</think>",
    ),
    *("<", ">", "&amp;", "''", "(", "]", "{", "|", "\\", "%s"),
)


def test_ten_thousand_odd_strings_neither_crash_nor_hang() -> None:
    rng = random.Random(0)
    for _ in range(10_000):
        text = "".join(rng.choice(PIECES) + rng.choice(("", " ")) for _ in range(rng.randrange(50)))
        (parse,) = EXTRACTOR.parse([text])
        assert all(0 <= m.start < m.end <= len(text) for m in parse.mentions)
        assert all(head != tail for head, _, tail in parse.edges)


@pytest.mark.parametrize(
    "word",
    [
        "no ",
        "effusion ",
        "effusion and ",
        "no effusion, ",
        "1 x ",
        "left ",
        "suggests edema ",
        "<think>",
        "a",
    ],
)
def test_twenty_thousand_words_are_read(word: str) -> None:
    (parse,) = EXTRACTOR.parse([word * 20_000])
    assert len(parse.mentions) <= 40_000


def test_the_bars_on_labelled_sentences(shared_data: Path) -> None:
    """Typed and untyped spans, tokens and relations, as docs/log.md has them (`make bench` prints them)."""
    scores = evaluate(EXTRACTOR, read_annotated(shared_data / "entities" / "dev.jsonl"))
    assert min(scores.typed.f1 - 0.86, scores.untyped.f1 - 0.88, scores.tokens.f1 - 0.90) >= 0
    scores = evaluate(EXTRACTOR, read_annotated(shared_data / "relations" / "dev.jsonl"))
    assert min(scores.typed.f1 - 0.99, scores.relations.f1 - 0.91) >= 0
