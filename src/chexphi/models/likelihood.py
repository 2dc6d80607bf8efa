"""How probable a policy finds given texts: the log-probability of continuations of prompts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from chexphi.models.longrope import divided, limit_of
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
    (rows, longest continuation + 1, vocabulary) are held: split what is long.
    """
    if not questions:
        return []
    ids = [processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in continuations]
    width = max(map(len, ids))
    asked: dict[Any, int] = {}
    place = [
        asked.setdefault((question, tuple(map(id, films))), len(asked))
        for question, films in zip(questions, images, strict=True)
    ]
    first = [place.index(number) for number in range(len(asked))]
    with read_prompts.evaluating(model):
        _, inputs = read_prompts.encode(
            model, processor, [questions[i] for i in first], [images[i] for i in first]
        )
        device = inputs["input_ids"].device
        targets = torch.tensor([row + [0] * (width - len(row)) for row in ids], device=device).long()
        real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=device).long()
        rows = torch.tensor(place, device=device)
        lengths = inputs["attention_mask"].sum(1)[rows] + real.sum(1)
        again = functools.partial(sequence_logprobs, model, processor)
        if (apart := divided(model.config, lengths, again, questions, images, continuations)) is not None:
            return apart
        found = _continued(model, inputs, rows, targets, real, lengths)
        return (found * real).sum(1).tolist()


def _continued(
    model: Any, inputs: dict[str, Tensor], rows: Tensor, targets: Tensor, real: Tensor, lengths: Tensor
) -> Tensor:
    """Log-probabilities of targets (rows, tokens) behind prompts.

    Args:
        inputs: Of the distinct prompts.
        rows: Which of them each row has, (rows,).
        real: 1 for tokens of the targets and 0 for padding, (rows, tokens).
        lengths: Tokens of each row, its prompt's included, (rows,).
    """
    positions, width = model.prompt_positions(inputs), targets.shape[1]
    prompts, limit = inputs["input_ids"], limit_of(model.config)
    found = read_prompts.find_prefixes(model, inputs, room=width)
    fewer = found is not None or saves_enough(len(rows) * prompts.shape[1], prompts.numel())
    later = positions[..., -1:] + 1 + torch.arange(width, device=rows.device)
    if not (model.prompt_sharing.reads_once(model) and fewer) or (
        limit is not None and lengths.max() > limit
    ):
        positions = torch.cat([positions, later], dim=-1)[..., rows, :]
        inputs = _extended(read_prompts.inputs_of_rows(model, inputs, rows), targets, real)
        logits = model(**inputs, position_ids=positions, logits_to_keep=width + 1).logits[:, :-1]
        return _picked(logits, targets)
    read = read_prompts.read(model, inputs, found).select(rows)
    logprobs = _picked(read.logits[:, None], targets[:, :1])
    if width < 2:
        return logprobs
    output = model(
        input_ids=targets[:, :-1],
        attention_mask=torch.cat([read.mask, real[:, :-1]], dim=1),
        position_ids=later[..., rows, :-1],
        cache=read.cache,
        use_cache=True,
    )
    return torch.cat([logprobs, _picked(output.logits, targets[:, 1:])], dim=1)


def _extended(inputs: dict[str, Tensor], ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The inputs with ids (rows, tokens) of text behind the prompts; what marks films there is 0."""
    types = dict.fromkeys(TOKEN_TYPES, torch.zeros_like(ids))
    new = {"input_ids": ids, "attention_mask": mask, **types}
    return {
        name: torch.cat([value, new[name]], dim=1) if name in new else value for name, value in inputs.items()
    }


def _picked(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probabilities in fp32 of targets (rows, tokens), row by row: the logits are large."""
    picked = [
        row.float().log_softmax(-1).gather(1, target[:, None])[:, 0]
        for row, target in zip(logits, targets, strict=True)
    ]
    return torch.stack(picked)
