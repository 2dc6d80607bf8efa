"""The rollout loop behind the library's `generate`, where a trainer calls it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.generation import logits_process, stopping_criteria
from transformers.generation.configuration_utils import GenerationMode
from transformers.generation.utils import GENERATION_MODES_MAPPING

from chexphi.models.longrope import limit_of
from chexphi.models.rollout.drafting import Drafter
from chexphi.models.rollout.loop import decode
from chexphi.models.rollout.numbers import RowNumbers
from chexphi.models.rollout.recording import Recorder
from chexphi.models.rollout.sampling import TokenSampler
from chexphi.models.shared_prompts import prefill, read_prompts, row_inputs
from chexphi.models.shared_prompts.dropout import has_dropout

logger = logging.getLogger(__name__)

_WITHOUT_HISTORY = (
    logits_process.TemperatureLogitsWarper,
    logits_process.TopKLogitsWarper,
    logits_process.TopPLogitsWarper,
    logits_process.MinPLogitsWarper,
    logits_process.TypicalLogitsWarper,
    logits_process.EpsilonLogitsWarper,
    logits_process.EtaLogitsWarper,
    logits_process.SuppressTokensLogitsProcessor,
    logits_process.InfNanRemoveLogitsProcessor,
    logits_process.LogitNormalization,
)
"""Logits processors that look at the scores of one token alone."""
_LENGTH_AND_END = (stopping_criteria.MaxLengthCriteria, stopping_criteria.EosTokenCriteria)


@dataclass
class Rollouts:
    """How a policy's `generate` samples: by fixed numbers, with drafts.

    The model has it as `rollouts`, because the library's `generate` passes nothing of ours on.
    """

    seed: int
    drafter: Drafter
    call: tuple[int, int, int] = (-1, -1, 0)
    """What tells the next call from all others of the run: mode, step, and number in this step."""
    recorder: Recorder | None = None
    """Lets rows decode in static buffers, so that steps can be recorded."""
    first_row: int = 0
    """The number of the next call's first row among the rows of all processes."""
    _reasons_told: set[str] = field(default_factory=set)

    def begin_call(self, mode: int, step: int, *, first_row: int) -> None:
        """Say which rows of the run the next call samples.

        Args:
            mode: 1 in training, 0 in evaluation.
            step: Of the optimiser.
            first_row: The number of its first row among the rows of all processes.
        """
        repeats = self.call[2] + 1 if self.call[:2] == (mode, step) else 0
        self.call, self.first_row = (mode, step, repeats), first_row

    def sample(
        self,
        model: Any,
        input_ids: Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> Tensor:
        """What the library calls as `custom_generate`; ids of prompts and completions, (rows, length).

        Where drafts would change samples, or cannot be verified, the library's own loop runs, and a warning
        says why, once.
        """
        reason = why_plain(model, input_ids, logits_processor, stopping_criteria, generation_config)
        if reason is not None:
            if reason not in self._reasons_told:
                logger.warning("rollouts are sampled by the library, one token a forward: %s", reason)
            self._reasons_told.add(reason)
            library_loop = getattr(model, GENERATION_MODES_MAPPING[generation_config.get_generation_mode()])
            return library_loop(
                input_ids, logits_processor=logits_processor, stopping_criteria=stopping_criteria,
                generation_config=generation_config, **model_kwargs,
            )  # fmt: skip
        max_new_tokens = generation_config.max_length - input_ids.shape[1]
        prompts_read, prompt_of_row = _read(model, input_ids, generation_config, model_kwargs)
        ends = frozenset(torch.as_tensor(generation_config.eos_token_id).flatten().tolist())
        rows = decode(
            model, prompts_read, prompt_of_row,
            self._sampler(len(input_ids), logits_processor, generation_config.do_sample, input_ids.device),
            self.drafter, ends=ends, max_new_tokens=max_new_tokens, recorder=self.recorder,
        )  # fmt: skip
        length = max(len(row.ids) for row in rows)
        completions = input_ids.new_full((len(rows), length), int(generation_config._pad_token_tensor))
        for row, completion in enumerate(rows):
            completions[row, : len(completion.ids)] = torch.tensor(completion.ids)
        return torch.cat([input_ids, completions], dim=1)

    def _sampler(self, count: int, logits_processor: Any, do_sample: bool, device: Any) -> TokenSampler:
        keys = [(*self.call, self.first_row + row) for row in range(count)]
        self.first_row += count
        numbers = RowNumbers.of(self.seed, keys, device) if do_sample else None
        return TokenSampler(numbers, warp=Processors(logits_processor))


class Processors:
    """Logits processors as a warper; equal to others with the same classes and settings.

    Args:
        processors: The library's list, of `_WITHOUT_HISTORY`.
    """

    def __init__(self, processors: Any) -> None:
        self._processors = processors
        self._settings = repr(
            [
                (type(processor).__name__, {k: _plain(v) for k, v in vars(processor).items()})
                for processor in processors
            ]
        )

    def __call__(self, scores: Tensor) -> Tensor:
        """Scores (rows, vocabulary) -> scores."""
        return self._processors(None, scores)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Processors) and self._settings == other._settings

    def __hash__(self) -> int:
        return hash(self._settings)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, Tensor) else value


def _read(
    model: Any, input_ids: Tensor, config: Any, model_kwargs: dict[str, Any]
) -> tuple[read_prompts.PromptsRead, Tensor]:
    """Read the distinct prompts; also the prompt of each row. No copy of their films outlives this call."""
    sharing = model.prompt_sharing
    to_read = None
    if sharing.why_not is None:
        to_read = prefill.distinct_prompts(model, input_ids, config, model_kwargs, sharing)
    given = model_kwargs if to_read is None else to_read.inputs
    every_row = torch.arange(len(input_ids), device=input_ids.device)
    first_rows, prompt_of_row = (every_row, every_row) if to_read is None else to_read.prompts
    ids = input_ids[first_rows]
    names = ("attention_mask", *row_inputs.TOKEN_TYPES, *model.film_inputs)
    inputs = {name: given[name] for name in names if given.get(name) is not None}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **inputs}
    prefixes = read_prompts.find_prefixes(model, inputs, room=config.max_length - input_ids.shape[1])
    return read_prompts.read(model, inputs, prefixes), prompt_of_row


def why_plain(model: Any, input_ids: Tensor, processors: Any, criteria: Any, config: Any) -> str | None:
    """Why the library's own loop has to run; None where ours may.

    Args:
        model: The policy.
        input_ids: int (rows, length).
        processors: The logits processors of this generation.
        criteria: Its stopping criteria.
        config: Of this generation.
    """
    processor = next((item for item in processors if not isinstance(item, _WITHOUT_HISTORY)), None)
    if processor is not None:
        return f"{type(processor).__name__} looks at earlier tokens"
    if criterion := next((item for item in criteria if not isinstance(item, _LENGTH_AND_END)), None):
        return f"{type(criterion).__name__} may end a completion"
    if config.get_generation_mode() not in (GenerationMode.SAMPLE, GenerationMode.GREEDY_SEARCH):
        return f"generation is by {config.get_generation_mode().value}"
    if config.return_dict_in_generate or config.cache_implementation not in (None, "dynamic"):
        return "the cache is not ours"
    if model.training and has_dropout(model):
        return "the model uses dropout"
    limit = limit_of(model.config)
    if limit is not None and config.max_length > limit:
        return f"completions may cross the {limit} positions at which this model changes its position factors"
    return None
