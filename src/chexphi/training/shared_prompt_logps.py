"""Log-probabilities of a batch with each distinct prompt, its films included, read once.

The same values as TRL's `_get_per_token_logps_and_entropies`, through the same call of the model; the passes
of the policy, the old policy and the reference all go through it. A batch in which no prompt comes twice is
read plainly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from chexphi.models import longrope
from chexphi.models.families.family import PolicyModel
from chexphi.models.families.film_features import FeatureCache
from chexphi.models.shared_prompts import packed_rows
from chexphi.models.shared_prompts.packed_rows import PackedRows
from chexphi.models.shared_prompts.row_inputs import TOKEN_TYPES, films_of_rows
from chexphi.models.shared_prompts.same_prompts import same_prompts

PlainPass = Callable[..., tuple[Tensor, Tensor | None, Tensor | None]]
"""TRL's method: log-probabilities, entropies and a loss of experts, of completions (rows, length)."""


class LogProbabilities(NamedTuple):
    """Of the completions of a batch, and how the batch was read."""

    logps: Tensor
    """(rows, length)."""
    entropies: Tensor | None
    """(rows, length); None where they were not wanted."""
    packed_batches: list[PackedRows | None]
    """How each batch was packed; None for one that was read plainly. Empty if TRL read them all."""
    expert_loss: Tensor | None = None
    """TRL's third value, which no model here has."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads batches of one model with shared prompts."""

    plain_pass: PlainPass
    """TRL's method, for batches that are not packed."""
    autocast: Callable[[], AbstractContextManager[Any]]
    """The context in which the model is called."""
    causal: PolicyModel
    """The causal model, without PEFT around it."""

    def read(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        num_images: list[int] | None = None,
        **inputs: Any,
    ) -> LogProbabilities:
        """Log-probabilities and entropies of completions.

        Args:
            model: As the trainer calls it.
            input_ids: Left-padded prompts and right-padded completions, (rows, prompt + length).
            attention_mask: 1 for tokens and 0 for padding, (rows, prompt + length).
            logits_to_keep: Length of the completions.
            batch_size: Rows at a time; None is all.
            compute_entropy: Whether entropies are wanted.
            num_images: Films of each row.
            inputs: Of films and tokens, and whatever else TRL passes.
        """
        film_counts = num_images or [0] * len(input_ids)
        batch = self._batch_of(input_ids, attention_mask, logits_to_keep, film_counts, inputs)
        if batch is None:
            logps, entropies, expert_loss = self.plain_pass(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy,
                num_images=num_images, **inputs,
            )  # fmt: skip
            return LogProbabilities(logps, entropies, [], expert_loss)
        results = [
            self._read_batch(model, micro_batch, compute_entropy) for micro_batch in batch.split(batch_size)
        ]
        all_logps, all_entropies, packed = (list(column) for column in zip(*results, strict=True))
        return LogProbabilities(
            torch.cat(all_logps), torch.cat(all_entropies) if compute_entropy else None, packed
        )

    def _batch_of(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        completion_length: int,
        film_counts: list[int],
        inputs: Mapping[str, Any],
    ) -> _Batch | None:
        """The rows with their films; None if TRL passes something that is not understood here."""
        film_inputs = self.causal.film_inputs
        inputs_set = {
            name: value for name, value in inputs.items() if value is not None and value is not False
        }
        tensors = {name: value for name, value in inputs_set.items() if name not in film_inputs or len(value)}
        films = self.causal.single_films(tensors)
        understood = tensors.keys() <= {*TOKEN_TYPES, *film_inputs}
        if not understood or any(len(values) != sum(film_counts) for values in films.values()):
            return None
        return _Batch(input_ids, attention_mask, completion_length, film_counts, films, tensors)

    def _read_batch(
        self, model: Any, batch: _Batch, compute_entropy: bool
    ) -> tuple[Tensor, Tensor | None, PackedRows | None]:
        """Log-probabilities and entropies (rows, length) of a batch, and how it was packed if it was."""
        packed, films = _pack(self.causal, batch)
        if packed is None:
            logps, entropies, _ = self.plain_pass(
                model,
                batch.input_ids,
                batch.attention_mask,
                batch.completion_length,
                compute_entropy=compute_entropy,
                num_images=batch.film_counts,
                **batch.film_inputs,
                **batch.token_types,
            )
            return logps, entropies, None
        with self.autocast():
            output = model(**packed.inputs, **films, fused_lm_head=True)
        entropies = packed.unpack(output.entropy) if compute_entropy else None
        return packed.unpack(output.log_probs), entropies, packed


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of prompts and completions with their films."""

    input_ids: Tensor
    """(rows, prompt + length)."""
    attention_mask: Tensor
    """(rows, prompt + length)."""
    completion_length: int
    film_counts: list[int]
    """Films of each row."""
    single_films: Mapping[str, Sequence[Tensor]]
    """The inputs that belong to films, one tensor a film."""
    tensors: Mapping[str, Any]
    """The same inputs as one tensor each for all films, and token types, int (rows, prompt + length)."""

    @property
    def film_inputs(self) -> dict[str, Tensor]:
        """One tensor for all films of the batch; empty without films."""
        return {name: self.tensors[name] for name in self.single_films if any(self.film_counts)}

    @property
    def token_types(self) -> dict[str, Tensor]:
        """int (rows, prompt + length) each."""
        return {name: self.tensors[name] for name in TOKEN_TYPES if name in self.tensors}

    def split(self, size: int | None) -> list[_Batch]:
        """The rows in batches of at most `size`; None is one batch."""
        first_film = [0, *accumulate(self.film_counts)]
        size = size or len(self.input_ids)
        batches = []
        for start in range(0, len(self.input_ids), size):
            rows = slice(start, start + size)
            numbers = slice(first_film[start], first_film[min(start + size, len(self.input_ids))])
            tensors = {name: values[rows] for name, values in self.token_types.items()}
            for name, films in self.single_films.items():
                tensors[name] = _view_of_films(self.tensors[name], films, numbers)
            batches.append(
                _Batch(
                    self.input_ids[rows],
                    self.attention_mask[rows],
                    self.completion_length,
                    self.film_counts[rows],
                    {name: films[numbers] for name, films in self.single_films.items()},
                    tensors,
                )
            )
        return batches


def _view_of_films(all_films: Tensor, single_films: Sequence[Tensor], numbers: slice) -> Tensor:
    """Some films of the tensor of all films, (patches or films, ...), not copied."""
    start = sum(map(len, single_films[: numbers.start]))
    return all_films[start : start + sum(map(len, single_films[numbers]))]


def _pack(causal: PolicyModel, batch: _Batch) -> tuple[PackedRows | None, dict[str, Tensor]]:
    """The packed rows, None where sharing saves nothing or is not exact, and the inputs of their films."""
    config = causal.config.get_text_config()
    length = batch.input_ids.shape[1]
    limit, prompt_length = longrope.limit_of(config), length - batch.completion_length
    if prompt_length < 2 or batch.completion_length < 1 or length - 1 == limit:
        return None, {}  # the last token is not read in packed rows, and here it would change all factors
    distinct = same_prompts(
        batch.input_ids[:, :prompt_length],
        batch.attention_mask[:, :prompt_length],
        batch.film_counts,
        list(batch.single_films.values()),
    )
    if distinct.all_differ:
        return None, {}
    films = films_of_rows(distinct.first_rows, batch.film_counts, batch.single_films)
    tokens = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, **batch.token_types}
    prompts = {name: values[distinct.first_rows, :prompt_length] for name, values in tokens.items()} | films
    packed = packed_rows.pack(
        batch.input_ids,
        batch.attention_mask,
        batch.completion_length,
        distinct,
        positions=causal.row_positions(prompts),
        window=getattr(config, "sliding_window", None),
        bidirectional=causal.both_ways(prompts),
    )
    return packed, films


def keep_films(causal: Any, reference: Any, *, sharded: bool) -> FeatureCache | None:
    """Let policy and reference keep the features of films together where the tower is frozen.

    Args:
        causal: The policy without PEFT around it.
        reference: A whole model as reference; None if there is none.
        sharded: Whether weights are split between processes: those read films together, or wait for each
            other.

    Returns:
        What to clear before a step; None if nothing is kept, or for the whole run.
    """
    for_whole_run, features = causal.tower.features is not None, causal.tower.features
    if features is None and not sharded:
        features = causal.tower.features = FeatureCache()
    if reference is not None:
        reference.tower.features = None if causal.tower.learns else features
    return None if for_whole_run else features
