"""Batched generation with the log-probability of every token."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from chexphi import prompts
from chexphi.models.longrope import check_length, divided
from chexphi.models.shared_prompts import read_prompts
from chexphi.models.shared_prompts.kv_cache import RowGroups
from chexphi.models.shared_prompts.prefill import prepare_decoding_cache
from chexphi.prompts import Parsed


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

    @property
    def opened_think(self) -> bool:
        """Whether the text begins inside the reasoning, which the prompt opened."""
        return prompts.opens_think(self.prompt)

    @property
    def parsed(self) -> Parsed:
        """Reasoning and answer."""
        return prompts.parse(self.text, truncated=self.truncated, opened_think=self.opened_think)


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

    A prompt is read and held once for all its samples, rows leave the batch as they end, and no more than one
    step of logits (rows, vocabulary) is held.
    """
    read = read_prompts.read(model, inputs, read_prompts.find_prefixes(model, inputs, room=max_new_tokens))
    place = torch.arange(len(read.mask), device=read.mask.device).repeat_interleave(samples)
    cache, logits, mask, last = (
        read.cache,
        read.logits[place],
        read.mask[place],
        read.last_position[..., place, :],
    )
    length = mask.shape[1] + max_new_tokens
    groups = RowGroups.of(place, len(read.mask)) if samples > 1 else None
    held_prompts = prepare_decoding_cache(model, cache, read.mask, groups, length, model.prompt_sharing)
    rows = torch.arange(len(place), device=place.device)
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
            held_prompts = held_prompts and held_prompts.select(going)
            rows, mask, chosen, last = rows[going], mask[going], chosen[going], last[..., going, :]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        last = last + 1
        output = model(
            input_ids=chosen[:, None],
            attention_mask=mask,
            position_ids=last,
            cache=cache,
            use_cache=True,
            **({} if held_prompts is None else {"held_prompts": held_prompts}),
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
    with read_prompts.evaluating(model):
        prompts, inputs = read_prompts.encode(model, processor, questions, images)
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
