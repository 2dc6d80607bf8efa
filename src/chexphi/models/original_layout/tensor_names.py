"""Names of tensors in Phi-4-multimodal's original (remote-code) layout and in the native one, both ways.

Pure Python. The original wraps the linear layers of the language model for two adapters at once: the base
weight is `….base_layer.weight`, and beside it are `….lora_A.vision.weight` and the like. Natively the base
has names without `base_layer`, and each adapter is a PEFT folder of its own.
"""

from __future__ import annotations

import re

from chexphi.models.lora_names import TARGETS

ADAPTERS = ("vision", "speech")

_EMBED = "model.embed_tokens_extend."
_ENCODER = f"{_EMBED}audio_embed.encoder.encoders.#."
_RENAMED = {
    f"{_EMBED}image_embed.img_projection.0": f"{_EMBED}image_embed.img_projection_up",
    f"{_EMBED}image_embed.img_projection.2": f"{_EMBED}image_embed.img_projection_down",
    f"{_EMBED}image_embed.glb_GN": f"{_EMBED}image_embed.global_img_feature_extensor",
    f"{_EMBED}image_embed.sub_GN": f"{_EMBED}image_embed.sub_img_feature_extensor",
    f"{_EMBED}audio_embed.audio_projection.speech.0": f"{_EMBED}audio_embed.up_proj_for_speech",
    f"{_EMBED}audio_embed.audio_projection.speech.2": f"{_EMBED}audio_embed.down_proj_for_speech",
    f"{_EMBED}audio_embed.audio_projection.vision.0": f"{_EMBED}audio_embed.up_proj_for_vision_speech",
    f"{_EMBED}audio_embed.audio_projection.vision.2": f"{_EMBED}audio_embed.down_proj_for_vision_speech",
    f"{_ENCODER}feed_forward_in.net.0.linear": f"{_ENCODER}feed_forward_in.gate_up_proj",
    f"{_ENCODER}feed_forward_in.net.2": f"{_ENCODER}feed_forward_in.down_proj",
    f"{_ENCODER}feed_forward_out.net.0.linear": f"{_ENCODER}feed_forward_out.gate_up_proj",
    f"{_ENCODER}feed_forward_out.net.2": f"{_ENCODER}feed_forward_out.down_proj",
    f"{_ENCODER}self_attn.linear_q": f"{_ENCODER}self_attn.q_proj",
    f"{_ENCODER}self_attn.linear_k": f"{_ENCODER}self_attn.k_proj",
    f"{_ENCODER}self_attn.linear_v": f"{_ENCODER}self_attn.v_proj",
    f"{_ENCODER}self_attn.linear_out": f"{_ENCODER}self_attn.o_proj",
}
"""Original module or tensor -> native one; `#` is a block's number. Others have the same name in both."""
_RENAMED_BACK = {native: original for original, native in _RENAMED.items()}
_BLOCK = re.compile(r"(?<=encoder\.encoders\.)\d+(?=\.)")
_MODULE_AND_PARAMETER = re.compile(r"(.*?)(\.weight|\.bias)?")
_LORA = re.compile(r"(model\.layers\.\d+\..+)\.lora_([AB])\.(\w+)\.weight")
_ADAPTED = re.compile(rf"{TARGETS}\.weight")


def lora(original: str) -> tuple[str, str] | None:
    """The adapter of a tensor of the original layout, and its name in that adapter's PEFT folder.

    >>> lora("model.layers.3.mlp.down_proj.lora_B.speech.weight")
    ('speech', 'base_model.model.model.layers.3.mlp.down_proj.lora_B.weight')
    """
    match = _LORA.fullmatch(original)
    return match and (match[3], f"base_model.model.{match[1]}.lora_{match[2]}.weight")


def original_lora(adapter: str, native: str) -> str:
    """The name in the original layout of a tensor in an adapter's PEFT folder; the inverse of `lora`."""
    name = native.removeprefix("base_model.model.")
    return re.sub(r"\.lora_([AB])\.weight$", rf".lora_\1.{adapter}.weight", name)


def other_half(name: str) -> str:
    """The name of a LoRA tensor's partner: of B for A, of A for B.

    >>> other_half("model.layers.3.mlp.down_proj.lora_B.speech.weight")
    'model.layers.3.mlp.down_proj.lora_A.speech.weight'
    """
    return re.sub(r"\.lora_([AB])\.", lambda half: f".lora_{'AB'['BA'.index(half[1])]}.", name)


def native(original: str) -> str:
    """The native name of a base tensor of the original layout.

    >>> native("model.layers.3.mlp.down_proj.base_layer.weight")
    'model.layers.3.mlp.down_proj.weight'
    """
    return _renamed(original, _RENAMED).replace(".base_layer.", ".")


def original(native: str, *, adapted: bool = True) -> str:
    """The name of a base tensor in the original layout; the inverse of `native`.

    A checkpoint without adapters (`adapted=False`) has no `base_layer` in its names.
    """
    if adapted and _ADAPTED.fullmatch(native):
        return native.removesuffix("weight") + "base_layer.weight"
    return _renamed(native, _RENAMED_BACK)


def _renamed(name: str, table: dict[str, str]) -> str:
    block = _BLOCK.search(name)
    match = _MODULE_AND_PARAMETER.fullmatch(_BLOCK.sub("#", name))
    assert match, "the pattern takes any line"
    renamed = table.get(match[1], match[1]) + (match[2] or "")
    return renamed.replace("#", block[0]) if block else renamed
