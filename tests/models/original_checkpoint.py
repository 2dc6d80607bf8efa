"""Small checkpoints in the original layout, written by hand: names and settings as published.

Nothing here uses the package's tables: the names are spelled from the modules of the original's code, and the
logits that a checkpoint must give are computed with transformers' own class and LoRAs multiplied out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM, PreTrainedTokenizerFast

RANKS = {"vision": 4, "speech": 6}
ALPHAS = {"vision": 8, "speech": 12}
VISION = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
VISION |= {"image_size": 32, "patch_size": 8}
WRAPPED = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
SPELLINGS = [  # native module -> the original's, in the order of its code
    (r"\.image_embed\.img_projection_up\.", ".image_embed.img_projection.0."),
    (r"\.image_embed\.img_projection_down\.", ".image_embed.img_projection.2."),
    (r"\.image_embed\.global_img_feature_extensor$", ".image_embed.glb_GN"),
    (r"\.image_embed\.sub_img_feature_extensor$", ".image_embed.sub_GN"),
    (r"\.audio_embed\.up_proj_for_speech\.", ".audio_embed.audio_projection.speech.0."),
    (r"\.audio_embed\.down_proj_for_speech\.", ".audio_embed.audio_projection.speech.2."),
    (r"\.audio_embed\.up_proj_for_vision_speech\.", ".audio_embed.audio_projection.vision.0."),
    (r"\.audio_embed\.down_proj_for_vision_speech\.", ".audio_embed.audio_projection.vision.2."),
    (r"\.feed_forward_(in|out)\.gate_up_proj\.", r".feed_forward_\1.net.0.linear."),
    (r"\.feed_forward_(in|out)\.down_proj\.", r".feed_forward_\1.net.2."),
    (r"(\.encoders\.\d+\.self_attn)\.([qkv])_proj\.", r"\1.linear_\2."),
    (r"(\.encoders\.\d+\.self_attn)\.o_proj\.", r"\1.linear_out."),
]


def settings(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """An original `config.json`: the published one's keys, a small model's sizes, LongRoPE."""
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    return {
        "_name_or_path": "published",
        "architectures": ["Phi4MMForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "audio_processor": {
            "config": {
                "activation": "swish",
                "activation_checkpointing": {"interval": 1, "module": "transformer", "offload": False},
                "attention_dim": 8,
                "attention_heads": 2,
                "batch_norm": False,
                "bias_in_glu": True,
                "causal": True,
                "chunk_size": -1,
                "cnn_layer_norm": True,
                "conv_activation": "swish",
                "conv_glu_type": "swish",
                "depthwise_multiplier": 1,
                "depthwise_seperable_out_channel": 8,
                "dropout_rate": 0.0,
                "encoder_embedding_config": {"input_size": 80},
                "ext_pw_kernel_size": 1,
                "ext_pw_out_channel": 8,
                "input_layer": "nemo_conv",
                "input_size": 80,
                "kernel_size": 3,
                "left_chunk": 18,
                "linear_units": 12,
                "nemo_conv_settings": {"conv_channels": 8},
                "num_blocks": 2,
                "relative_attention_bias_args": {"t5_bias_max_distance": 16, "type": "t5"},
                "time_reduction": 8,
            },
            "name": "cascades",
        },
        "auto_map": {"AutoModelForCausalLM": "modeling_phi4mm.Phi4MMForCausalLM"},
        "bos_token_id": end,
        "embd_layer": {
            "audio_embd_layer": {
                "compression_rate": 8,
                "downsample_rate": 1,
                "embedding_cls": "audio",
                "enable_gradient_checkpointing": True,
                "projection_cls": "mlp",
                "use_conv_downsample": False,
                "use_qformer": False,
            },
            "embedding_cls": "image_audio",
            "image_embd_layer": {
                "crop_size": 32,
                "embedding_cls": "tune_image",
                "enable_gradient_checkpointing": True,
                "hd_transform_order": "sub_glb",
                "image_token_compression_cls": "avg_pool_2d",
                "projection_cls": "mlp",
                "use_hd_transform": True,
                "with_learnable_separator": True,
            },
        },
        "embd_pdrop": 0.0,
        "eos_token_id": end,
        "full_attn_mod": 1,
        "hidden_act": "silu",
        "hidden_size": 32,
        "img_processor": VISION,
        "initializer_range": 0.02,
        "intermediate_size": 48,
        "interpolate_factor": 1,
        "lm_head_bias": False,
        "max_position_embeddings": 8192,
        "mlp_bias": False,
        "model_type": "phi4mm",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "original_max_position_embeddings": 4096,
        "pad_token_id": end,
        "partial_rotary_factor": 0.75,
        "resid_pdrop": 0.0,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {"long_factor": [1.0, 2.0, 4.0], "short_factor": [1.0, 1.1, 1.2], "type": "longrope"},
        "rope_theta": 10000.0,
        "sliding_window": 262144,
        "speech_lora": {"dp": 0.01, "layer": "layers.*", "lora_alpha": 12, "r": 6},
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "transformers_version": "4.46.1",
        "use_cache": True,
        "vision_lora": {"dp": 0.0, "layer": "layers.*", "lora_alpha": 8, "r": 4},
        "vocab_size": len(tokenizer),
        "_attn_implementation": "flash_attention_2",
    }


def native_model(tokenizer: PreTrainedTokenizerFast) -> Phi4MultimodalForCausalLM:
    """The same sizes in the native class, spelled by hand, with drawn weights that are not small."""
    end, stop, image, audio = tokenizer.convert_tokens_to_ids(
        ["<|endoftext|>", "<|end|>", "<|endoftext10|>", "<|endoftext11|>"]
    )
    config = Phi4MultimodalConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=8192,
        original_max_position_embeddings=4096, tie_word_embeddings=True, sliding_window=262144,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
            "long_factor": [1.0, 2.0, 4.0], "short_factor": [1.0, 1.1, 1.2],
        },
        bos_token_id=end, pad_token_id=end, eos_token_id=[end, stop],
        vision_config=VISION | {"crop_size": 32, "image_token_id": image},
        audio_config={
            "hidden_size": 8, "intermediate_size": 12, "num_blocks": 2, "num_attention_heads": 2,
            "ext_pw_out_channel": 8, "depthwise_separable_out_channel": 8, "nemo_conv_channels": 8,
            "bias_max_distance": 16, "audio_token_id": audio,
        },
    )  # fmt: skip
    model = Phi4MultimodalForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            scale = 1.0 if tensor.ndim < 2 else tensor.shape[-1] ** -0.5
            tensor.copy_(scale * torch.randn(tensor.shape, generator=generator))
            if "norm" in name and name.endswith("weight"):
                tensor.abs_()
    return model


def spelled(native: str) -> str:
    """A base tensor's name in the original."""
    for pattern, replacement in SPELLINGS:
        native = re.sub(pattern, replacement, native)
    if re.match(r"model\.layers\.", native) and any(f".{module}." in native for module in WRAPPED):
        native = native.replace(".weight", ".base_layer.weight")
    return native


def loras(model: Phi4MultimodalForCausalLM) -> dict[str, Tensor]:
    """Both adapters of every wrapped layer, B as little zero as A."""
    generator = torch.Generator().manual_seed(4)
    found = {}
    for name, tensor in model.state_dict().items():
        module = name.removesuffix(".weight")
        if not module.startswith("model.layers.") or not module.endswith(WRAPPED):
            continue
        for adapter, rank in RANKS.items():
            a = torch.randn(rank, tensor.shape[1], generator=generator) * tensor.shape[1] ** -0.5
            found[f"{module}.lora_A.{adapter}.weight"] = a
            found[f"{module}.lora_B.{adapter}.weight"] = 0.3 * torch.randn(
                tensor.shape[0], rank, generator=generator
            )
    return found


def merged(
    model: Phi4MultimodalForCausalLM, adapters: dict[str, Tensor], which: str
) -> Phi4MultimodalForCausalLM:
    """The model with W + alpha / r * B A for one adapter, in place."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            a = adapters.get(f"{name.removesuffix('.weight')}.lora_A.{which}.weight")
            if a is not None:
                b = adapters[f"{name.removesuffix('.weight')}.lora_B.{which}.weight"]
                tensor += ALPHAS[which] / RANKS[which] * b @ a
    return model


def write(folder: Path, tokenizer: PreTrainedTokenizerFast, *, shards: int = 3) -> dict[str, Tensor]:
    """A checkpoint on disk; returns its tensors by their original names."""
    folder.mkdir()
    model = native_model(tokenizer)
    tensors = {spelled(name): value for name, value in model.state_dict().items() if name != "lm_head.weight"}
    tensors |= loras(model)
    save(folder, tensors, shards=shards)
    (folder / "config.json").write_text(json.dumps(settings(tokenizer), indent=2))
    (folder / "preprocessor_config.json").write_text(json.dumps({"dynamic_hd": 12, "audio_feat_stride": 1}))
    (folder / "modeling_phi4mm.py").write_text("raise SystemExit('remote code ran')\n")
    tokenizer.save_pretrained(folder)
    return tensors


def save(folder: Path, tensors: dict[str, Tensor], *, shards: int) -> None:
    for old in folder.glob("*.safetensors"):
        old.unlink()
    names = list(tensors)
    files = {f"model-{i + 1:05}-of-{shards:05}.safetensors": names[i::shards] for i in range(shards)}
    for file, part in files.items():
        save_file(
            {name: tensors[name].clone().contiguous() for name in part}, folder / file, {"format": "pt"}
        )
    index = {"metadata": {}, "weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
