"""Names of the original and the native layout: known ones, and every name of the full-size model."""

from __future__ import annotations

import pytest
import torch
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

from chexphi.models.lora_names import ADAPTED
from chexphi.models.original_layout.tensor_names import (
    ADAPTERS,
    lora,
    native,
    original,
    original_lora,
)

EMBED = "model.embed_tokens_extend."
KNOWN = {  # as the published index has them
    "model.embed_tokens.weight": "model.embed_tokens.weight",
    "model.layers.31.input_layernorm.weight": "model.layers.31.input_layernorm.weight",
    "model.layers.0.self_attn.qkv_proj.base_layer.weight": "model.layers.0.self_attn.qkv_proj.weight",
    f"{EMBED}image_embed.glb_GN": f"{EMBED}image_embed.global_img_feature_extensor",
    f"{EMBED}image_embed.sub_GN": f"{EMBED}image_embed.sub_img_feature_extensor",
    f"{EMBED}image_embed.img_projection.0.bias": f"{EMBED}image_embed.img_projection_up.bias",
    f"{EMBED}image_embed.img_projection.2.weight": f"{EMBED}image_embed.img_projection_down.weight",
    f"{EMBED}audio_embed.audio_projection.vision.2.weight": (
        f"{EMBED}audio_embed.down_proj_for_vision_speech.weight"
    ),
    f"{EMBED}audio_embed.encoder.encoders.12.feed_forward_out.net.0.linear.bias": (
        f"{EMBED}audio_embed.encoder.encoders.12.feed_forward_out.gate_up_proj.bias"
    ),
    f"{EMBED}audio_embed.encoder.encoders.2.self_attn.linear_out.weight": (
        f"{EMBED}audio_embed.encoder.encoders.2.self_attn.o_proj.weight"
    ),
    f"{EMBED}audio_embed.encoder.encoders.2.feed_forward_in.layer_norm.weight": (
        f"{EMBED}audio_embed.encoder.encoders.2.feed_forward_in.layer_norm.weight"
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_names(name: str) -> None:
    assert native(name) == KNOWN[name]
    assert original(KNOWN[name]) == name
    assert lora(name) is None


def test_every_name_of_the_full_model_goes_there_and_back() -> None:
    with torch.device("meta"):
        names = list(Phi4MultimodalForCausalLM(Phi4MultimodalConfig()).state_dict())
    there = [original(name) for name in names]
    assert len(set(there)) == len(names)
    assert [native(name) for name in there] == names
    assert sum(name.endswith(".base_layer.weight") for name in there) == 32 * len(ADAPTED)
    assert sum(name != back for name, back in zip(names, there, strict=True)) == 32 * 4 + 14 + 24 * 16


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_go_there_and_back(adapter: str) -> None:
    for layer in ADAPTED:
        for half in "AB":
            name = f"model.layers.7.{layer}.lora_{half}.{adapter}.weight"
            found = lora(name)
            assert found == (adapter, f"base_model.model.model.layers.7.{layer}.lora_{half}.weight")
            assert original_lora(*found) == name
