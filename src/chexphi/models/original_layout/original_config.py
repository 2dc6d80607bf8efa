"""Phi-4-multimodal's configuration in the original and in the native layout, both ways. Plain dictionaries.

The original has the vision tower's sizes in its code (SigLIP-so400m at 448 pixels); a checkpoint of another
size has them in `img_processor`. Settings that the native class does not have must have its fixed value.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from chexphi.models.original_layout.tensor_names import ADAPTERS
from chexphi.schema import InputError

FIXED_VALUES: dict[str, Any] = {
    "attention_bias": False,
    "mlp_bias": False,
    "lm_head_bias": False,
    "full_attn_mod": 1,
    "interpolate_factor": 1,
    "embd_layer.embedding_cls": "image_audio",
    "embd_layer.image_embd_layer.embedding_cls": "tune_image",
    "embd_layer.image_embd_layer.hd_transform_order": "sub_glb",
    "embd_layer.image_embd_layer.image_token_compression_cls": "avg_pool_2d",
    "embd_layer.image_embd_layer.projection_cls": "mlp",
    "embd_layer.image_embd_layer.use_hd_transform": True,
    "embd_layer.image_embd_layer.with_learnable_separator": True,
    "embd_layer.audio_embd_layer.embedding_cls": "audio",
    "embd_layer.audio_embd_layer.projection_cls": "mlp",
    "embd_layer.audio_embd_layer.use_conv_downsample": False,
    "embd_layer.audio_embd_layer.use_qformer": False,
    "audio_processor.name": "cascades",
    "audio_processor.config.batch_norm": False,
    "audio_processor.config.bias_in_glu": True,
    "audio_processor.config.causal": True,
    "audio_processor.config.cnn_layer_norm": True,
    "audio_processor.config.ext_pw_kernel_size": 1,
    "audio_processor.config.input_layer": "nemo_conv",
    "audio_processor.config.relative_attention_bias_args.type": "t5",
}
"""Keys of the original -> the only value that the native class has."""
AUDIO_KEYS: dict[str, str] = {
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "depthwise_seperable_out_channel": "depthwise_separable_out_channel",
    "nemo_conv_settings.conv_channels": "nemo_conv_channels",
    "relative_attention_bias_args.t5_bias_max_distance": "bias_max_distance",
} | {
    name: name
    for name in (
        *("activation", "chunk_size", "conv_activation", "conv_glu_type", "depthwise_multiplier"),
        *("dropout_rate", "ext_pw_out_channel", "input_size", "kernel_size", "left_chunk", "num_blocks"),
        "time_reduction",
    )
}
"""Keys of `audio_processor.config` -> native ones of `audio_config`."""
VISION_KEYS = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_channels"),
    *("image_size", "patch_size", "hidden_act", "layer_norm_eps", "attention_dropout", "feature_layer"),
)
"""Settings of the vision tower that `img_processor` may have, in SigLIP's names."""
DROPPED = (
    *("architectures", "auto_map", "model_type", "transformers_version", "_name_or_path"),
    *("_attn_implementation", "embd_layer", "audio_processor", "img_processor"),
    *(f"{adapter}_lora" for adapter in ADAPTERS),
)
"""Top-level keys that natively do not exist or are elsewhere."""


def to_native(original: Mapping[str, Any], *, image_token: int, audio_token: int, ends: list[int]) -> Any:
    """The native `config.json` for an original one.

    Args:
        original: The original's `config.json`.
        image_token: Id of `<|endoftext10|>`.
        audio_token: Id of `<|endoftext11|>`.
        ends: Ids at which a completion ends.

    Raises:
        InputError: If a key is missing or has a value that the native class does not have.
    """
    for key, fixed_value in FIXED_VALUES.items():
        value = _get(original, key, default=fixed_value)
        if value != fixed_value:
            raise InputError(
                f"config.json: {key} is {value!r}, and the native class has {fixed_value!r} only: this "
                "checkpoint cannot be imported"
            )
    top_keys = tuple(key for key in FIXED_VALUES if "." not in key)
    native = {
        key: value for key, value in copy.deepcopy(dict(original)).items() if key not in DROPPED + top_keys
    }
    if (rope := native.get("rope_scaling")) and "original_max_position_embeddings" in native:
        # the native class computes the same, but with a warning at every load
        rope["factor"] = native["max_position_embeddings"] / native["original_max_position_embeddings"]
    if "torch_dtype" in native:
        native["dtype"] = native.pop("torch_dtype")
    vision = {
        key: value for key, value in (original.get("img_processor") or {}).items() if key in VISION_KEYS
    }
    vision["crop_size"] = _get(original, "embd_layer.image_embd_layer.crop_size")
    native |= {
        "model_type": "phi4_multimodal",
        "architectures": ["Phi4MultimodalForCausalLM"],
        "eos_token_id": ends,
        "vision_config": vision | {"image_token_id": image_token},
        "audio_config": _native_audio(original) | {"audio_token_id": audio_token},
    }
    return native


def _native_audio(original: Mapping[str, Any]) -> dict[str, Any]:
    """The native `audio_config` for an original configuration, without the token's id."""
    audio = _get(original, "audio_processor.config")
    values = {native_key: _get(audio, key, None) for key, native_key in AUDIO_KEYS.items()}
    native = {key: value for key, value in values.items() if value is not None}
    native["downsample_rate"] = _get(original, "embd_layer.audio_embd_layer.downsample_rate")
    return native


def to_original(native: Mapping[str, Any], adapters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An original `config.json` for a native one that was not imported.

    Args:
        native: The native `config.json`, with all defaults written out.
        adapters: `r`, `lora_alpha` and `dp` of `vision` and `speech`.
    """
    audio, vision = native["audio_config"], native["vision_config"]
    config = {
        key: value
        for key, value in native.items()
        if key not in ("vision_config", "audio_config", "rope_parameters")
    }
    if config.get("dtype"):
        config["torch_dtype"] = config.pop("dtype")
    rope = native["rope_parameters"]
    config |= {
        "model_type": "phi4mm",
        "architectures": ["Phi4MMForCausalLM"],
        "eos_token_id": native["bos_token_id"],
        "rope_theta": rope["rope_theta"],
        "partial_rotary_factor": rope["partial_rotary_factor"],
        "rope_scaling": None,
        "img_processor": {key: vision[key] for key in VISION_KEYS},
    }
    if rope["rope_type"] != "default":
        factors = {key: rope[key] for key in ("long_factor", "short_factor")}
        config["rope_scaling"] = {"type": rope["rope_type"], **factors}
    for key, value in FIXED_VALUES.items():
        _set(config, key, value)
    _set(config, "embd_layer.image_embd_layer.crop_size", vision["crop_size"])
    _set(config, "embd_layer.audio_embd_layer.downsample_rate", audio["downsample_rate"])
    _set(config, "embd_layer.audio_embd_layer.compression_rate", audio["time_reduction"])
    for key, native_key in AUDIO_KEYS.items():
        _set(config, f"audio_processor.config.{key}", audio[native_key])
    return config | {f"{name}_lora": dict(values) for name, values in adapters.items()}


_ABSENT = object()


def _get(config: Mapping[str, Any], dotted_key: str, default: Any = _ABSENT) -> Any:
    value: Any = config
    for key in dotted_key.split("."):
        if not isinstance(value, Mapping) or key not in value:
            if default is _ABSENT:
                raise InputError(
                    f"config.json has no {dotted_key}, which Phi-4-multimodal's original has: copy it again"
                )
            return default
        value = value[key]
    return value


def _set(config: dict[str, Any], dotted_key: str, value: Any) -> None:
    *sections, key = dotted_key.split(".")
    for section in sections:
        config = config.setdefault(section, {})
    config[key] = value
