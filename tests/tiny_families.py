"""Small random models of other families, in the layout of the published ones, for 32-px films and up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
import trl
from tokenizers.processors import TemplateProcessing

from chexphi.models.families import tiny
from chexphi.prompts import messages

TEXT = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
TEXTS = (
    "<think>There is an opacity in the left upper zone. The heart is big.</think><answer>yes</answer>",
    "<think>There is no effusion in the right lung.</think><answer>no</answer>",
    "Is there a nodule in the lower zone of the film?",
)
VISION = {"hidden_size": 32, "intermediate_size": 48}
QWEN_VISION = {
    **VISION,
    "depth": 2,
    "num_heads": 2,
    "patch_size": 4,
    "out_hidden_size": TEXT["hidden_size"],
}
QWEN_FILMS: dict[str, Any] = {"patch_size": 4, "size": {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}}
QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
GEMMA_TOKENS = (
    *("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
    *("<start_of_image>", "<end_of_image>", "<image_soft_token>"),
)


def _tokenizer(texts: Sequence[str], special: Sequence[str], **roles: Any) -> Any:
    """The project's small tokenizer with a family's control tokens in place of Phi-4's."""
    trained = tiny.train_tokenizer(texts, vocab_size=400).backend_tokenizer
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=trained, padding_side="right", clean_up_tokenization_spaces=False, **roles
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer


def _template(name: str) -> str:
    """The published chat template, as TRL keeps it."""
    return (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text()


def _save(folder: Path, model: Any, processor: Any, seed: int) -> None:
    tiny.initialise(model, seed=seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    tokens = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    return dict(zip(names, tokenizer.convert_tokens_to_ids(list(tokens)), strict=True))


def _qwen_text(tokenizer: Any) -> dict[str, Any]:
    return {
        **TEXT,
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 2, 2]},
    }


def qwen2_5_vl(folder: Path, texts: Sequence[str], *, seed: int = 0, tied: bool = False) -> None:
    """Films of any size in patches of 4, windows of 4 tokens, 3-dimensional positions."""
    tokenizer = _tokenizer(texts, QWEN_TOKENS, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    config = hf.Qwen2_5_VLConfig(
        text_config=_qwen_text(tokenizer),
        vision_config={**QWEN_VISION, "window_size": 16, "fullatt_block_indexes": [1]},
        tie_word_embeddings=tied,
        **_qwen_ids(tokenizer),
    )
    processor = hf.Qwen2_5_VLProcessor(
        hf.Qwen2VLImageProcessor(**QWEN_FILMS),
        tokenizer,
        hf.Qwen2VLVideoProcessor(**QWEN_FILMS),
        chat_template=_template("qwen2_5_vl"),
    )
    _save(folder, hf.Qwen2_5_VLForConditionalGeneration(config), processor, seed)


def qwen3_vl(
    folder: Path, texts: Sequence[str], *, seed: int = 0, tied: bool = False, template: str = "qwen3_vl"
) -> None:
    """Films of any size in patches of 4; an inner vision layer feeds the first language layers, too."""
    tokenizer = _tokenizer(texts, QWEN_TOKENS, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    config = hf.Qwen3VLConfig(
        text_config={**_qwen_text(tokenizer), "head_dim": 12},
        vision_config={**QWEN_VISION, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]},
        tie_word_embeddings=tied,
        **_qwen_ids(tokenizer),
    )
    processor = hf.Qwen3VLProcessor(
        hf.Qwen2VLImageProcessor(**QWEN_FILMS),
        tokenizer,
        hf.Qwen3VLVideoProcessor(**QWEN_FILMS),
        chat_template=_template(template),
    )
    _save(folder, hf.Qwen3VLForConditionalGeneration(config), processor, seed)


def gemma3(folder: Path, texts: Sequence[str], *, seed: int = 0, tied: bool = True) -> None:
    """Films of 32 px in 4 tokens that see each other both ways; every other layer sees 16 tokens back."""
    roles = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    tokenizer = _tokenizer(
        texts,
        GEMMA_TOKENS,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        extra_special_tokens=roles,
    )
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in roles.items()}
    start = [("<bos>", tokenizer.bos_token_id)]  # added to any text, one that has it already, too
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=start)
    config = hf.Gemma3Config(
        text_config={
            **TEXT,
            "head_dim": 12,
            "vocab_size": len(tokenizer),
            "query_pre_attn_scalar": 12,
            "sliding_window": 16,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "model_type": "siglip_vision_model",
            **VISION,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        mm_tokens_per_image=4,
        image_token_index=ids["image_token"],
        boi_token_index=ids["boi_token"],
        eoi_token_index=ids["eoi_token"],
        tie_word_embeddings=tied,
    )
    processor = hf.Gemma3Processor(
        hf.Gemma3ImageProcessor(size={"height": 32, "width": 32}),
        tokenizer,
        chat_template=_template("gemma3"),
        image_seq_length=4,
    )
    model = hf.Gemma3ForConditionalGeneration(config)
    torch.nn.init.eye_(model.model.multi_modal_projector.mm_input_projection_weight)  # 0: films unseen
    _save(folder, model, processor, seed)


BUILDERS: dict[str, Callable[..., None]] = {
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "gemma3": gemma3,
}


def folder(kind: str, factory: pytest.TempPathFactory) -> Path | None:
    """A saved model of a family in a folder of its own; None for a kind that is not built here."""
    if kind not in BUILDERS:
        return None
    made = factory.mktemp(kind)
    BUILDERS[kind](made, TEXTS)
    return made


def encode(processor: Any, rows: list[list[Any]], question: str = "Is it new?") -> Any:
    """A batch of one question about the films of each row."""
    texts = [
        processor.apply_chat_template(messages(question, len(films)), add_generation_prompt=True)
        for films in rows
    ]
    return processor(text=texts, images=rows, padding=True, return_tensors="pt")


def window_of(folder: Path, target: Path, window: int) -> Path:
    """A copy of a model whose layers with a window see so many tokens."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    config["text_config"]["sliding_window"] = window
    (target / "config.json").write_text(json.dumps(config))
    return target


def without_short_windows(kind: str, factory: pytest.TempPathFactory) -> Path | None:
    """As `folder`, but Gemma's window is longer than any row of a test."""
    made = folder(kind, factory)
    return window_of(made, factory.mktemp("wide") / kind, 2000) if made and kind == "gemma3" else made
