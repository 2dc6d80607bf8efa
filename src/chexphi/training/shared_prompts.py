"""Log-probabilities of a batch with each distinct prompt, its films included, read once.

What TRL's `_get_per_token_logps_and_entropies` gives, through the same call of the model; the policy's, the
old policy's and the reference's passes all go through it. A batch in which no prompt comes twice is read
plainly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from trl.kernels.chunked_logprob import ChunkedLogProbFunction
from trl.trainer.utils import maybe_gather_lm_head_ctx

from chexphi.models import longrope
from chexphi.models.families.family import PolicyModel
from chexphi.models.families.film_features import Features
from chexphi.models.shared_prompts import packed_rows
from chexphi.models.shared_prompts.dropout import has_dropout
from chexphi.models.shared_prompts.packed_rows import Packed
from chexphi.models.shared_prompts.same_prompts import same_prompts

logger = logging.getLogger(__name__)

TOKENS = ("token_type_ids", "mm_token_type_ids")
CHUNK = 8192
"""Vocabulary entries a tile where log-probabilities are computed at temperature 1."""


def why_plain(causal: Any, *, sharded: bool) -> str | None:
    """Why a model's prompts cannot be shared, in words; None if they can, and then the model is made ready.

    Args:
        causal: The causal model, without PEFT around it.
        sharded: Whether its weights are spread over processes.
    """
    if has_dropout(causal):
        return "prompts are read once for each completion: each of them drops out values of its own"
    if sharded:
        return "prompts are read once for each completion: not tested with weights spread over processes"
    if not packed_rows.enable(causal):
        name = causal.config.get_text_config()._attn_implementation
        return f"prompts are read once for each completion: {name} takes no packed rows, sdpa does"
    return None


def can_share(models: Sequence[Any], *, sharded: bool) -> bool:
    """Make policy and reference (which may be None) ready to read packed rows, or say why they are not."""
    reasons = [why_plain(model, sharded=sharded) for model in models if model is not None]
    if reasons[0]:
        logger.warning(reasons[0])
    return not any(reasons)


def together(order: Sequence[int], group: int) -> list[int]:
    """Rows in this order, but the `group` rows of a prompt one behind the other where its first one is.

    >>> together([4, 1, 5, 0, 2, 3], 2)
    [4, 5, 1, 0, 2, 3]
    """
    places: dict[int, list[int]] = {}
    for row in order:
        places.setdefault(row // group, []).append(row)
    return [row for rows in places.values() for row in rows]


def rows_of(values: Any, order: list[int]) -> Any:
    """Rows of a column of TRL's batch in this order; what has no rows stays."""
    if values is None or (isinstance(values, Tensor) and values.ndim == 0):
        return values
    return values[order] if isinstance(values, Tensor) else [values[i] for i in order]


def keep_films(causal: Any, reference: Any, *, sharded: bool) -> Features | None:
    """Let policy and reference keep the features of films together where the tower is frozen.

    Args:
        causal: The policy without PEFT around it.
        reference: A whole model as reference; None if there is none.
        sharded: Whether weights are spread over processes: those read films together, or wait for each other.

    Returns:
        What to clear before a step; None if nothing is kept, or for the whole run.
    """
    for_run, features = causal.tower.features is not None, causal.tower.features
    if features is None and not sharded:
        features = causal.tower.features = Features()
    if reference is not None:
        reference.tower.features = None if causal.tower.learns else features
    return None if for_run else features


def read(
    plain: Callable[..., tuple[Tensor, Tensor | None, Tensor | None]],
    autocast: Callable[[], AbstractContextManager[Any]],
    causal: PolicyModel,
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    logits_to_keep: int,
    batch_size: int | None = None,
    compute_entropy: bool = False,
    num_images: list[int] | None = None,
    **inputs: Any,
) -> tuple[Tensor, Tensor | None, list[Packed | None]]:
    """Log-probabilities and entropies of completions, (rows, length), and how each batch was packed.

    Args:
        plain: TRL's method.
        autocast: The context in which the model is called.
        causal: The causal model, without PEFT around it.
        model: As the trainer calls it.
        input_ids: Left-padded prompts and right-padded completions, (rows, prompt + length).
        attention_mask: 1 for tokens and 0 for padding.
        logits_to_keep: Length of the completions.
        batch_size: Rows at a time; None is all.
        compute_entropy: Whether entropies are wanted.
        num_images: Films of each row.
        inputs: Of films and tokens, and what else TRL passes.
    """
    given = {name: value for name, value in inputs.items() if value is not None and value is not False}
    given = {name: value for name, value in given.items() if name not in causal.film_inputs or len(value)}
    counts = num_images or [0] * len(input_ids)
    films = causal.single_films(given)
    known = given.keys() <= {*TOKENS, *causal.film_inputs}
    if not known or any(len(parts) != sum(counts) for parts in films.values()):
        logps, entropies, _ = plain(
            model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy,
            num_images=num_images, **inputs,
        )  # fmt: skip
        return logps, entropies, []
    ends = [0, *accumulate(counts)]
    size = batch_size or len(input_ids)
    found = []
    for start in range(0, len(input_ids), size):
        rows = slice(start, start + size)
        own = slice(ends[start], ends[min(start + size, len(input_ids))])
        part = {name: parts[own] for name, parts in films.items()}
        types = {name: given[name][rows] for name in TOKENS if name in given}
        batch = (input_ids[rows], attention_mask[rows], logits_to_keep)
        packing, kept = _pack(causal, *batch, counts[rows], part, types)
        if packing is None:
            whole = {name: _part(given[name], films[name], own) for name in films if any(counts[rows])}
            logps, entropies, _ = plain(
                model, *batch, compute_entropy=compute_entropy, num_images=counts[rows], **whole, **types
            )
        else:
            with autocast():
                outputs = model(**packing.inputs, **kept, fused_lm_head=True)
            logps = packing.plain(outputs.log_probs)
            entropies = packing.plain(outputs.entropy) if compute_entropy else None
        found.append((logps, entropies, packing))
    values, others, packings = (list(column) for column in zip(*found, strict=True))
    return torch.cat(values), torch.cat(others) if compute_entropy else None, packings


def _part(whole: Tensor, films: Sequence[Tensor], own: slice) -> Tensor:
    """Some films of a tensor of all, not copied."""
    start = sum(map(len, films[: own.start]))
    return whole[start : start + sum(map(len, films[own]))]


def _pack(
    causal: PolicyModel,
    input_ids: Tensor,
    mask: Tensor,
    keep: int,
    counts: list[int],
    films: Mapping[str, Sequence[Tensor]],
    types: Mapping[str, Tensor],
) -> tuple[Packed | None, dict[str, Tensor]]:
    """The packed rows, None where sharing saves nothing or is not exact, and the films in them."""
    config = causal.config.get_text_config()
    limit, prompt = longrope.limit_of(config), input_ids.shape[1] - keep
    if prompt < 2 or keep < 1 or input_ids.shape[1] - 1 == limit:
        return None, {}  # the last token is not read in packed rows, and here it would change all factors
    distinct, place = same_prompts(input_ids[:, :prompt], mask[:, :prompt], counts, list(films.values()))
    if len(distinct) == len(input_ids):
        return None, {}
    of_row = torch.arange(sum(counts)).split(counts)
    numbers = torch.cat([of_row[row] for row in distinct.tolist()]).tolist()
    kept = {name: torch.cat([parts[i] for i in numbers]) for name, parts in films.items() if numbers}
    tokens = {"input_ids": input_ids, "attention_mask": mask, **types}
    prompts = {name: values[distinct, :prompt] for name, values in tokens.items()} | kept
    packing = packed_rows.pack(
        input_ids,
        mask,
        keep,
        distinct,
        place,
        positions=causal.row_positions(prompts),
        window=getattr(config, "sliding_window", None),
        both_ways=causal.both_ways(prompts),
    )
    return packing, kept


@contextmanager
def hidden_states(causal: Any) -> Iterator[list[Tensor]]:
    """The last hidden states of every pass of the model inside, (rows, length, hidden) each."""
    found: list[Tensor] = []
    hook = causal.base_model.register_forward_hook(
        lambda *call: found.append(call[2].last_hidden_state.detach())
    )
    try:
        yield found
    finally:
        hook.remove()


def logps_at_temperature_one(states: Tensor, head: torch.nn.Linear, targets: Tensor) -> Tensor:
    """fp32 log-probabilities (rows, length) of ids from the states before them (rows, length, hidden)."""
    flat = states.flatten(0, 1).float()  # the kernel multiplies in this type
    weight: Any = head.weight
    if hasattr(weight, "full_tensor"):  # FSDP holds it in parts between passes
        weight = weight.full_tensor()
    with torch.no_grad(), maybe_gather_lm_head_ctx(weight, head.bias):  # and ZeRO-3 holds none of it
        chosen = ChunkedLogProbFunction.apply(
            flat, weight, head.bias, targets.flatten(), 1.0, CHUNK, None, 1.0, ()
        )
    return chosen[0].float().view(targets.shape)
