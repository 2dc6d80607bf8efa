"""Log-probabilities of a batch with each distinct prompt, its films included, read once.

What TRL's `_get_per_token_logps_and_entropies` gives, through the same call of the model; the policy's, the
old policy's and the reference's passes all go through it. A batch in which no prompt comes twice is read
plainly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from trl.kernels.chunked_logprob import ChunkedLogProbFunction

from chexphi.models import longrope, packed
from chexphi.models.features import Features
from chexphi.models.packed import Packed
from chexphi.models.phi4 import Phi4MultimodalForCausalLM
from chexphi.models.prefix import same_prompts

FILMS = ("pixel_values", "image_sizes")
CHUNK = 8192
"""Vocabulary entries a tile where log-probabilities are computed at temperature 1."""


def why_plain(causal: Any, *, sharded: bool) -> str | None:
    """Why a model's prompts cannot be shared, in words; None if they can, and then the model is made ready.

    Args:
        causal: The causal model, without PEFT around it.
        sharded: Whether its weights are spread over processes.
    """
    if not isinstance(causal, Phi4MultimodalForCausalLM):
        return f"prompts are read once for each completion: {causal.config.model_type} is not read packed yet"
    if sharded:
        return "prompts are read once for each completion: not tested with weights spread over processes"
    if not packed.enable(causal):
        name = causal.config._attn_implementation
        return f"prompts are read once for each completion: {name} takes no packed rows, sdpa does"
    return None


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
        model: As the trainer calls it.
        input_ids: Left-padded prompts and right-padded completions, (rows, prompt + length).
        attention_mask: 1 for tokens and 0 for padding.
        logits_to_keep: Length of the completions.
        batch_size: Rows at a time; None is all.
        compute_entropy: Whether entropies are wanted.
        num_images: Films of each row.
        inputs: Of films, and what else TRL passes.
    """
    counts = num_images or [0] * len(input_ids)
    ends = [0, *accumulate(counts)]
    size = batch_size or len(input_ids)
    logps: list[Tensor] = []
    entropies: list[Tensor | None] = []
    packings: list[Packed | None] = []
    for start in range(0, len(input_ids), size):
        rows = slice(start, start + size)
        own = counts[rows]
        films = slice(ends[start], ends[start] + sum(own))
        part = {
            name: value[films] if name in FILMS and value is not None else value
            for name, value in inputs.items()
        }
        found = _packed(model, input_ids[rows], attention_mask[rows], logits_to_keep, own, part)
        if found is None:
            given = {"num_images": own} if num_images is not None else {}
            row_logps, row_entropies, _ = plain(
                model, input_ids[rows], attention_mask[rows], logits_to_keep,
                compute_entropy=compute_entropy, **given, **part,
            )  # fmt: skip
        else:
            packing, kept = found
            with autocast():
                outputs = model(**packing.inputs, **kept, fused_lm_head=True)
            row_logps = packing.plain(outputs.log_probs)
            row_entropies = packing.plain(outputs.entropy) if compute_entropy else None
        logps.append(row_logps)
        entropies.append(row_entropies)
        packings.append(found and found[0])
    joined = torch.cat([value for value in entropies if value is not None]) if compute_entropy else None
    return torch.cat(logps), joined, packings


def _packed(
    model: Any, input_ids: Tensor, mask: Tensor, keep: int, counts: list[int], inputs: dict[str, Any]
) -> tuple[Packed, dict[str, Tensor]] | None:
    """The packed rows and their films; None where sharing saves nothing or is not exact."""
    given = {name: value for name, value in inputs.items() if value is not None and value is not False}
    limits = [longrope.limit_of(model.config), model.config.sliding_window]
    too_long = any(limit is not None and input_ids.shape[1] > limit for limit in limits)
    prompt = input_ids.shape[1] - keep
    if given.keys() - {*FILMS} or too_long or prompt < 2 or keep < 1:
        return None
    films = [given[name] for name in FILMS] if given else []
    distinct, place = same_prompts(input_ids[:, :prompt], mask[:, :prompt], counts, films)
    if len(distinct) == len(input_ids):
        return None
    ends = [0, *accumulate(counts)]
    kept = [film for row in distinct.tolist() for film in range(ends[row], ends[row + 1])]
    packing = packed.pack(input_ids, mask, keep, distinct, place)
    return packing, {name: value[kept] for name, value in given.items()} if kept else {}


def logps_at_temperature_one(states: Tensor, head: torch.nn.Linear, targets: Tensor) -> Tensor:
    """fp32 log-probabilities (rows, length) of ids from the states before them (rows, length, hidden)."""
    flat = states.flatten(0, 1).float()  # the kernel multiplies in this type
    with torch.no_grad():
        chosen = ChunkedLogProbFunction.apply(
            flat, head.weight, head.bias, targets.flatten(), 1.0, CHUNK, None, 1.0, ()
        )
    return chosen[0].float().view(targets.shape)
