"""What the native `generate` reads of a batch in which several rows are the same prompt.

A prompt with its films is hundreds to thousands of tokens, and GRPO has it in the batch as often as it
samples answers. The first forward of `generate` reads the distinct prompts alone, and leaves a cache of ours
to decode on (`kv_cache`). All that follows is the library's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.generation.configuration_utils import GenerationMode

from chexphi.models.shared_prompts import row_inputs
from chexphi.models.shared_prompts.kv_cache import HeldPrompts, RowGroups, hold_prompts, reserve
from chexphi.models.shared_prompts.same_prompts import DistinctPrompts, same_prompts
from chexphi.models.shared_prompts.sharing import SharedPrompts

MIN_SAVED_TOKENS = 512
"""Holding prompts once pays from about as many tokens on that rows need not hold; measured on a CPU."""
_OTHER_INPUTS = ("cache", "use_cache", "logits_to_keep")


class PromptsToRead(NamedTuple):
    """The distinct prompts of a batch, and the model's inputs for them alone."""

    prompts: DistinctPrompts
    inputs: dict[str, Any]

    @property
    def groups(self) -> RowGroups:
        return RowGroups.of(self.prompts.prompt_of_row, len(self.prompts.first_rows))


def distinct_prompts(
    model: Any, input_ids: Tensor, config: Any, inputs: Mapping[str, Any], sharing: SharedPrompts
) -> PromptsToRead | None:
    """The prompts to read; None if the prompt of every row is read.

    That is so where all prompts differ, and where sharing might change something: with dropout, with a cache
    that is not empty or not the usual one, or with a prompt that is read in chunks. It is also so if hidden
    states or attentions are requested, or an input belongs to neither tokens nor films.

    Args:
        model: The policy.
        input_ids: int (rows, length).
        config: Of this generation.
        inputs: The model's other inputs.
        sharing: Whether the model shares prompts.
    """
    understood = {*row_inputs.TOKEN_INPUTS, *model.film_inputs, *_OTHER_INPUTS}
    inputs_set = {name: value for name, value in inputs.items() if value is not None}
    is_usual_cache = config.cache_implementation in (None, "dynamic")
    if not is_usual_cache or config.prefill_chunk_size or inputs_set.keys() - understood:
        return None
    if not _is_empty(inputs_set.get("cache")) or not sharing.reads_once(model):
        return None
    film_counts, films = model.film_counts(input_ids), model.single_films(inputs_set)
    if any(len(values) != sum(film_counts) for values in films.values()):
        return None
    mask = inputs_set.get("attention_mask", torch.ones_like(input_ids))
    prompts = same_prompts(input_ids, mask, film_counts if films else (), list(films.values()))
    if prompts.all_differ or not _repeats_inputs(inputs_set, prompts):
        return None
    return PromptsToRead(prompts, row_inputs.of_rows(prompts.first_rows, inputs, film_counts, films))


def _is_empty(cache: Any) -> bool:
    return type(cache) is DynamicCache and cache.get_seq_length() == 0


def _repeats_inputs(inputs: Mapping[str, Any], prompts: DistinctPrompts) -> bool:
    """Whether every row has the positions and types of the first row that is the same prompt."""
    first_row = prompts.first_rows[prompts.prompt_of_row]
    tensors = [inputs[name] for name in row_inputs.TOKEN_INPUTS if name in inputs]
    return all(
        torch.equal(values, values.index_select(-2, first_row))
        for values in tensors
        if values.shape[-2] == len(first_row)
    )


def expand_to_rows(
    model: Any,
    output: Any,
    prompts_read: PromptsToRead | None,
    config: Any,
    inputs: dict[str, Any],
    sharing: SharedPrompts,
) -> Any:
    """What `generate` continues with once prompts are read: logits of all rows, and a cache to decode on.

    A cache that someone else sees stays the library's own.

    Args:
        model: The policy.
        output: Of the forward that read the prompts; its logits are (prompts, tokens, vocabulary).
        prompts_read: The prompts that were read; None if every row was.
        config: Of this generation.
        inputs: The model's inputs for the forwards that follow; held prompts are added to them.
        sharing: Whether the model shares prompts.
    """
    cache = output.cache
    if prompts_read is not None:
        output.logits = output.logits[prompts_read.prompts.prompt_of_row]
    is_ours = type(cache) is DynamicCache and not (
        cache.offloading or getattr(cache, "_is_user_defined", False)
    )
    if is_ours and not config.return_dict_in_generate:
        is_sampled = config.get_generation_mode() in (GenerationMode.SAMPLE, GenerationMode.GREEDY_SEARCH)
        mask = None if prompts_read is None else prompts_read.inputs.get("attention_mask")
        groups = None if prompts_read is None else prompts_read.groups
        held_prompts = prepare_decoding_cache(
            model, cache, mask, groups, config.max_length, sharing, one_token_a_row=is_sampled
        )
        inputs.update({} if held_prompts is None else {"held_prompts": held_prompts})
    elif prompts_read is not None:
        cache.batch_select_indices(prompts_read.prompts.prompt_of_row)
    return output


def prepare_decoding_cache(
    model: Any,
    cache: Any,
    mask: Tensor | None,
    groups: RowGroups | None,
    length: int,
    sharing: SharedPrompts,
    *,
    one_token_a_row: bool = True,
) -> HeldPrompts | None:
    """Turn the cache of prompts that were read into one for rows to decode on.

    Args:
        model: The policy.
        cache: Of the prompts, (prompts, key heads, length, width) in every layer; it is changed.
        mask: 1 for the prompts' tokens and 0 for padding, (prompts, length); None if nothing is padded.
        groups: Which rows are on which prompt; None if each prompt has one row.
        length: Tokens of a row at the end, padding included, at most.
        sharing: Whether the model shares prompts.
        one_token_a_row: Whether each forward that follows reads one token of every row; beams are reordered.

    Returns:
        What the model needs as `held_prompts` from here on. None if each row has its prompt in the cache:
        where holding saves little, or the model cannot hold prompts.
    """
    reserve(cache, length)
    if groups is None:
        return None
    saved_tokens = (len(groups.prompt_of_row) - groups.prompts) * cache.get_seq_length()
    if one_token_a_row and saved_tokens >= MIN_SAVED_TOKENS and sharing.holds_once(model):
        held_prompts = hold_prompts(cache, mask, groups)
        if held_prompts is not None:
            return held_prompts
    cache.batch_select_indices(groups.prompt_of_row)
    return None
