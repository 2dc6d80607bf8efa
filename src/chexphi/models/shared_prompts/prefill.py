"""What the native `generate` reads of a batch in which several rows are the same prompt.

A prompt with its films is hundreds to thousands of tokens and GRPO has it in the batch as often as it samples
answers. The first forward of `generate` is that of the distinct prompts, and what it leaves to decode on is a
cache of ours (`cache`). All that follows is the library's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.generation.configuration_utils import GenerationMode

from chexphi.models.shared_prompts import packed_rows
from chexphi.models.shared_prompts.dropout import has_dropout
from chexphi.models.shared_prompts.kv_cache import Groups, Held, hold, reserve
from chexphi.models.shared_prompts.same_prompts import same_prompts

_TOKENS = ("attention_mask", "position_ids", "token_type_ids", "mm_token_type_ids")
"""Inputs with a value a token, (..., rows, length), or one row for all."""
SAVED = 512
"""Tokens that rows need not have of their own, at least: from there on it is faster, measured on a CPU."""
_REST = ("cache", "use_cache", "logits_to_keep")


class Distinct(NamedTuple):
    """The distinct prompts of a batch."""

    kept: Tensor
    """Their rows, (distinct,)."""
    place: Tensor
    """For every row its place among them, (rows,)."""
    inputs: dict[str, Any]
    """The model's inputs for them alone."""


def distinct(
    model: Any, input_ids: Tensor, generation_config: Any, inputs: Mapping[str, Any]
) -> Distinct | None:
    """The prompts to read; None if each row is to be read.

    That is so where all prompts differ, and where sharing might change something: a cache that is not empty
    or not the usual one, inputs that belong to neither tokens nor films, hidden states or attentions asked
    for, a prompt read in chunks, dropout.
    """
    known = {*_TOKENS, *model.film_inputs, *_REST}
    given = {name: value for name, value in inputs.items() if value is not None}
    usual = generation_config.cache_implementation in (None, "dynamic")
    if not usual or generation_config.prefill_chunk_size or given.keys() - known:
        return None
    if not _is_empty(given.get("cache")) or (model.training and has_dropout(model)):
        return None
    counts, films = model.film_counts(input_ids), model.single_films(given)
    if any(len(parts) != sum(counts) for parts in films.values()):
        return None
    mask = given.get("attention_mask", torch.ones_like(input_ids))
    kept, place = same_prompts(input_ids, mask, counts if films else (), list(films.values()))
    if len(kept) == len(place) or not _repeats(given, kept[place]):
        return None
    return Distinct(kept, place, inputs_of(kept, inputs, counts, films))


def _is_empty(cache: Any) -> bool:
    return type(cache) is DynamicCache and cache.get_seq_length() == 0


def _repeats(inputs: Mapping[str, Any], first: Tensor) -> bool:
    """Whether every row has the positions and types of the first row (rows,) that is the same prompt."""
    values = [inputs[name] for name in _TOKENS if name in inputs]
    return all(
        torch.equal(value, value.index_select(-2, first)) for value in values if value.shape[-2] == len(first)
    )


def inputs_of(
    kept: Tensor, inputs: Mapping[str, Any], counts: Sequence[int], films: Mapping[str, Sequence[Tensor]]
) -> dict[str, Any]:
    """The inputs of some rows (kept,), each of as many films as its count says."""
    chosen = dict(inputs)
    for name in _TOKENS:
        value = inputs.get(name)
        if value is not None and value.shape[-2] == len(counts):
            chosen[name] = value.index_select(-2, kept)
    of_row = torch.arange(sum(counts)).split(list(counts))
    numbers = torch.cat([of_row[row] for row in kept.tolist()]).tolist()
    for name, parts in films.items():
        chosen[name] = torch.cat([parts[i] for i in numbers]) if numbers else None
    return chosen


def spread(model: Any, output: Any, found: Distinct | None, config: Any, inputs: dict[str, Any]) -> Any:
    """What `generate` goes on with after its prompts are read: logits of all rows, and a cache to decode on.

    A cache that someone else sees stays the library's own.
    """
    cache = output.cache
    if found is not None:
        output.logits = output.logits[found.place]
    ours = type(cache) is DynamicCache and not (cache.offloading or getattr(cache, "_is_user_defined", False))
    if ours and not config.return_dict_in_generate:
        sampled = config.get_generation_mode() in (GenerationMode.SAMPLE, GenerationMode.GREEDY_SEARCH)
        known = None if found is None else found.inputs.get("attention_mask")
        groups = None if found is None else Groups.of(found.place, len(found.kept))
        held = settle(model, cache, known, groups, config.max_length, held=sampled)
        inputs.update({} if held is None else {"shared": held})
    elif found is not None:
        cache.batch_select_indices(found.place)
    return output


def settle(
    model: Any,
    cache: Any,
    known: Tensor | None,
    groups: Groups | None,
    length: int,
    *,
    held: bool = True,
) -> Held | None:
    """Make the cache of prompts that were read one for rows to decode on.

    Args:
        model: The policy.
        cache: Of the prompts, (prompts, ...) in every layer; it is changed.
        known: 1 for the prompts' tokens and 0 for padding, (prompts, length); None if nothing is padded.
        groups: Which rows are on which prompt; None if each prompt is a row's.
        length: Tokens of a row in the end, padding included, at most.
        held: Whether prompts may be held once for their rows.

    Returns:
        What the model needs as `shared` from here on. None if each row has its prompt in the cache: where
        little is saved, or the attention cannot read held ones.
    """
    reserve(cache, length)
    if groups is None:
        return None
    saved = (len(groups.place) - groups.prompts) * cache.get_seq_length()
    if held and saved >= SAVED and packed_rows.enable(model):
        found = hold(cache, known, groups)
        if found is not None:
            return found
    cache.batch_select_indices(groups.place)
    return None
