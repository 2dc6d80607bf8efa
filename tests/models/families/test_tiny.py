from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_families
import torch
from hypothesis import given
from hypothesis import strategies as st

from chexphi.models.families import tiny
from chexphi.models.families.phi4 import load

TEXTS = [
    "Is there an opacity in the left upper zone?",
    "<think>The heart is enlarged.</think><answer>yes</answer>",
]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny.train_tokenizer(TEXTS * 3, vocab_size=500)


def lexicon(words: int) -> list[str]:
    """Enough different words to fill a vocabulary."""
    return [" ".join(f"{a}{b}{c}ing" for c in "aeiou") for a in "bcdfgh" for b in "lmnrst"][:words] * 2


@given(ANY_TEXT)
def test_any_text_comes_back_exactly(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n  x",
        "a  b",
        "é ß 心臓",
        "👩‍⚕️",
        "<think>a</think> <answer> b</answer>",
        "<|end|>\n<|user|>",
        "it 's , .",
    ],
)
def test_hard_texts_come_back_exactly(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_tags_are_single_tokens_that_decoding_keeps(tokenizer: Any) -> None:
    text = "<think>a</think><answer>b</answer>"
    ids = tokenizer(text + "<|end|>", add_special_tokens=False)["input_ids"]
    assert len(ids) == 4 + 2 + 1
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_a_frequent_word_with_its_space_is_one_token(tokenizer: Any) -> None:
    assert len(tokenizer(" opacity", add_special_tokens=False)["input_ids"]) == 1


def test_special_tokens_are_phi4s(tokenizer: Any) -> None:
    assert (tokenizer.image_token, tokenizer.audio_token) == ("<|endoftext10|>", "<|endoftext11|>")
    assert tokenizer.pad_token == tokenizer.eos_token == "<|endoftext|>"
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    assert special == {
        *("<|endoftext|>", "<|endoftext10|>", "<|endoftext11|>"),
        *("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    }
    assert tokenizer.padding_side == "left"


def test_the_default_has_about_1_2_million_parameters(tmp_path: Path) -> None:
    tiny.build(tmp_path, lexicon(36))
    model, processor = load(tmp_path)
    assert 1_050_000 <= sum(p.numel() for p in model.parameters()) <= 1_300_000
    assert model.config.vocab_size == len(processor.tokenizer) <= 1200
    assert processor.image_processor.size.height == model.config.vision_config.crop_size == 64
    assert model.config.rope_parameters["rope_type"] == "default"
    assert set(model.generation_config.eos_token_id) == set(
        processor.tokenizer.convert_tokens_to_ids(["<|end|>", "<|endoftext|>"])
    )


SIZES = {"hidden_size": 32, "num_layers": 1, "vision_hidden": 24, "vision_layers": 1}
SCRIPT = """
import sys
from chexphi.models.families import tiny
tiny.build(sys.argv[1], {texts!r}, seed=int(sys.argv[2]), **{sizes!r})
"""


def digest(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_the_seed_decides_every_byte_in_any_process(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 4)):
        torch.manual_seed(seed + 10)  # the global state plays no part
        tiny.build(tmp_path / name, lexicon(20), seed=seed, **SIZES)
    script = SCRIPT.format(texts=lexicon(20), sizes=SIZES)
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "c"), "3"], check=True, capture_output=True)
    assert digest(tmp_path / "a") == digest(tmp_path / "c")
    weights = "model.safetensors"
    assert digest(tmp_path / "a")[weights] != digest(tmp_path / "b")[weights]


@pytest.mark.parametrize("family", tiny_families.BUILDERS)
def test_the_seed_decides_the_weights_of_every_family(family: str, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        tiny_families.BUILDERS[family](tmp_path / name, lexicon(20), seed=seed)
    weights = {name: digest(tmp_path / name)["model.safetensors"] for name in "abc"}
    assert weights["a"] == weights["b"] != weights["c"]


def test_weights_are_drawn_by_fan_in(tiny_folder: Path) -> None:
    model, _ = load(tiny_folder)
    vision = model.model.embed_tokens_extend.image_embed.img_processor
    layer = vision.encoder.layers[0]
    for weight, factor in ((layer.self_attn.q_proj.weight, 1.0), (layer.mlp.fc2.weight, 0.5)):
        assert weight.std().item() == pytest.approx(factor * weight.shape[1] ** -0.5, rel=0.15)
    assert vision.embeddings.position_embedding.weight.std().item() == pytest.approx(0.3, rel=0.15)
    assert model.model.embed_tokens.weight.std().item() == pytest.approx(0.2, rel=0.15)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
