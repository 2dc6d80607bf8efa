"""Graphs of texts: properties of whole calls, hard texts, what the default mends, the original's form."""

from __future__ import annotations

import logging
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rexkg_sentences import SENTENCES

from chexphi.graph.rexkg import extractor
from chexphi.graph.rexkg.extractor import Relations, RexkgExtractor
from chexphi.graph.rexkg.rows import MAX_PAIRS, RELATED
from chexphi.graph.rexkg.seed import merge, sentence_dict, to_graph
from chexphi.graph.types import Graph
from chexphi.schema import InputError

PRESENT, ABSENT = "disorder_present", "disorder_notpresent"
TEXTS = st.lists(st.sampled_from(SENTENCES), max_size=4).map(lambda parts: ". ".join([*parts, ""]).strip())


@pytest.mark.parametrize("mode", ["default", "approximate", "seed"])
@given(texts=st.lists(TEXTS, max_size=5), order=st.randoms())
@settings(max_examples=25)
def test_a_text_is_read_alike_alone_and_in_any_company(
    extractors, mode: str, texts: list[str], order
) -> None:
    extractor = extractors[mode]
    together = extractor.extract(texts)
    assert together == [extractor.extract([text])[0] for text in texts]
    shuffled = list(range(len(texts)))
    order.shuffle(shuffled)
    assert extractor.extract([texts[at] for at in shuffled]) == [together[at] for at in shuffled]


@pytest.mark.parametrize("mode", ["default", "approximate"])
def test_long_and_short_sentences_go_together(legible_checkpoint: Path, mode: str) -> None:
    """In approximate mode the long one is read pair by pair, in batches with rows of the short ones."""
    extractor = RexkgExtractor(legible_checkpoint, relations="approximate" if mode != "default" else "exact")
    texts = [" ".join(["lung"] * words + ["mass", "lung", "mass"]) for words in (300, 0, 251, 230, 5)]
    assert extractor.parse(texts) == [extractor.parse([text])[0] for text in texts]
    assert [len(parse.edges) for parse in extractor.parse(texts)] == [2] * 5


def test_mixed_reads_the_doubtful_pairs_again(
    random_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All doubtful: what one row a pair says; none: what one row a sentence says; between: of either."""
    texts = [". ".join(SENTENCES)]

    def edges(relations: Relations, ahead: float = 0.0) -> frozenset[tuple[int, str, int]]:
        monkeypatch.setattr(extractor, "MIN_MARGIN", ahead)
        return RexkgExtractor(random_checkpoint, relations=relations).parse(texts)[0].edges

    exact, approximate = edges("exact"), edges("approximate")
    assert exact != approximate
    assert edges("mixed", 1.1) == exact
    assert edges("mixed", 0.0) == approximate
    some = edges("mixed", 0.05)
    assert some not in (exact, approximate)
    assert exact & approximate <= some <= exact | approximate


def test_the_earlier_spelling_of_the_original_is_the_original(random_checkpoint: Path) -> None:
    graphs = [
        RexkgExtractor(random_checkpoint, compat=compat).extract_seed(["No mass."])
        for compat in ("seed", "original")
    ]
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("relations", ["exact", "approximate"])
def test_pairs_of_the_scheme_are_judged_as_among_all(random_checkpoint: Path, relations: Relations) -> None:
    texts = [". ".join(SENTENCES), "a small left pleural effusion and no mass in the heart or the lung."]
    whole = RexkgExtractor(random_checkpoint, relations=relations).parse(texts)
    found = RexkgExtractor(random_checkpoint, relations=relations, pairs="scheme").parse(texts)
    for parse, fewer in zip(whole, found, strict=True):
        label = [mention.label for mention in parse.mentions]
        assert fewer.edges == {edge for edge in parse.edges if (label[edge[0]], label[edge[2]]) in RELATED}
    assert sum(len(parse.edges) for parse in found) > 0
    with pytest.raises(InputError, match="pairs='all'"):
        RexkgExtractor(random_checkpoint, compat="original", pairs="scheme")


HARD = (
    "", " ", "\n\n", "a", "mass", "?!.,;:", "...", "\u200b", "\u200b \u200b mass", "\x00\x01", "😀 mass 😀😀",
    "הלב מוגדל mass", "心脏肥大。肺部清晰", "<think>mass</think><answer>no</answer>", "<<<>>>", "1.5.5 x 2.",
    "x" * 500, "心" * 700, "-" * 600, "a. " * 300, "mass\ud83d effusion", "no\u2028mass\x85in the\x0blung",
    "<b>mass</b>&nbsp;<br/>",
)  # fmt: skip


@pytest.mark.parametrize("text", HARD)
def test_hard_texts(extractors, text: str) -> None:
    for mode in ("default", "approximate"):
        (parse,) = extractors[mode].parse([text])
        assert parse.text == text
        for mention in parse.mentions:
            assert 0 <= mention.start < mention.end <= len(text)
    if "\ud83d" in text:
        with pytest.raises(InputError, match="text 0 holds half of a surrogate pair"):
            extractors["seed"].extract([text])
    else:
        (graph,) = extractors["seed"].extract_seed([text])
        assert graph["doc_key"] == "0"


@given(st.text(max_size=60))
@settings(max_examples=60)
def test_any_text(extractors, text: str) -> None:
    (parse,) = extractors["default"].parse([text])
    for mention in parse.mentions:
        assert mention.text
        assert 0 <= mention.start < mention.end <= len(text)
    assert {end for head, _, tail in parse.edges for end in (head, tail)} <= set(range(len(parse.mentions)))
    extractors["seed"].extract([text.encode(errors="replace").decode()])


def test_no_text(extractors) -> None:
    assert [extractor.extract([]) for extractor in extractors.values()] == [[], [], []]


@pytest.mark.parametrize(
    ("text", "default", "seed"),
    [
        ("Mass.", 1, 0),  # one word
        ("lung mass\nmass seen", 2, 1),  # a line end
        ("Any mass? No mass!", 2, 2),
        ("A mass. A mass of 1.5 x 2.5 cm, a mass.", 3, 3),
        (" ".join(["lung"] * 66 + ["mass"]), 1, 0),  # behind the original's 500 spans
        (" ".join(["lung"] * 600 + ["mass"]), 1, 0),  # longer than the models read
        ("<think>mass</think>", 1, 0),
        ("the <b>mass</b>", 1, 0),
    ],
)
def test_what_the_default_mends(legible_checkpoint: Path, text: str, default: int, seed: int) -> None:
    (parse,) = RexkgExtractor(legible_checkpoint).parse([text])
    assert [(m.text, m.label) for m in parse.mentions] == [("mass", "disorder_present")] * default
    assert [text[m.start : m.end].lower() for m in parse.mentions] == ["mass"] * default
    sentences = RexkgExtractor(legible_checkpoint, compat="original").sentences_seed([text])[0]
    assert sum(len(sentence["predicted_ner"]) for sentence in sentences) == seed


def test_twenty_thousand_words(legible_checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = " ".join("mass" if at % 100 == 0 else "lung" for at in range(20_000))
    with caplog.at_level(logging.WARNING, "chexphi.graph.rexkg.extractor"):
        for mode in ("exact", "approximate"):
            (parse,) = RexkgExtractor(legible_checkpoint, relations=mode).parse_sentences([text])
            assert len(parse.mentions) == 200
            assert 400 <= len(parse.edges) <= MAX_PAIRS
            # 256 pieces hold two neighbours and the next, never four in a row.
            assert {abs(head - tail) for head, _, tail in parse.edges} == {1, 2}
    messages = [record.getMessage() for record in caplog.records if record.name.endswith("extractor")]
    assert [message[:27] for message in messages] == ["A sentence has 200 entities"] * 2
    (graph,) = RexkgExtractor(legible_checkpoint, compat="original").extract_seed([text])
    assert graph["entities"] == {"mass": "disorder_present"}


def test_the_seeds_order_and_last_label(extractors) -> None:
    """`entities` has the place of the first mention and the label of the last, `relations` all of them."""
    shuffled = [" ".join(words) for words in permutations(("heart", "mass", "lung", "no", "effusion"))]
    texts = [". ".join(shuffled), "Mass", f"{SENTENCES[1]}. {SENTENCES[1]}."]
    graphs = extractors["seed"].extract_seed(texts)
    for number, (graph, sentences) in enumerate(
        zip(graphs, extractors["seed"].sentences_seed(texts), strict=True)
    ):
        named = [
            (" ".join(s["tokens"][a : b + 1]), label) for s in sentences for a, b, label in s["predicted_ner"]
        ]
        assert graph["doc_key"] == str(number)
        assert list(graph["entities"]) == list(dict.fromkeys(name for name, _ in named))
        assert graph["entities"] == dict(named)
        assert len(graph["relations"]) == sum(len(s["predicted_relations"]) for s in sentences)
    assert graphs[1]["sentences"] == "Mass"
    assert graphs[2]["sentences"] == f" {SENTENCES[1].lower()} {SENTENCES[1].lower()}"
    assert [dict(graph.entities) for graph in extractors["seed"].extract(texts)] == [
        g["entities"] for g in graphs
    ]


def test_a_contradiction_in_the_seeds_form() -> None:
    """The last label wins at the place of the first mention, and takes the relations with it."""
    parts = [
        sentence_dict(
            "0_0", ("no", "mass", "in", "lung"), [(1, 1, ABSENT), (3, 3, "anatomy")], [(0, "located_at", 1)]
        ),
        sentence_dict("0_2", ("big", "mass"), [(0, 0, "size"), (1, 1, PRESENT)], [(0, "modify", 1)] * 2),
    ]
    graph = merge("0", "No mass in lung. X. Big mass", parts)
    assert list(graph["entities"].items()) == [("mass", PRESENT), ("lung", "anatomy"), ("big", "size")]
    assert graph["sentences"] == " no mass in lung big mass"
    assert [tuple(relation.values()) for relation in graph["relations"]] == [
        ("mass", "lung", "located_at"),
        ("big", "mass", "modify"),
        ("big", "mass", "modify"),
    ]
    mass, lung, big = ("mass", PRESENT), ("lung", "anatomy"), ("big", "size")
    assert to_graph(graph) == Graph.of([], [(mass, "located_at", lung), (big, "modify", mass)])


def test_the_default_keeps_both_labels(extractors) -> None:
    text = ". ".join(" ".join(words) for words in permutations(("small", "mass", "in", "lung")))
    (graph,), (parse,) = extractors["default"].extract([text]), extractors["default"].parse([text])
    assert graph.entities == {mention.entity for mention in parse.mentions}
    assert len({name for name, _ in graph.entities}) < len(graph.entities)


def test_sentences_are_read_once_a_call(extractors) -> None:
    extractor, read = extractors["default"], []
    handle = extractor._entity.register_forward_pre_hook(
        lambda model, given: read.append(len(given[0]["input_ids"]))
    )
    extractor.extract([f"{SENTENCES[0]}. {SENTENCES[1]}.", f"{SENTENCES[1]}. {SENTENCES[0]}."] * 3)
    handle.remove()
    assert sum(read) == 2


def test_each_mode_has_its_own_questions(extractors) -> None:
    with pytest.raises(InputError, match="keeps no positions"):
        extractors["seed"].parse(["No mass."])
    with pytest.raises(InputError, match="need compat='original'"):
        extractors["default"].extract_seed(["No mass."])
