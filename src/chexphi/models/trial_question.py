"""One question about a blank film, asked when a policy is loaded: settings that do not fit are found here.

Libraries look at most settings of a tokenizer, a chat template, an image processor and a model when they are
used, which would be in the middle of a run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from chexphi import prompts
from chexphi.files import read_object
from chexphi.model_folder import reading
from chexphi.schema import InputError, shown

SIZE = (64, 48)
"""Width and height of the film."""
MAX_PIXELS = 1 << 26
"""Of a film as it is resized; the published processors go up to 2**24."""
PREPARATION = ("processor_config.json", "preprocessor_config.json")
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "suppress_tokens", "begin_suppress_tokens")
POSITIVE = ("temperature", "repetition_penalty", "max_length", "max_new_tokens", "top_p")
OFF: dict[str, float] = {
    **dict.fromkeys(("num_beams", "num_beam_groups", "num_return_sequences"), 1),
    **dict.fromkeys(("typical_p", "top_h", "guidance_scale", "encoder_repetition_penalty"), 1),
    **dict.fromkeys(("min_length", "min_new_tokens", "no_repeat_ngram_size"), 0),
    **dict.fromkeys(("encoder_no_repeat_ngram_size", "epsilon_cutoff", "eta_cutoff", "penalty_alpha"), 0),
    **dict.fromkeys(("bad_words_ids", "force_words_ids", "forced_bos_token_id", "forced_eos_token_id"), 0),
    **dict.fromkeys(("sequence_bias", "constraints", "stop_strings", "max_time", "dola_layers"), 0),
    **dict.fromkeys(("exponential_decay_length_penalty", "watermarking_config", "renormalize_logits"), 0),
    **dict.fromkeys(("prompt_lookup_num_tokens", "assistant_early_exit", "use_mtp"), 0),
}
"""Settings of generation that would change how completions are drawn in training, with the value that does
not. What else a folder says has no effect on it, or is known to the stages."""


def check_films(folder: Path) -> None:
    """Refuse sizes of films that no processor can make; nothing is loaded.

    Raises:
        InputError: For the first one.
    """
    for path in (folder / name for name in PREPARATION):
        content = read_object(path) if path.is_file() else {}
        for settings in (content, content.get("image_processor")):
            size = settings.get("size") if isinstance(settings, dict) else None
            for name, value in (size if isinstance(size, dict) else {"size": size}).items():
                _check_side(path, name, value)


def _check_side(path: Path, name: str, value: Any) -> None:
    most = MAX_PIXELS if name.endswith("_edge") else math.isqrt(MAX_PIXELS)  # Qwen's count pixels
    if value is not None and (type(value) is not int or not 1 <= value <= most):
        raise InputError(
            f"{path}: the size of a film, {name}, is {shown(value)}: use a number from 1 to {most}"
        )


def check_generation(model: Any, folder: Path) -> None:
    """Refuse settings of generation that name no token, or that training would draw completions with.

    Raises:
        InputError: For the first one.
    """
    where, vocabulary = folder / "generation_config.json", model.get_input_embeddings().num_embeddings
    for name, value in model.generation_config.to_diff_dict().items():
        if name.startswith("_") or value is None:
            continue
        if name in OFF and (value is True or (value and value != OFF[name])):
            raise InputError(f"{where}: {name} is {shown(value)}, and it is not read: remove the entry")
        ids = value if isinstance(value, list) else [value]
        if name in TOKEN_IDS and any(type(one) is not int or not 0 <= one < vocabulary for one in ids):
            raise InputError(
                f"{where}: {name} is {shown(value)}: use ids of tokens, from 0 to {vocabulary - 1}"
            )
        number = type(value) in (int, float) and math.isfinite(value)
        off = name == "temperature" and not model.generation_config.do_sample  # a greedy one, written out
        least = 0 if off or name not in POSITIVE else math.ulp(0)
        if name in (*POSITIVE, "top_k", "min_p") and not (number and value >= least):
            raise InputError(f"{where}: {name} is {shown(value)}: use a positive number")


@torch.no_grad()
def check(model: Any, processor: Any, folder: Path) -> None:
    """Ask about a film, and refuse a folder whose files do not fit each other.

    Args:
        model: The policy, in evaluation mode.
        processor: Its processor.
        folder: Of the processor, which is blamed.

    Raises:
        InputError: If the question cannot be asked, or the answer is not made of numbers.
    """
    with reading(folder, "a policy's processor"):
        text = processor.apply_chat_template(prompts.messages("Is it new?", 1), add_generation_prompt=True)
        films = [[Image.new("L", SIZE)]]
        inputs = processor(text=[text], images=films, padding=True, return_tensors="pt")
        films_found = model.film_counts(inputs["input_ids"])
    causal = model.get_base_model() if hasattr(model, "peft_config") else model
    _check_ids(causal, inputs["input_ids"], films_found, folder)
    with reading(folder, "a policy that answers"):
        on_device = {
            name: value.to(model.device) for name, value in inputs.items() if isinstance(value, Tensor)
        }
        logits = model(**on_device, logits_to_keep=1).logits
    if not logits.isfinite().all():
        raise InputError(
            f"{folder} answers with numbers that are not finite: its weights or settings are damaged, copy "
            "them again"
        )


def _check_ids(causal: Any, ids: Tensor, films: list[int], folder: Path) -> None:
    rows = causal.get_input_embeddings().num_embeddings
    if (highest := int(ids.max())) >= rows:
        raise InputError(
            f"the tokenizer of {folder} has the token {highest} and its model {rows} tokens: take both "
            "from one model"
        )
    if films != [1]:
        raise InputError(
            f"the processor of {folder} writes a film as {films[0]} films of its model: take the tokenizer, "
            "the chat template and the model from one folder"
        )
