"""The neural extractor against a plain computation: one row at a time, straight from the files."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import torch
from rexkg_sentences import SENTENCES
from safetensors.torch import load_file
from torch.nn.functional import layer_norm, linear
from transformers import BertConfig, BertModel, BertTokenizer

from chexphi.graph.rexkg.text import seed_sentences
from chexphi.graph.types import LABELS, RELATION_TYPES


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
