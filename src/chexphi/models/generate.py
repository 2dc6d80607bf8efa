"""Batched generation with the log-probability of every token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from chexphi import prompts
from chexphi.models.longrope import check_length, split_at_limit
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.rollout.loop import Completion, decode
from chexphi.models.rollout.numbers import RowNumbers
from chexphi.models.rollout.sampling import Temperature, TokenSampler
from chexphi.models.shared_prompts import read_prompts
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


def _sampler(
    model: Any, keys: Sequence[tuple[int, ...]], *, temperature: float, seed: int | None
) -> TokenSampler:
    """Of rows with these keys: greedy at temperature 0, else by fixed numbers."""
    if temperature == 0:
        return TokenSampler(None, tuple(model.placeholder_ids))
    if seed is None:
        seed = int(torch.randint(2**62, ()))
    numbers = RowNumbers.of(seed, keys, model.device)
    return TokenSampler(numbers, tuple(model.placeholder_ids), Temperature(temperature))


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
    numbers: Sequence[int] | None = None,
    drafter: Drafter | None = None,
) -> list[list[Generation]]:
    """Answer all questions in one batch; result [prompt][sample].

    A sample is a function of the seed, the number of its question and its own number. It does not depend on
    the other questions of the batch, nor on drafts.

    Args:
        model: The policy.
        processor: Its processor.
        questions: One a prompt.
        images: The films of each question, prior before current; `[]` for a question without films.
        max_new_tokens: The longest completion.
        temperature: 0 decodes greedily.
        samples: Completions of each question.
        seed: Of the samples; torch's own random state does not change. Without a seed, one is drawn from
            that state.
        numbers: Of the questions, by which their samples are drawn; by default their place in the batch.
        drafter: Proposes tokens, and learns from the completions of this batch.

    Raises:
        InputError: If a completion could cross the length at which LongRoPE changes its factors.
    """
    if not questions:
        return []
    numbers = range(len(questions)) if numbers is None else numbers
    tokenizer = processor.tokenizer
    end_ids = tokenizer.convert_tokens_to_ids(list(model.end_tokens))
    drafter = drafter or Drafter(DraftLimits.of(model.device.type))
    with read_prompts.evaluating(model):
        prompts, inputs = read_prompts.encode(model, processor, questions, images)

        def answer(*columns: Any) -> list[list[Generation]]:
            some_questions, some_images, some_numbers = columns
            return generate(
                model, processor, some_questions, some_images, numbers=some_numbers, drafter=drafter,
                max_new_tokens=max_new_tokens, temperature=temperature, samples=samples, seed=seed,
            )  # fmt: skip

        lengths = inputs["attention_mask"].sum(1)
        split_completions = split_at_limit(model.config, lengths, answer, questions, images, numbers)
        if split_completions is not None:
            return split_completions
        check_length(model.config, inputs["input_ids"].shape[1], max_new_tokens)
        prefixes = read_prompts.find_prefixes(model, inputs, room=max_new_tokens)
        prompts_read = read_prompts.read(model, inputs, prefixes)
        del inputs  # no film is needed while tokens are decoded
        keys = [(number, sample) for number in numbers for sample in range(samples)]
        prompt_of_row = torch.arange(len(prompts), device=model.device).repeat_interleave(samples)
        rows = decode(
            model, prompts_read, prompt_of_row, _sampler(model, keys, temperature=temperature, seed=seed),
            drafter, ends=frozenset(end_ids), max_new_tokens=max_new_tokens,
        )  # fmt: skip
    ids = {token for row in rows for token in row.ids}
    words = {token: tokenizer.decode([token], skip_special_tokens=False) for token in ids}
    return [
        [
            _generation(tokenizer, row, prompt, words, set(end_ids))
            for row in rows[i * samples : (i + 1) * samples]
        ]
        for i, prompt in enumerate(prompts)
    ]


def _generation(
    tokenizer: Any, row: Completion, prompt: str, words: dict[int, str], ends: set[int]
) -> Generation:
    return Generation(
        text=tokenizer.decode(row.ids, skip_special_tokens=True),
        token_ids=tuple(row.ids),
        tokens=tuple(words[token] for token in row.ids),
        logprobs=tuple(row.logprobs),
        truncated=row.ids[-1] not in ends,
        prompt=prompt,
    )
