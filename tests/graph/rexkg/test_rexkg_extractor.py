"""Graphs of texts: against a plain computation without batches, and properties of whole calls."""

from __future__ import annotations

import logging
from itertools import permutations
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.functional import layer_norm, linear
from transformers import BertConfig, BertModel, BertTokenizer

from chexphi.graph.rexkg.extractor import RexkgExtractor
from chexphi.graph.rexkg.rows import MOST_PAIRS
from chexphi.graph.rexkg.seed import merge, sentence_dict, to_graph
from chexphi.graph.rexkg.text import seed_sentences
from chexphi.graph.types import LABELS, RELATION_TYPES, Graph
from chexphi.schema import InputError

PRESENT, ABSENT = "disorder_present", "disorder_notpresent"
SENTENCES = (
    "The heart is enlarged",
    "There is a small left pleural effusion",
    "No mass in the right lung",
    "A 1.5 x 2 cm nodule in the left lung",
    "Mild edema",
    "Opacity, left; no pneumothorax",
    "Is there a small mass in the lung",
    "Pleural effusion / edema (mild) in the right-left lung",
    "a",
    "Qqq zzz 心 \u200b mass",
)
TEXTS = st.lists(st.sampled_from(SENTENCES), max_size=4).map(lambda parts: ". ".join([*parts, ""]).strip())


@pytest.fixture(scope="module")
def extractors(random_checkpoint: Path) -> dict[str, RexkgExtractor]:
    return {
        "default": RexkgExtractor(random_checkpoint),
        "approximate": RexkgExtractor(random_checkpoint, relations="approximate"),
        "seed": RexkgExtractor(random_checkpoint, compat="seed"),
    }


class Plain:
    """One row at a time, straight from the files."""

    def __init__(self, folder: Path) -> None:
        self.tokenizers = [
            BertTokenizer.from_pretrained(folder / name) for name in ("run_entity", "BiomedNLP")
        ]
        self.weights = [
            load_file(folder / name / "model.safetensors") for name in ("run_entity", "run_relation")
        ]
        self.encoders = []
        for name, weights in zip(("run_entity", "run_relation"), self.weights, strict=True):
            config = BertConfig.from_pretrained(folder / name, attn_implementation="eager")
            bert = BertModel(config).eval()
            bert.load_state_dict(
                {k.removeprefix("bert."): v for k, v in weights.items() if k.startswith("bert.")}
            )
            self.encoders.append(bert)

    def states(self, which: int, pieces: list[str], **more: torch.Tensor) -> torch.Tensor:
        ids = torch.tensor([self.tokenizers[which].convert_tokens_to_ids(pieces)])
        with torch.inference_mode():
            return self.encoders[which](ids, **more).last_hidden_state[0]

    def entities(self, words: tuple[str, ...]) -> list[list]:
        pieces, starts, ends = ["[CLS]"], [], []
        for word in words:
            starts.append(len(pieces))
            pieces += self.tokenizers[0].tokenize(word)
            ends.append(len(pieces) - 1)
        states, found = self.states(0, [*pieces, "[SEP]"]), []
        for first in range(len(words)):
            for last in range(first, min(len(words), first + 8)):
                width = self.weights[0]["width_embedding.weight"][last - first + 1]
                hidden = torch.cat([states[starts[first]], states[ends[last]], width])
                for layer in ("0._linear_layers.0", "0._linear_layers.1", "1"):
                    named = [self.weights[0][f"ner_classifier.{layer}.{part}"] for part in ("weight", "bias")]
                    hidden = linear(hidden, *named) if layer == "1" else linear(hidden, *named).relu()
                if label := int(hidden.argmax()):
                    found.append([first, last, LABELS[label - 1]])
        return found

    def judge(self, subject: torch.Tensor, object_: torch.Tensor) -> int:
        weights = self.weights[1]
        pair = torch.cat([subject, object_])
        normed = layer_norm(pair, pair.shape, weights["layer_norm.weight"], weights["layer_norm.bias"])
        return int(linear(normed, weights["classifier.weight"], weights["classifier.bias"]).argmax())

    def relations(self, words: tuple[str, ...], entities: list[list]) -> list[list]:
        found = []
        for subject, object_ in permutations(entities, 2):
            pieces, opens = ["[CLS]"], {}
            for at, word in enumerate(words):
                for name, entity in (("s", subject), ("o", object_)):
                    if at == entity[0]:
                        opens[name] = len(pieces)
                        pieces.append("[UNK]")
                pieces += self.tokenizers[1].tokenize(word)
                pieces += ["[UNK]"] * ((at == subject[1]) + (at == object_[1]))
            states = self.states(1, [*pieces, "[SEP]"])
            if label := self.judge(states[opens["s"]], states[opens["o"]]):
                found.append([*subject[:2], *object_[:2], RELATION_TYPES[label - 1]])
        return found

    def approximate(self, words: tuple[str, ...], entities: list[list]) -> list[list]:
        """Each pair alone behind the text."""
        pieces, starts, ends, found = ["[CLS]"], [], [], []
        for word in words:
            starts.append(len(pieces))
            pieces += self.tokenizers[1].tokenize(word)
            ends.append(len(pieces) - 1)
        length = len(pieces) + 1
        mask = torch.ones(1, 1, length + 4, length + 4, dtype=torch.bool)
        mask[..., :length, length:] = False
        for s, o in permutations(entities, 2):
            own = [starts[s[0]], ends[s[1]], starts[o[0]], ends[o[1]]]
            states = self.states(
                1,
                [*pieces, "[SEP]", *["[UNK]"] * 4],
                position_ids=torch.tensor([[*range(length), *own]]),
                attention_mask=torch.where(mask, 0.0, torch.finfo(torch.float32).min),
            )
            if label := self.judge(states[length], states[length + 2]):
                found.append([*s[:2], *o[:2], RELATION_TYPES[label - 1]])
        return found


def test_the_same_as_one_row_at_a_time(random_checkpoint: Path, extractors) -> None:
    plain, text = Plain(random_checkpoint), ". ".join(SENTENCES)
    ((*sentences,),) = extractors["seed"].sentences_seed([text])
    assert [sentence["tokens"] for sentence in sentences] == [
        list(words) for _, words in seed_sentences(text)
    ]
    kinds = set()
    for sentence in sentences:
        words = tuple(sentence["tokens"])
        assert sentence["predicted_ner"] == plain.entities(words)
        assert sentence["predicted_relations"] == plain.relations(words, sentence["predicted_ner"])
        kinds |= {row[-1] for row in sentence["predicted_ner"] + sentence["predicted_relations"]}
    assert len(kinds) >= 5, "the random weights say too little to compare"


def test_default_and_approximate_as_one_row_at_a_time(random_checkpoint: Path, extractors) -> None:
    plain = Plain(random_checkpoint)
    related = 0
    for words in (
        ("there", "is", "a", "small", "left", "pleural", "effusion"),
        ("no", "mass", "in", "the", "lung"),
    ):
        text, entities = " ".join(words), plain.entities(words)
        for name, relations in (("default", plain.relations), ("approximate", plain.approximate)):
            (parse,) = extractors[name].parse([text])
            places = [(m.start, m.end) for m in parse.mentions]
            assert [(m.text, m.label) for m in parse.mentions] == [
                (" ".join(words[a : b + 1]), label) for a, b, label in entities
            ]
            assert [text[a:b] for a, b in places] == [m.text for m in parse.mentions]
            at = {(first, last): number for number, (first, last, _) in enumerate(entities)}
            wanted = {(at[a, b], kind, at[c, d]) for a, b, c, d, kind in relations(words, entities)}
            assert parse.edges == wanted
            related += len(wanted)
    assert related > 4


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
    sentences = RexkgExtractor(legible_checkpoint, compat="seed").sentences_seed([text])[0]
    assert sum(len(sentence["predicted_ner"]) for sentence in sentences) == seed


def test_twenty_thousand_words(legible_checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = " ".join("mass" if at % 100 == 0 else "lung" for at in range(20_000))
    with caplog.at_level(logging.WARNING, "chexphi.graph.rexkg.extractor"):
        for mode in ("exact", "approximate"):
            (parse,) = RexkgExtractor(legible_checkpoint, relations=mode).parse_sentences([text])
            assert len(parse.mentions) == 200
            assert 400 <= len(parse.edges) <= MOST_PAIRS
            # 256 pieces hold two neighbours and the next, never four in a row.
            assert {abs(head - tail) for head, _, tail in parse.edges} == {1, 2}
    messages = [record.getMessage() for record in caplog.records if record.name.endswith("extractor")]
    assert [message[:27] for message in messages] == ["A sentence has 200 entities"] * 2
    (graph,) = RexkgExtractor(legible_checkpoint, compat="seed").extract_seed([text])
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
    with pytest.raises(InputError, match="keeps no places"):
        extractors["seed"].parse(["No mass."])
    with pytest.raises(InputError, match="need compat='seed'"):
        extractors["default"].extract_seed(["No mass."])
