"""Small checkpoints in the published layout, written name by name and without the code under test.

Only the last fixture loads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from chexphi.graph.rexkg.extractor import RexkgExtractor

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = """the heart is enlarged a small left right pleural effusion lung no there mass in nodule edema
opac ##ity pneumo ##thorax mild cm 1 2 5 x . , : ? ! - / ( ) ##s < >"""
CHARACTERS = tuple(f"{mark}{letter}" for mark in ("", "##") for letter in "abcdefghijklmnopqrstuvwyz0346789")
HIDDEN, HEAD, WIDTH = 32, 20, 12
NO_ENTITY, SEED = 19.0, 20
"""Bias and seed with which about one span in eight is an entity, and labels vary."""
Writer = Callable[..., Path]


def bert(
    pieces: int, positions: int, layers: int, draw: Callable[..., torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Every weight of a BERT, by name."""
    h, tensors = HIDDEN, {}
    for name, rows in (("word", pieces), ("position", positions), ("token_type", 2)):
        tensors[f"embeddings.{name}_embeddings.weight"] = draw(rows, h) * (4 if name == "word" else 0.5)
    linear = {"pooler.dense": (h, h)}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(layers)):
        linear |= {f"{layer}.attention.self.{name}": (h, h) for name in ("query", "key", "value")}
        linear |= {f"{layer}.attention.output.dense": (h, h)}
        linear |= {f"{layer}.intermediate.dense": (2 * h, h), f"{layer}.output.dense": (h, 2 * h)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, (rows, columns) in linear.items():
        tensors |= {f"{name}.weight": draw(rows, columns), f"{name}.bias": draw(rows)}
    for name in norms:
        tensors |= {f"{name}.weight": torch.ones(h), f"{name}.bias": torch.zeros(h)}
    return {f"bert.{name}": tensor for name, tensor in tensors.items()}


def heads(draw: Callable[..., torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """What stands on the two BERTs."""
    ner = {"width_embedding.weight": draw(9, WIDTH)}
    layers = {"0._linear_layers.0": (HEAD, 2 * HIDDEN + WIDTH), "0._linear_layers.1": (HEAD, HEAD)}
    for name, (rows, columns) in (layers | {"1": (9, HEAD)}).items():
        ner[f"ner_classifier.{name}.weight"] = 2 * draw(rows, columns)
        ner[f"ner_classifier.{name}.bias"] = torch.zeros(rows)
    ner["ner_classifier.1.bias"][0] = NO_ENTITY
    relation = {"layer_norm.weight": torch.ones(2 * HIDDEN), "layer_norm.bias": torch.zeros(2 * HIDDEN)}
    relation |= {"classifier.weight": draw(4, 2 * HIDDEN), "classifier.bias": torch.zeros(4)}
    return {"run_entity": ner, "run_relation": relation}


def write(
    folder: Path, *, extra: Sequence[str] = (), positions: int = 512, layers: int = 2, seed: int = SEED
) -> Path:
    """Random weights, large enough that decisions differ; the relation vocabulary has another order."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return 0.3 * torch.randn(*shape, generator=generator)

    words = [*SPECIAL, *WORDS.split(), *CHARACTERS, *extra]
    vocabularies = {"run_entity": words, "BiomedNLP": [*SPECIAL, *reversed(words[len(SPECIAL) :])]}
    for name, pieces in vocabularies.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    config = {
        "model_type": "bert", "vocab_size": len(words), "hidden_size": HIDDEN, "num_hidden_layers": layers,
        "num_attention_heads": 2, "intermediate_size": 2 * HIDDEN, "max_position_embeddings": positions,
    }  # fmt: skip
    for name, head in heads(draw).items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
        save_file(bert(len(words), positions, layers, draw) | head, folder / name / "model.safetensors")
    return folder


def write_legible(folder: Path) -> Path:
    """No layers: every `mass` of one word is a disorder_present, every pair a `modify`."""
    write(folder, layers=0)
    path = folder / "run_entity" / "model.safetensors"
    words = (folder / "run_entity" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    config = json.loads((folder / "run_entity" / "config.json").read_text(encoding="utf-8"))
    tensors = {
        n: torch.zeros_like(t)
        for n, t in bert(len(words), 512, config["num_hidden_layers"], torch.zeros).items()
    }
    tensors["bert.embeddings.LayerNorm.weight"] += 1
    tensors["bert.embeddings.word_embeddings.weight"][:, 0] = 1
    tensors["bert.embeddings.word_embeddings.weight"][words.index("mass"), :2] = torch.tensor([0.0, 1.0])
    head = {name: torch.zeros_like(tensor) for name, tensor in heads(torch.zeros)["run_entity"].items()}
    head["width_embedding.weight"][2:, 0] = 1  # wider than one word
    first = head["ner_classifier.0._linear_layers.0.weight"]
    first[0, 1], first[0, 2 * HIDDEN] = 1, -100
    head["ner_classifier.0._linear_layers.1.weight"][0, 0] = 1
    head["ner_classifier.1.weight"][3, 0], head["ner_classifier.1.bias"][0] = 1, 1
    save_file(tensors | head, path)
    path = folder / "run_relation" / "model.safetensors"
    relation = {name: torch.zeros_like(tensor) for name, tensor in heads(torch.zeros)["run_relation"].items()}
    relation["classifier.bias"][3] = 1
    save_file(bert(len(words), 512, 0, torch.zeros) | relation, path)
    return folder


@pytest.fixture(scope="session")
def write_checkpoint() -> Writer:
    return write


@pytest.fixture(scope="session")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rexkg") / "random")


@pytest.fixture(scope="session")
def legible_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_legible(tmp_path_factory.mktemp("rexkg") / "legible")


@pytest.fixture(scope="session")
def extractors(random_checkpoint: Path) -> dict[str, RexkgExtractor]:
    return {
        "default": RexkgExtractor(random_checkpoint),
        "approximate": RexkgExtractor(random_checkpoint, relations="approximate"),
        "seed": RexkgExtractor(random_checkpoint, compat="original"),
    }
