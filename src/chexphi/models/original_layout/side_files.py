"""The files beside the weights of an imported checkpoint: tokenizer, processor, adapters' settings."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig
from transformers import GenerationConfig, Phi4MultimodalFeatureExtractor, PreTrainedTokenizerFast

from chexphi import model_folder
from chexphi.files import read_object
from chexphi.models.families.phi4_processor import (
    CHAT_TEMPLATE,
    Phi4MultimodalImageProcessor,
    Phi4MultimodalProcessor,
)
from chexphi.models.film_sizes import MAX_CROPS
from chexphi.models.lora_names import TARGETS
from chexphi.models.original_layout.text_files import ORIGINAL, check_tokenizer, texts
from chexphi.schema import InputError

IMAGE, AUDIO, ENDS = "<|endoftext10|>", "<|endoftext11|>", ("<|endoftext|>", "<|end|>")
PREPROCESSOR = "preprocessor_config.json"
AUDIO_RATES = ("audio_compression_rate", "audio_downsample_rate", "audio_feat_stride")


def read_tokenizer(source: Path) -> Any:
    """The source's tokenizer, with the names of the image and audio tokens that the processor expects.

    Raises:
        InputError: If there is none, or it is another model's.
    """
    check_tokenizer(source)
    with model_folder.reading(source, "a tokenizer"):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(
            source,
            extra_special_tokens={"image_token": IMAGE, "audio_token": AUDIO},
            padding_side="left",
            clean_up_tokenization_spaces=False,
            local_files_only=True,
            trust_remote_code=False,
        )
    vocabulary = tokenizer.get_vocab()
    if missing := [token for token in (IMAGE, AUDIO, *ENDS) if token not in vocabulary]:
        raise InputError(f"{source / 'tokenizer.json'} does not know {missing[0]}: it is another model's")
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def write_adapter_config(folder: Path, lora: Mapping[str, Any]) -> None:
    """Write PEFT's `adapter_config.json`; its pattern matches the language layers, not the audio encoder.

    Args:
        folder: The adapter's, inside its base.
        lora: `r`, `lora_alpha` and `dp` (dropout) of the original's configuration.
    """
    config = LoraConfig(
        r=lora["r"],
        lora_alpha=lora["lora_alpha"],
        lora_dropout=lora.get("dp", 0.0),
        target_modules=TARGETS,
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(folder.parent.resolve()),
        inference_mode=True,
    )
    config.save_pretrained(str(folder))


def write(source: Path, target: Path, tokenizer: Any, config: Mapping[str, Any]) -> None:
    """Write the processor, the generation configuration, and copies of the source's texts (never its code).

    Args:
        source: The original's folder.
        target: The native folder.
        tokenizer: As `read_tokenizer` returns it.
        config: The native configuration.
    """
    (target / ORIGINAL).mkdir(exist_ok=True)
    for file in texts(source):
        shutil.copyfile(file, target / ORIGINAL / file.name)
    settings = read_object(source / PREPROCESSOR) if (source / PREPROCESSOR).is_file() else {}
    vision = config["vision_config"]
    image_processor = Phi4MultimodalImageProcessor(
        size={"height": vision["crop_size"], "width": vision["crop_size"]},
        patch_size=vision.get("patch_size", 14),
        dynamic_hd=settings.get("dynamic_hd", MAX_CROPS),
    )
    rates = {name: settings[name] for name in AUDIO_RATES if name in settings}
    audio_processor = Phi4MultimodalFeatureExtractor(**rates)
    Phi4MultimodalProcessor(image_processor, audio_processor, tokenizer).save_pretrained(target)
    ids = {name: config[name] for name in ("bos_token_id", "pad_token_id", "eos_token_id")}
    GenerationConfig(**ids).save_pretrained(target)
