"""The log-probability that a policy gives to continuations of prompts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from PIL import Image
from torch import Tensor

from chexphi.models.longrope import limit_of, split_at_limit
from chexphi.models.shared_prompts import read_prompts
from chexphi.models.shared_prompts.common_prefix import saves_enough
from chexphi.models.shared_prompts.row_inputs import TOKEN_TYPES


def sequence_logprobs(
    model: Any,
    processor: Any,
    questions: Sequence[str],
    images: Sequence[Sequence[Image.Image]],
    continuations: Sequence[str],
) -> list[float]:
    """log p(continuation | prompt) of each row, in fp32, from one teacher-forced batch.

    No end token is added: append `<|end|>` to a continuation to score a finished answer. Logits of shape
    (rows, longest continuation + 1, vocabulary) are in memory: split a large batch.
    """
    if not questions:
        return []
    token_ids = [processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in continuations]
    prompt_numbers: dict[Any, int] = {}
    prompt_of_row = [
        prompt_numbers.setdefault((question, tuple(map(id, films))), len(prompt_numbers))
        for question, films in zip(questions, images, strict=True)
    ]
    first_rows = [prompt_of_row.index(number) for number in range(len(prompt_numbers))]
    with read_prompts.evaluating(model):
        _, inputs = read_prompts.encode(
            model, processor, [questions[i] for i in first_rows], [images[i] for i in first_rows]
        )
        targets = Targets.padded(token_ids, prompt_of_row, inputs["input_ids"].device)
        lengths = inputs["attention_mask"].sum(1)[targets.prompt_of_row] + targets.mask.sum(1)
        score = functools.partial(sequence_logprobs, model, processor)
        logprobs = split_at_limit(model.config, lengths, score, questions, images, continuations)
        if logprobs is not None:
            return logprobs
        per_token_logprobs = _target_logprobs(model, inputs, targets, longest=int(lengths.max()))
        return (per_token_logprobs * targets.mask).sum(1).tolist()


class Targets(NamedTuple):
    """Continuations of prompts, padded on the right."""

    token_ids: Tensor
    """(rows, tokens)."""
    mask: Tensor
    """1 for tokens and 0 for padding, (rows, tokens)."""
    prompt_of_row: Tensor
    """Number of each row's prompt, (rows,)."""

    @classmethod
    def padded(
        cls, token_ids: Sequence[list[int]], prompt_of_row: Sequence[int], device: torch.device
    ) -> Self:
        """Rows of ids as tensors."""
        width = max(map(len, token_ids))
        ids = [row + [0] * (width - len(row)) for row in token_ids]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in token_ids]
        return cls(
            torch.tensor(ids, device=device).long(),
            torch.tensor(mask, device=device).long(),
            torch.tensor(prompt_of_row, device=device),
        )


def _target_logprobs(model: Any, inputs: dict[str, Tensor], targets: Targets, *, longest: int) -> Tensor:
    """Log-probabilities (rows, tokens) of targets after their prompts.

    Args:
        model: The policy.
        inputs: Of the distinct prompts.
        targets: The continuations.
        longest: Tokens of the longest row, with its prompt.
    """
    token_ids, mask, prompt_of_row = targets
    width, prompt_ids, limit = token_ids.shape[1], inputs["input_ids"], limit_of(model.config)
    positions = model.prompt_positions(inputs)
    target_positions = positions[..., -1:] + 1 + torch.arange(width, device=token_ids.device)
    prefixes = read_prompts.find_prefixes(model, inputs, room=width)
    saves_reading = prefixes is not None or saves_enough(
        len(token_ids) * prompt_ids.shape[1], prompt_ids.numel()
    )
    crosses_limit = limit is not None and longest > limit
    if not (model.prompt_sharing.reads_once(model) and saves_reading) or crosses_limit:
        positions = torch.cat([positions, target_positions], dim=-1)[..., prompt_of_row, :]
        inputs = _extended(read_prompts.inputs_of_rows(model, inputs, prompt_of_row), token_ids, mask)
        logits = model(**inputs, position_ids=positions, logits_to_keep=width + 1).logits[:, :-1]
        return _gathered(logits, token_ids)
    prompts = read_prompts.read(model, inputs, prefixes).select(prompt_of_row)
    logprobs = _gathered(prompts.logits[:, None], token_ids[:, :1])
    if width < 2:
        return logprobs
    output = model(
        input_ids=token_ids[:, :-1],
        attention_mask=torch.cat([prompts.mask, mask[:, :-1]], dim=1),
        position_ids=target_positions[..., prompt_of_row, :-1],
        cache=prompts.cache,
        use_cache=True,
    )
    return torch.cat([logprobs, _gathered(output.logits, token_ids[:, 1:])], dim=1)


def _extended(inputs: dict[str, Tensor], ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The inputs with ids and mask (rows, tokens) of text after the prompts; it has token type 0."""
    types = dict.fromkeys(TOKEN_TYPES, torch.zeros_like(ids))
    text_inputs = {"input_ids": ids, "attention_mask": mask, **types}
    return {
        name: torch.cat([value, text_inputs[name]], dim=1) if name in text_inputs else value
        for name, value in inputs.items()
    }


def _gathered(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probabilities in fp32 of targets (rows, tokens), from logits (rows, tokens, vocabulary).

    The rows are computed one by one: the logits are large.
    """
    logprobs = [
        row.float().log_softmax(-1).gather(1, target[:, None])[:, 0]
        for row, target in zip(logits, targets, strict=True)
    ]
    return torch.stack(logprobs)
