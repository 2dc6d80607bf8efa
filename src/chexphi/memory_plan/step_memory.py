"""Memory of a training step by phase, from a dry run on tensors without data.

What is counted is every tensor that the real modules make: saved activations, the extra ones of LoRA in its
own type, masks, softmax statistics, the vision tower with all its hidden states, what checkpointing computes
again, gradients as they come. Written out here is only what depends on data: the way of a film's features
into the prompt, and the loop of generation, of which the first and the last step are run.

Batches count as padded (without padding, attention needs no mask and less memory) and completions as full.
Not counted: CUDA's context, workspaces of libraries, fragmentation, buckets of data-parallel training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from chexphi.memory_plan.blank_model import FusedHead, Tally
from chexphi.memory_plan.film_memory import Work, embeds_of, of_rows, parts, pixels_of
from chexphi.models import adapter
from chexphi.models.shared_prompts import packed_rows
from chexphi.models.shared_prompts.kv_cache import Groups
from chexphi.models.shared_prompts.prefill import settle


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes that a phase adds to what is always there, at its highest point."""

    own: int
    gradients: int = 0
    """Part of `own`."""
    cache: int = 0
    """Keys and values, part of `own`."""
    logits: int = 0
    """Of one token a row, part of `own`."""


def generation(model: Any, work: Work, *, autocast: bool) -> Use:
    """The library's `generate` on all held rows: reading the prompts, or the last token, whichever is more.

    A step's logits are copied in fp32, scaled, and turned into probabilities.

    Args:
        model: As `blank_model.blank` returns it; the same in all of these.
        work: The step.
        autocast: Whether the model's own `forward` casts; that of an adapter's base does not.
    """
    causal, backbone = parts(model)
    pixels = pixels_of(model, work)
    with torch.no_grad(), _evaluating(model), Tally(model, pixels) as tally:
        rows = work.held // work.group if work.shared else work.held
        with _cast(autocast):  # it keeps casts of weights for one forward
            embeds = embeds_of(model, work, of_rows(pixels, rows, work), rows, work.prompt, kept=False)
            cache = _step(causal, backbone, embeds, DynamicCache(config=causal.config))[0]
        del embeds
        groups = None
        if rows < work.held:
            groups = Groups(torch.arange(rows).repeat_interleave(work.group), rows, work.group)
        held = settle(causal, cache, None, groups, work.prompt + work.completion)
        _grow(cache, work.held, work.completion - 2)
        with _cast(autocast):
            embeds = backbone.embed_tokens(torch.zeros(work.held, 1, dtype=torch.long))
            cache, logits = _step(causal, backbone, embeds, cache, shared=held)
        kept = [(layer.keys, layer.values) for layer in cache.layers] + list(held.layers if held else ())
        size = sum(part.untyped_storage().nbytes() for layer in kept for part in layer)
        return Use(own=tally.peak, cache=size, logits=logits)


def _step(causal: Any, backbone: Any, embeds: Tensor, cache: Any, **more: Any) -> tuple[Any, int]:
    """Read embeddings (rows, length, hidden) and choose a token a row: the cache, and the bytes of logits."""
    mask = torch.ones(len(embeds), cache.get_seq_length() + embeds.shape[1], dtype=torch.long)
    output = backbone(inputs_embeds=embeds, attention_mask=mask, cache=cache, use_cache=True, **more)
    logits = causal.lm_head(output.last_hidden_state[:, -1:])
    scores = logits[:, -1].to(copy=True, dtype=torch.float32)
    torch.multinomial((scores / 0.9).softmax(-1), 1)
    return cache, logits.nbytes


def _grow(cache: Any, rows: int, tokens: int) -> None:
    """As if this many tokens had been decoded."""
    for i, layer in enumerate(cache.layers):
        _, heads, _, width = layer.keys.shape
        cache.update(*(layer.keys.new_empty(rows, heads, tokens, width) for _ in (0, 1)), i)


def scoring(model: Any, work: Work, *, frozen: bool) -> Use:
    """A pass without gradients over a micro-batch: that of the reference, or of the old policy.

    Args:
        model: As above.
        work: As above.
        frozen: Whether nothing learns in the model that is read, a whole one as reference: autocast keeps
            its casts of weights that learn to the end of a pass, and of no others.
    """
    pixels = pixels_of(model, work)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(not frozen)
    with torch.no_grad(), Tally(model, pixels) as tally:
        _logps(model, work, pixels)
    for parameter in learning:
        parameter.requires_grad_(True)
    return Use(own=tally.peak)


def learning(model: Any, work: Work) -> tuple[Use, int]:
    """Forward and backward of a micro-batch, and the bytes of all gradients: of `all`, audio gets none."""
    causal, _ = parts(model)
    if work.checkpointing:
        causal.activation_checkpointing_enable()
    pixels = pixels_of(model, work)
    with Tally(model, pixels) as tally:
        if work.accumulating:
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
        _logps(model, work, pixels).sum().backward()
    gradients = sum(tensor.grad.nbytes for tensor in model.parameters() if tensor.grad is not None)
    model.zero_grad()
    if work.checkpointing:
        causal.activation_checkpointing_disable()
        causal.disable_input_require_grads()
    return Use(own=tally.peak, gradients=tally.gradients), gradients


def _logps(model: Any, work: Work, pixels: Tensor | None) -> Tensor:
    """Log-probabilities of the completions as TRL's patched forward computes them."""
    causal, backbone = parts(model)
    with _cast(work.autocast):
        rows, each = _packing(work)
        before = work.prompt - 1 if each > 1 else work.prompt
        pixels = of_rows(pixels, rows, work) if each > 1 else pixels
        kept = work.generates and not causal.tower.learns
        embeds = embeds_of(model, work, pixels, rows, before + each * work.completion, kept=kept)
        inputs = _masks(causal, rows, before, each, work.completion)
        hidden = backbone(inputs_embeds=embeds, use_cache=False, **inputs).last_hidden_state
        del embeds, inputs
        plain = hidden[:, before - 1 : -1] if work.gpu else hidden[:, :-1]
        states = (hidden[:, before:] if work.gpu else hidden) if each > 1 else plain
        dtype = torch.bfloat16 if work.autocast else hidden.dtype
        return FusedHead.apply(states.flatten(0, 1), causal.get_output_embeddings().weight, dtype, work.gpu)


def _packing(work: Work) -> tuple[int, int]:
    """Rows that the language layers read, and the completions in each."""
    if not work.shared or work.group == 1 or work.rows == 1:
        return work.rows, 1
    rows = -(-work.rows // work.group)
    return rows, work.rows // rows


def _masks(causal: Any, rows: int, before: int, each: int, completion: int) -> dict[str, Any]:
    """What packed rows of prompts and completions get beside their embeddings, or plain rows."""
    if each == 1:
        return {"attention_mask": torch.ones(rows, before + completion, dtype=torch.long)}
    packed_rows.enable(causal)
    known = torch.ones(rows, before, dtype=torch.bool)
    seen = torch.ones(rows, each, completion, dtype=torch.bool)
    layout = packed_rows.layout(known, seen)
    return {"attention_mask": layout.masks[None][0], "shared": layout}


def _cast(enabled: bool) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    model.eval()
    yield
    model.train()


def weights(model: Any, *, reference: bool) -> dict[str, int]:
    """Bytes of what is always there: base, adapter, and the reference of a policy with `beta`.

    The reference of an adapter is another adapter of the same size; that of a whole model a second model.
    """
    own = dict(model.named_parameters())
    mine = sum(tensor.nbytes for name, tensor in own.items() if f".{adapter.NAME}." in name)
    total = sum(tensor.nbytes for tensor in own.values())
    second = (mine if hasattr(model, "peft_config") else total) if reference else 0
    return {"base": total - mine, "adapter": mine, "reference": second}
