"""One question about a blank film when a policy is loaded: it finds settings that do not fit each other.

Libraries check most settings of a tokenizer, a chat template, an image processor and a model only when they
are used: without this question, in the middle of a run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from chexphi import prompts
from chexphi.model_folder import reading
from chexphi.schema import InputError, shown

SIZE = (64, 48)
"""Width and height of the film."""
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "suppress_tokens", "begin_suppress_tokens")
POSITIVE = ("temperature", "repetition_penalty", "max_length", "max_new_tokens", "top_p")
NEUTRAL_VALUES: dict[str, float] = {
    **dict.fromkeys(("num_beams", "num_beam_groups", "num_return_sequences"), 1),
    **dict.fromkeys(("typical_p", "top_h", "guidance_scale", "encoder_repetition_penalty"), 1),
    **dict.fromkeys(("min_length", "min_new_tokens", "no_repeat_ngram_size"), 0),
    **dict.fromkeys(("encoder_no_repeat_ngram_size", "epsilon_cutoff", "eta_cutoff", "penalty_alpha"), 0),
    **dict.fromkeys(("bad_words_ids", "force_words_ids", "forced_bos_token_id", "forced_eos_token_id"), 0),
    **dict.fromkeys(("sequence_bias", "constraints", "stop_strings", "max_time", "dola_layers"), 0),
    **dict.fromkeys(("exponential_decay_length_penalty", "watermarking_config", "renormalize_logits"), 0),
    **dict.fromkeys(("prompt_lookup_num_tokens", "assistant_early_exit", "use_mtp"), 0),
}
"""Settings of generation that would change how completions are sampled in training, each with the value that
changes nothing. Other settings have no effect on sampling, or the stages set them."""


def check_generation(model: Any, folder: Path) -> None:
    """Refuse settings of generation that name no token, or that would change the sampling in training.

    Raises:
        InputError: For the first one.
    """
    path, vocabulary = folder / "generation_config.json", model.get_input_embeddings().num_embeddings
    for name, value in model.generation_config.to_diff_dict().items():
        if name.startswith("_") or value is None:
            continue
        if name in NEUTRAL_VALUES and (value is True or (value and value != NEUTRAL_VALUES[name])):
            raise InputError(f"{path}: {name} is {shown(value)}, and it is not read: remove the entry")
        ids = value if isinstance(value, list) else [value]
        if name in TOKEN_IDS and any(type(id_) is not int or not 0 <= id_ < vocabulary for id_ in ids):
            raise InputError(
                f"{path}: {name} is {shown(value)}: use ids of tokens, from 0 to {vocabulary - 1}"
            )
        is_number = type(value) in (int, float) and math.isfinite(value)
        greedy = name == "temperature" and not model.generation_config.do_sample  # 0 is allowed then
        minimum = 0 if greedy or name not in POSITIVE else math.ulp(0)
        if name in (*POSITIVE, "top_k", "min_p") and not (is_number and value >= minimum):
            raise InputError(f"{path}: {name} is {shown(value)}: use a positive number")


@torch.no_grad()
def check(model: Any, processor: Any, folder: Path) -> None:
    """Ask about a film, and refuse a folder whose files do not fit each other.

    Args:
        model: The policy, in evaluation mode.
        processor: Its processor.
        folder: Of the processor, for the message.

    Raises:
        InputError: If the question cannot be asked, or the answer is not made of numbers.
    """
    with reading(folder, "a policy's processor"):
        text = processor.apply_chat_template(prompts.messages("Is it new?", 1), add_generation_prompt=True)
        films = [[Image.new("L", SIZE)]]
        inputs = processor(text=[text], images=films, padding=True, return_tensors="pt")
        film_counts = model.film_counts(inputs["input_ids"])
    causal = model.get_base_model() if hasattr(model, "peft_config") else model
    _check_ids(causal, inputs["input_ids"], film_counts, folder)
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


def _check_ids(causal: Any, ids: Tensor, film_counts: list[int], folder: Path) -> None:
    """Refuse token ids (1, length) that the model does not have, or that are not one film to the model."""
    vocabulary = causal.get_input_embeddings().num_embeddings
    if (highest := int(ids.max())) >= vocabulary:
        raise InputError(
            f"the tokenizer of {folder} has the token {highest} and its model {vocabulary} tokens: take both "
            "from one model"
        )
    if film_counts != [1]:
        raise InputError(
            f"the processor of {folder} writes a film as {film_counts[0]} films of its model: take the "
            "tokenizer, the chat template and the model from one folder"
        )
