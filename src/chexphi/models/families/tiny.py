"""A small Phi-4-multimodal: the native architecture at a size that learns on a laptop."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    GenerationConfig,
    Phi4MultimodalConfig,
    Phi4MultimodalFeatureExtractor,
    PreTrainedTokenizerFast,
)

from chexphi.models.families.phi4 import (
    Phi4MultimodalForCausalLM,
    Phi4MultimodalImageProcessor,
    Phi4MultimodalProcessor,
)

_ENDS = ("<|endoftext|>", "<|endoftext10|>", "<|endoftext11|>")
_SPECIAL = (*_ENDS, "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 1200) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with Phi-4's special tokens; decoding returns any text exactly.

    The tags of the answer format are tokens of their own, but not special ones: decoding keeps them.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(_TAGS),
        special_tokens=list(_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in _TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"image_token": "<|endoftext10|>", "audio_token": "<|endoftext11|>"},
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def config(
    tokenizer: PreTrainedTokenizerFast,
    *,
    image_size: int = 64,
    patch_size: int = 16,
    hidden_size: int = 128,
    num_layers: int = 4,
    vision_hidden: int = 96,
    vision_layers: int = 3,
) -> Phi4MultimodalConfig:
    """The native configuration with default RoPE, no dropout and the smallest possible audio encoder.

    `image_size` is the side of a crop in pixels. A film of one crop has 13 tokens at 64 with patches of 16.
    """
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}
    return Phi4MultimodalConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0},
        bos_token_id=ids["<|endoftext|>"],
        pad_token_id=ids["<|endoftext|>"],
        eos_token_id=[ids["<|endoftext|>"], ids["<|end|>"]],
        vision_config={
            "hidden_size": vision_hidden,
            "intermediate_size": 2 * vision_hidden,
            "num_hidden_layers": vision_layers,
            "num_attention_heads": 4,
            "image_size": image_size,
            "crop_size": image_size,
            "patch_size": patch_size,
            "image_token_id": ids["<|endoftext10|>"],
            "feature_layer": -1,
        },
        audio_config={
            "hidden_size": 8,
            "intermediate_size": 8,
            "num_blocks": 1,
            "num_attention_heads": 1,
            "ext_pw_out_channel": 8,
            "depthwise_separable_out_channel": 8,
            "nemo_conv_channels": 8,
            "bias_max_distance": 8,
            "audio_token_id": ids["<|endoftext11|>"],
            "feature_layer": -1,
        },
    )


def initialise(model: nn.Module, *, seed: int) -> None:
    """Draw all weights, with standard deviations by fan-in.

    The library draws the vision tower's weights with std 1, since it expects to load others; a model trained
    from them hardly sees. Here linear layers and convolutions have std fan_in^-0.5, a block's output
    projection half of that, and biases 0. Embeddings have std 0.2, vision positions 0.3.
    """
    generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)
    outputs = ("o_proj", "down_proj", "out_proj", "fc2")
    with torch.no_grad():
        for name, module in model.named_modules():
            module_name = name.rpartition(".")[2]
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
                std = module.weight[0].numel() ** -0.5 * (0.5 if module_name in outputs else 1.0)
                module.weight.normal_(0, std, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                std = 0.3 if module_name == "position_embedding" else 0.2
                module.weight.normal_(0, std, generator=generator)
            elif isinstance(module, nn.MultiheadAttention):
                module.in_proj_weight.normal_(0, module.embed_dim**-0.5, generator=generator)
        for name, parameter in model.named_parameters():
            if name.endswith("head.probe"):
                parameter.normal_(0, 1, generator=generator)


def build(
    folder: Path | str,
    texts: Iterable[str],
    *,
    seed: int = 0,
    vocab_size: int = 1200,
    **sizes: int,
) -> None:
    """Train a tokenizer on the texts, draw a model of about 1.2 M parameters, and save both with a processor.

    Args:
        texts: The texts that the model will read and write: questions, explanations, answers.
        seed: Seed of the weights.
        vocab_size: The most tokens, special ones and all bytes included; few texts give fewer.
        sizes: Sizes of `config` that differ from its defaults.
    """
    tokenizer = train_tokenizer(texts, vocab_size=vocab_size)
    model = Phi4MultimodalForCausalLM(config(tokenizer, **sizes))
    initialise(model, seed=seed)
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id,
        pad_token_id=model.config.pad_token_id,
        eos_token_id=model.config.eos_token_id,
    )
    vision = model.config.vision_config
    image_processor = Phi4MultimodalImageProcessor(
        size={"height": vision.crop_size, "width": vision.crop_size},
        patch_size=vision.patch_size,
        dynamic_hd=1,
    )
    audio_processor = Phi4MultimodalFeatureExtractor()
    model.save_pretrained(folder)
    Phi4MultimodalProcessor(image_processor, audio_processor, tokenizer).save_pretrained(folder)
