"""The policy's pass over completions, which TRL runs anyway, and the log-probabilities read off it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from trl.kernels.chunked_logprob import ChunkedLogProbFunction
from trl.trainer.utils import maybe_gather_lm_head_ctx

from chexphi.models.shared_prompts.packed_rows import PackedRows
from chexphi.training.shared_prompt_logps import LogProbabilities

VOCABULARY_TILE = 8192
"""Vocabulary entries at a time where log-probabilities are computed at temperature 1."""


@dataclass(slots=True)
class PolicyPass:
    """What is wanted of one pass of the policy, and what came out of it."""

    at_temperature_one: bool = False
    """Whether log-probabilities at temperature 1 are wanted, and the pass gives those at another one."""
    sampled_logps: Tensor | None = None
    """At the temperature of sampling, fp32 (rows, length); None until the pass has run."""
    logps: Tensor | None = None
    """At temperature 1 if that was wanted, fp32 (rows, length); None until the pass has run."""

    def run(
        self, read_batch: Callable[[], LogProbabilities], causal: Any, completion_ids: Tensor
    ) -> LogProbabilities:
        """Run the pass and keep its log-probabilities.

        Args:
            read_batch: Runs the pass.
            causal: The causal model, without PEFT around it.
            completion_ids: (rows, length).
        """
        if not self.at_temperature_one:
            result = read_batch()
            self.logps = self.sampled_logps = result.logps.detach().float()
            return result
        with hidden_states(causal) as states_by_batch:
            result = read_batch()
        self.sampled_logps = result.logps.detach().float()
        states = completion_states(states_by_batch, result.packed_batches, completion_ids.shape[1])
        self.logps = logps_at_temperature_one(states, causal.get_output_embeddings(), completion_ids)
        return result


@contextmanager
def hidden_states(causal: Any) -> Iterator[list[Tensor]]:
    """The last hidden states of every forward inside, (rows, length, hidden) each."""
    states: list[Tensor] = []
    hook = causal.base_model.register_forward_hook(
        lambda *call: states.append(call[2].last_hidden_state.detach())
    )
    try:
        yield states
    finally:
        hook.remove()


def completion_states(
    states_by_batch: Sequence[Tensor], packed_batches: Sequence[PackedRows | None], length: int
) -> Tensor:
    """The hidden states before each token of the completions, (rows, length, hidden).

    Args:
        states_by_batch: Of every forward, (rows, prompt + length, hidden).
        packed_batches: How each batch was packed; None for a plain one; empty if all are plain.
        length: Of the completions.
    """
    batches = zip(packed_batches or [None] * len(states_by_batch), states_by_batch, strict=True)
    return torch.cat(
        [packed.unpack(states) if packed else states[:, -length - 1 : -1] for packed, states in batches]
    )


def logps_at_temperature_one(states: Tensor, head: torch.nn.Linear, targets: Tensor) -> Tensor:
    """fp32 log-probabilities (rows, length) of ids (rows, length) from the states before them.

    Args:
        states: (rows, length, hidden).
        head: The output embeddings.
        targets: int (rows, length).
    """
    flat_states = states.flatten(0, 1).float()  # the kernel multiplies in this type
    weight: Any = head.weight
    if hasattr(weight, "full_tensor"):  # FSDP splits it between processes outside of a pass
        weight = weight.full_tensor()
    with torch.no_grad(), maybe_gather_lm_head_ctx(weight, head.bias):  # and ZeRO-3 holds none of it
        outputs = ChunkedLogProbFunction.apply(
            flat_states, weight, head.bias, targets.flatten(), 1.0, VOCABULARY_TILE, None, 1.0, ()
        )
    return outputs[0].float().view(targets.shape)
