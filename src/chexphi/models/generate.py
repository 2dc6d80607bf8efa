"""Batched generation with the log-probability of every token."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor

from chexphi import prompts
from chexphi.models.longrope import check_length, split_at_limit
from chexphi.models.shared_prompts import read_prompts
from chexphi.models.shared_prompts.kv_cache import HeldPrompts, RowGroups
from chexphi.models.shared_prompts.prefill import prepare_decoding_cache
from chexphi.models.shared_prompts.read_prompts import PromptsRead
from chexphi.prompts import Parsed


@dataclass(frozen=True, slots=True)
class Generation:
    """One completion. Its fields of tokens have the same length: with the end token, without padding."""

    text: str
    """The completion without special tokens."""
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Each id decoded by itself; a character that is split between two ids becomes U+FFFD."""
    logprobs: tuple[float, ...]
    """Log-probabilities under the model at temperature 1, in fp32, for any sampling temperature."""
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


@dataclass(slots=True)
class _UnfinishedRows:
    """The rows of a batch that have not ended, and what the model has read of them."""

    numbers: Tensor
    """Of the rows in the whole batch, (rows,)."""
    cache: Any
    held_prompts: HeldPrompts | None
    """Keys and values of prompts that several rows share; None if each row has its own in the cache."""
    mask: Tensor
    """1 where the cache holds a token, (rows, length)."""
    position: Tensor
    """Of the last token, (..., rows, 1)."""

    @classmethod
    def after(cls, model: Any, prompts_read: PromptsRead, prompt_of_row: Tensor, *, new_tokens: int) -> Self:
        """Rows that begin after prompts that the model has read; `prompt_of_row` is int (rows,)."""
        count, length = prompts_read.mask.shape
        groups = RowGroups.of(prompt_of_row, count) if len(prompt_of_row) > count else None
        held_prompts = prepare_decoding_cache(
            model, prompts_read.cache, prompts_read.mask, groups, length + new_tokens, model.prompt_sharing
        )
        return cls(
            numbers=torch.arange(len(prompt_of_row), device=prompt_of_row.device),
            cache=prompts_read.cache,
            held_prompts=held_prompts,
            mask=prompts_read.mask[prompt_of_row],
            position=prompts_read.last_position[..., prompt_of_row, :],
        )

    def keep(self, rows: Tensor) -> None:
        """Keep only some of the rows, int (kept,)."""
        self.cache.batch_select_indices(rows)
        self.held_prompts = self.held_prompts and self.held_prompts.select(rows)
        self.numbers, self.mask, self.position = (
            self.numbers[rows],
            self.mask[rows],
            self.position[..., rows, :],
        )

    def read(self, model: Any, token_ids: Tensor) -> Tensor:
        """Read one token of each row, (rows,); logits of the next one, (rows, vocabulary)."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        self.position = self.position + 1
        output = model(
            input_ids=token_ids[:, None],
            attention_mask=self.mask,
            position_ids=self.position,
            cache=self.cache,
            use_cache=True,
            **({} if self.held_prompts is None else {"held_prompts": self.held_prompts}),
        )
        return output.logits[:, -1]


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
    step of logits (rows, vocabulary) is in memory.
    """
    prefixes = read_prompts.find_prefixes(model, inputs, room=max_new_tokens)
    prompts_read = read_prompts.read(model, inputs, prefixes)
    prompt_of_row = torch.arange(len(prompts_read.mask), device=prompts_read.mask.device).repeat_interleave(
        samples
    )
    rows = _UnfinishedRows.after(model, prompts_read, prompt_of_row, new_tokens=max_new_tokens)
    logits = prompts_read.logits[prompt_of_row]
    sampled: list[list[tuple[int, float]]] = [[] for _ in range(len(prompt_of_row))]
    for step in range(max_new_tokens):
        logprobs_all = logits.float().log_softmax(-1)
        token_ids = _sample(logprobs_all, model.placeholder_ids, temperature, generator)
        logprobs = logprobs_all.gather(1, token_ids[:, None])[:, 0]
        steps = zip(rows.numbers.tolist(), token_ids.tolist(), logprobs.tolist(), strict=True)
        for row, token_id, logprob in steps:
            sampled[row].append((token_id, logprob))
        unfinished = (~torch.isin(token_ids, stop)).nonzero()[:, 0]
        if len(unfinished) == 0 or step + 1 == max_new_tokens:
            break
        if len(unfinished) < len(token_ids):
            rows.keep(unfinished)
            token_ids = token_ids[unfinished]
        logits = rows.read(model, token_ids)
    return sampled


def _sample(
    logprobs: Tensor, forbidden: Sequence[int], temperature: float, generator: torch.Generator | None
) -> Tensor:
    """Ids (rows,) from log-probabilities (rows, vocabulary): the most likely at temperature 0, else drawn."""
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
        model: The policy.
        processor: Its processor.
        questions: One a prompt.
        images: The films of each question, prior before current; `[]` for a question without films.
        max_new_tokens: The longest completion.
        temperature: 0 decodes greedily.
        samples: Completions of each question.
        seed: The same batch with the same seed has the same samples, and torch's own random state does not
            change. Without a seed, the samples are drawn from that state.

    Raises:
        InputError: If a completion could cross the length at which LongRoPE changes its factors.
    """
    if not questions:
        return []
    settings: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "samples": samples,
    }
    tokenizer = processor.tokenizer
    end_ids = tokenizer.convert_tokens_to_ids(list(model.end_tokens))
    generator = None if seed is None else torch.Generator(model.device).manual_seed(seed)
    with read_prompts.evaluating(model):
        prompts, inputs = read_prompts.encode(model, processor, questions, images)
        answer = functools.partial(generate, model, processor, seed=seed, **settings)
        lengths = inputs["attention_mask"].sum(1)
        if (completions := split_at_limit(model.config, lengths, answer, questions, images)) is not None:
            return completions
        check_length(model.config, inputs["input_ids"].shape[1], max_new_tokens)
        stop = torch.tensor(end_ids, device=model.device)
        rows = _decode(model, inputs, stop=stop, generator=generator, **settings)
    ids = {token for row in rows for token, _ in row}
    words = {token: tokenizer.decode([token], skip_special_tokens=False) for token in ids}
    return [
        [
            _generation(tokenizer, row, prompt, words, set(end_ids))
            for row in rows[i * samples : (i + 1) * samples]
        ]
        for i, prompt in enumerate(prompts)
    ]


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
