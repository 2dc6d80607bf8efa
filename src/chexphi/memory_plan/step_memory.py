"""Memory of a training step by phase, from a dry run on tensors without data.

Every tensor that the real modules make is counted: saved activations, the extra ones of LoRA in its own type,
masks, softmax statistics, the vision tower with all its hidden states, what checkpointing computes again,
gradients as they come. Only what depends on data is written out here: the way of a film's features into the
prompt, and the loop of generation, of which the first and the last step are run.

Batches are assumed to be padded (without padding, attention needs no mask and less memory), and completions
to have the longest length. Not counted: CUDA's context, workspaces of libraries, fragmentation, buckets of
data-parallel training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from chexphi.memory_plan.blank_model import FusedHead, MemoryTally
from chexphi.memory_plan.film_memory import StepShape, causal_and_backbone, embeds_of, of_rows, pixels_of
from chexphi.models import adapter
from chexphi.models.shared_prompts import packed_rows
from chexphi.models.shared_prompts.kv_cache import RowGroups
from chexphi.models.shared_prompts.prefill import prepare_decoding_cache
from chexphi.models.shared_prompts.sharing import SharedPrompts


@dataclass(frozen=True, slots=True)
class PhaseMemory:
    """Bytes that a phase needs at its peak, beside what is always in memory."""

    own: int
    gradients: int = 0
    """Part of `own`."""
    cache: int = 0
    """Keys and values, part of `own`."""
    logits: int = 0
    """Of one token a row, part of `own`."""


def generation(model: Any, step: StepShape, *, autocast: bool) -> PhaseMemory:
    """The library's `generate` on a generation batch: the larger of reading the prompts and the last token.

    The logits of each token are copied in fp32, scaled, and turned into probabilities.

    Args:
        model: As `blank_model.blank_policy` returns it.
        step: The sizes of the step.
        autocast: Whether the model's own `forward` casts; that of an adapter's base does not.
    """
    causal, backbone = causal_and_backbone(model)
    pixels = pixels_of(model, step)
    with torch.no_grad(), _evaluating(model), MemoryTally(model, pixels) as tally:
        rows = step.generation_rows // step.group if step.shares_prompts else step.generation_rows
        with _cast(autocast):  # it keeps casts of weights for one forward
            embeds = embeds_of(model, step, of_rows(pixels, rows, step), rows, step.prompt, from_cache=False)
            cache = _decode(causal, backbone, embeds, DynamicCache(config=causal.config))[0]
        del embeds
        groups = None
        if rows < step.generation_rows:
            groups = RowGroups(torch.arange(rows).repeat_interleave(step.group), rows, step.group)
        held_prompts = prepare_decoding_cache(
            causal, cache, None, groups, step.prompt + step.completion, SharedPrompts()
        )
        _grow(cache, step.generation_rows, step.completion - 2)
        with _cast(autocast):
            embeds = backbone.embed_tokens(torch.zeros(step.generation_rows, 1, dtype=torch.long))
            cache, logits = _decode(causal, backbone, embeds, cache, held_prompts=held_prompts)
        layers = [(layer.keys, layer.values) for layer in cache.layers]
        layers += held_prompts.layers if held_prompts else ()
        size = sum(tensor.untyped_storage().nbytes() for layer in layers for tensor in layer)
        return PhaseMemory(own=tally.peak, cache=size, logits=logits)


def _decode(causal: Any, backbone: Any, embeds: Tensor, cache: Any, **inputs: Any) -> tuple[Any, int]:
    """Read embeddings (rows, length, hidden) and choose a token a row: the cache, and the bytes of logits."""
    mask = torch.ones(len(embeds), cache.get_seq_length() + embeds.shape[1], dtype=torch.long)
    output = backbone(inputs_embeds=embeds, attention_mask=mask, cache=cache, use_cache=True, **inputs)
    logits = causal.lm_head(output.last_hidden_state[:, -1:])
    scores = logits[:, -1].to(copy=True, dtype=torch.float32)
    torch.multinomial((scores / 0.9).softmax(-1), 1)
    return cache, logits.nbytes


def _grow(cache: Any, rows: int, tokens: int) -> None:
    """Make the cache as large as if this many tokens had been decoded."""
    for i, layer in enumerate(cache.layers):
        _, heads, _, width = layer.keys.shape
        cache.update(*(layer.keys.new_empty(rows, heads, tokens, width) for _ in (0, 1)), i)


def scoring(model: Any, step: StepShape, *, frozen: bool) -> PhaseMemory:
    """A pass without gradients over a micro-batch: that of the reference, or of the old policy.

    Args:
        model: As `blank_model.blank_policy` returns it.
        step: The sizes of the step.
        frozen: Whether nothing learns in the model of this pass, as in a reference that is a whole model.
            Autocast keeps the casts of weights that learn until the end of a pass, and no other casts.
    """
    pixels = pixels_of(model, step)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(not frozen)
    with torch.no_grad(), MemoryTally(model, pixels) as tally:
        _logps(model, step, pixels)
    for parameter in learning:
        parameter.requires_grad_(True)
    return PhaseMemory(own=tally.peak)


def learning(model: Any, step: StepShape) -> tuple[PhaseMemory, int]:
    """Forward and backward of a micro-batch, and the bytes of all gradients.

    With `trainable: all` the audio encoder gets no gradients, as no question has audio.
    """
    causal, _ = causal_and_backbone(model)
    if step.checkpointing:
        causal.activation_checkpointing_enable()
    pixels = pixels_of(model, step)
    with MemoryTally(model, pixels) as tally:
        if step.accumulating:
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
        _logps(model, step, pixels).sum().backward()
    gradients = sum(tensor.grad.nbytes for tensor in model.parameters() if tensor.grad is not None)
    model.zero_grad()
    if step.checkpointing:
        causal.activation_checkpointing_disable()
        causal.disable_input_require_grads()
    return PhaseMemory(own=tally.peak, gradients=tally.gradients), gradients


def _logps(model: Any, step: StepShape, pixels: Tensor | None) -> Tensor:
    """Log-probabilities (tokens,) of the completions, as TRL's patched forward computes them."""
    causal, backbone = causal_and_backbone(model)
    with _cast(step.autocast):
        rows, completions = _packing(step)
        packed = completions > 1
        prefix = step.prompt - 1 if packed else step.prompt  # a packed completion has the prompt's last token
        pixels = of_rows(pixels, rows, step) if packed else pixels
        from_cache = step.generates and not causal.tower.learns
        length = prefix + completions * step.completion
        embeds = embeds_of(model, step, pixels, rows, length, from_cache=from_cache)
        inputs = _masks(causal, rows, prefix, completions, step.completion)
        hidden = backbone(inputs_embeds=embeds, use_cache=False, **inputs).last_hidden_state
        del embeds, inputs
        if step.gpu:
            states = hidden[:, prefix:] if packed else hidden[:, prefix - 1 : -1]
        else:
            states = hidden if packed else hidden[:, :-1]
        dtype = torch.bfloat16 if step.autocast else hidden.dtype
        return FusedHead.apply(states.flatten(0, 1), causal.get_output_embeddings().weight, dtype, step.gpu)


def _packing(step: StepShape) -> tuple[int, int]:
    """The rows that the language layers read, and how many completions each of them holds."""
    if not step.shares_prompts or step.group == 1 or step.rows == 1:
        return step.rows, 1
    rows = -(-step.rows // step.group)
    return rows, step.rows // rows


def _masks(causal: Any, rows: int, prefix: int, completions: int, length: int) -> dict[str, Any]:
    """The inputs beside the embeddings: a mask, and the layout of rows that hold several completions.

    Args:
        causal: The causal model.
        rows: That the language layers read.
        prefix: Tokens of a prompt that come before the completions.
        completions: In each row.
        length: Of a completion in tokens.
    """
    if completions == 1:
        return {"attention_mask": torch.ones(rows, prefix + length, dtype=torch.long)}
    packed_rows.enable(causal)
    prefix_mask = torch.ones(rows, prefix, dtype=torch.bool)
    completion_mask = torch.ones(rows, completions, length, dtype=torch.bool)
    layout = packed_rows.make_layout(prefix_mask, completion_mask)
    return {"attention_mask": layout.masks[None][0], "packed_layout": layout}


def _cast(enabled: bool) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    model.eval()
    yield
    model.train()


def weights(model: Any, *, reference: bool) -> dict[str, int]:
    """Bytes of the weights that are always in memory: base, adapter, and the reference of a run with `beta`.

    The reference of an adapter is another adapter of the same size; that of a whole model is a second model.
    """
    parameters = dict(model.named_parameters())
    adapter_bytes = sum(tensor.nbytes for name, tensor in parameters.items() if f".{adapter.NAME}." in name)
    total = sum(tensor.nbytes for tensor in parameters.values())
    reference_bytes = (adapter_bytes if hasattr(model, "peft_config") else total) if reference else 0
    return {"base": total - adapter_bytes, "adapter": adapter_bytes, "reference": reference_bytes}
