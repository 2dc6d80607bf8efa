"""Batched generation with the log-probability of every token, and the log-probability of given texts."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from chexphi.models.longrope import check_length, divided
from chexphi.prompts import messages


@dataclass(frozen=True, slots=True)
class Generation:
    """One completion. The three token fields have the same length: the end token counts, padding does not."""

    text: str
    """The completion without special tokens."""
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Each id decoded alone; a character cut in two shows as U+FFFD."""
    logprobs: tuple[float, ...]
    """Log-probabilities under the model at temperature 1, in fp32, whatever the sampling temperature."""
    truncated: bool
    """True if the length limit came before an end token."""
    prompt: str
    """The prompt as rendered, films as `<|image_1|>`."""


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode and no gradients; the model's mode is put back."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def _encode(
    model: Any, processor: Any, questions: Sequence[str], images: Sequence[Sequence[Image.Image]]
) -> tuple[list[str], dict[str, Tensor]]:
    """Rendered prompts, and the model's inputs with the prompts padded on the left."""
    prompts = [
        processor.apply_chat_template(messages(question, len(films)), add_generation_prompt=True)
        for question, films in zip(questions, images, strict=True)
    ]
    nested = [list(films) for films in images]
    inputs = processor(
        text=prompts,
        images=nested,
        padding=True,
        padding_side="left",
        add_special_tokens=False,
        return_tensors="pt",
    )
    return prompts, {name: value.to(model.device) for name, value in inputs.items()}


def _extended(inputs: dict[str, Tensor], ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The inputs with ids (rows, tokens) of text behind the prompts; what marks films there is 0."""
    types = {name: torch.zeros_like(ids) for name in ("token_type_ids", "mm_token_type_ids")}
    new = {"input_ids": ids, "attention_mask": mask, **types}
    return {
        name: torch.cat([value, new[name]], dim=1) if name in new else value for name, value in inputs.items()
    }


def _decode(
    model: Any,
    inputs: dict[str, Tensor],
    *,
    samples: int,
    max_new_tokens: int,
    temperature: float,
    stop: Tensor,
    generator: torch.Generator | None,
) -> list[list[tuple[int, float]]]:
    """(id, log-probability) pairs of each row; row = prompt * samples + sample.

    A prompt is read once for all its samples, rows leave the batch as they end, and no more than one step of
    logits (rows, vocabulary) is held.
    """
    mask, positions = inputs["attention_mask"], model.prompt_positions(inputs)
    output = model(**inputs, position_ids=positions, use_cache=True, logits_to_keep=1)
    cache, logits = output.cache, output.logits[:, -1].repeat_interleave(samples, 0)
    cache.batch_repeat_interleave(samples)
    mask = mask.repeat_interleave(samples, 0)
    last = positions[..., -1:].repeat_interleave(samples, -2)
    rows = torch.arange(len(logits), device=mask.device)
    found: list[list[tuple[int, float]]] = [[] for _ in rows]
    for step in range(max_new_tokens):
        logprobs = logits.float().log_softmax(-1)
        chosen = _choose(logprobs, model.placeholder_ids, temperature, generator)
        picked = logprobs.gather(1, chosen[:, None])[:, 0]
        for row, token, logprob in zip(rows.tolist(), chosen.tolist(), picked.tolist(), strict=True):
            found[row].append((token, logprob))
        going = (~torch.isin(chosen, stop)).nonzero()[:, 0]
        if len(going) == 0 or step + 1 == max_new_tokens:
            break
        if len(going) < len(rows):
            cache.batch_select_indices(going)
            rows, mask, chosen, last = rows[going], mask[going], chosen[going], last[..., going, :]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        last = last + 1
        output = model(
            input_ids=chosen[:, None],
            attention_mask=mask,
            position_ids=last,
            cache=cache,
            use_cache=True,
        )
        logits = output.logits[:, -1]
    return found


def _choose(
    logprobs: Tensor, forbidden: Sequence[int], temperature: float, generator: torch.Generator | None
) -> Tensor:
    """Ids (rows,) from log-probabilities (rows, vocabulary): the greatest at temperature 0, else sampled."""
    scores = logprobs.index_fill(1, torch.tensor(forbidden, device=logprobs.device), -torch.inf)
    if temperature == 0:
        return scores.argmax(-1)
    return torch.multinomial((scores / temperature).softmax(-1), 1, generator=generator)[:, 0]


def generate(
    model: Any,
    processor: Any,
    questions: Sequence[str],
    images: Sequence[Sequence[Image.Image]],
    *,
    max_new_tokens: int = 256,
    temperature: float = 0.0,
    samples: int = 1,
    seed: int | None = None,
) -> list[list[Generation]]:
    """Answer all questions in one batch; result [prompt][sample].

    Args:
        images: The films of each question, prior before current; none is `[]`.
        temperature: 0 decodes greedily.
        seed: Samples of the same batch under the same seed are the same, and torch's own random state stays
            untouched; without a seed the draws come from that state.

    Raises:
        InputError: The length limit crosses the model's LongRoPE switch.
    """
    if not questions:
        return []
    tokenizer = processor.tokenizer
    stop = torch.tensor(tokenizer.convert_tokens_to_ids(list(model.end_tokens)), device=model.device)
    generator = None if seed is None else torch.Generator(model.device).manual_seed(seed)
    with _evaluating(model):
        prompts, inputs = _encode(model, processor, questions, images)
        again = functools.partial(
            generate,
            model,
            processor,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            samples=samples,
            seed=seed,
        )
        lengths = inputs["attention_mask"].sum(1)
        if (apart := divided(model.config, lengths, again, questions, images)) is not None:
            return apart
        check_length(model.config, inputs["input_ids"].shape[1], max_new_tokens)
        rows = _decode(
            model,
            inputs,
            samples=samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            stop=stop,
            generator=generator,
        )
    words = _words(tokenizer, {token for row in rows for token, _ in row})
    ends = set(stop.tolist())
    return [
        [_generation(tokenizer, row, prompt, words, ends) for row in rows[i * samples : (i + 1) * samples]]
        for i, prompt in enumerate(prompts)
    ]


def _words(tokenizer: Any, ids: set[int]) -> dict[int, str]:
    return {token: tokenizer.decode([token], skip_special_tokens=False) for token in ids}


def _generation(
    tokenizer: Any, row: Sequence[tuple[int, float]], prompt: str, words: dict[int, str], ends: set[int]
) -> Generation:
    ids, logprobs = zip(*row, strict=True)
    return Generation(
        text=tokenizer.decode(ids, skip_special_tokens=True),
        token_ids=ids,
        tokens=tuple(words[token] for token in ids),
        logprobs=logprobs,
        truncated=ids[-1] not in ends,
        prompt=prompt,
    )


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
    with _evaluating(model):
        _, inputs = _encode(model, processor, questions, images)
        device = inputs["input_ids"].device
        targets = torch.tensor([row + [0] * (width - len(row)) for row in ids], device=device)
        real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=device)
        positions = model.prompt_positions(inputs)
        later = positions[..., -1:] + 1 + torch.arange(width, device=device)
        positions = torch.cat([positions, later], dim=-1)
        inputs = _extended(inputs, targets.long(), real.long())
        lengths = inputs["attention_mask"].sum(1)
        again = functools.partial(sequence_logprobs, model, processor)
        if (apart := divided(model.config, lengths, again, questions, images, continuations)) is not None:
            return apart
        logits = model(**inputs, position_ids=positions, logits_to_keep=width + 1).logits[:, :-1]
        return [
            (row.float().log_softmax(-1).gather(1, target[:, None])[:, 0] * kept).sum().item()
            for row, target, kept in zip(logits, targets.long(), real, strict=True)
        ]
