"""The loop that samples completions: k drafts a row are verified by one forward.

A forward reads the last token of each row and its drafts. Tokens are sampled at all these places with the
numbers that belong to them, and count up to the first that is not the draft. So a draft, right or wrong,
changes no token: it only saves forwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chexphi.models.rollout.draft_table import NO_DRAFT, Ids
from chexphi.models.rollout.drafting import Drafter, right_counts
from chexphi.models.rollout.recording import Recorder
from chexphi.models.rollout.rows import Rows
from chexphi.models.rollout.sampling import TokenSampler, on_host
from chexphi.models.shared_prompts.read_prompts import PromptsRead

LEAVE_AT = 0.05
"""Rows that have ended leave when they are this share of the batch."""


@dataclass(slots=True)
class Completion:
    """What was sampled of one row, with the end token where there is one."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    """At temperature 1, whatever the temperature of sampling."""
    has_ended: bool = False

    def extend(self, ids: Sequence[int], logprobs: Sequence[float], ends: frozenset[int], limit: int) -> None:
        """Add tokens, up to an end token or the length limit; nothing to one that has ended."""
        for token, logprob in zip(ids, logprobs, strict=True):
            if self.has_ended:
                return
            self.ids.append(token)
            self.logprobs.append(logprob)
            self.has_ended = token in ends or len(self.ids) == limit


def decode(
    model: Any,
    prompts_read: PromptsRead,
    prompt_of_row: Tensor,
    sampler: TokenSampler,
    drafter: Drafter,
    *,
    ends: frozenset[int],
    max_new_tokens: int,
    recorder: Recorder | None = None,
) -> list[Completion]:
    """Sample a completion of each row.

    Args:
        model: The policy.
        prompts_read: The distinct prompts, read; their cache is used up.
        prompt_of_row: The prompt of each row, int (rows,).
        sampler: Of these rows.
        drafter: Proposes tokens, and learns from these completions.
        ends: Ids that end a completion.
        max_new_tokens: Of a completion, with its end token.
        recorder: Lets the rows decode in static buffers, so that steps can be recorded.
    """
    first_positions = torch.zeros_like(prompt_of_row)[:, None]
    tokens, logprobs = on_host(sampler.draw(prompts_read.logits[prompt_of_row][:, None], first_positions))
    call = (model, prompts_read, prompt_of_row, sampler)
    most_drafts = drafter.limits.most_drafts
    static_rows = recorder and recorder.begin(*call, new_tokens=max_new_tokens, most_drafts=most_drafts)
    rows = static_rows or Rows.after(*call, new_tokens=max_new_tokens)
    completions = [Completion() for _ in prompt_of_row]
    live = list(range(len(completions)))
    guesses = np.full((len(live), 1), NO_DRAFT, np.int64)
    while True:
        right = right_counts(guesses, tokens[:, : guesses.shape[1]])
        for at, row in enumerate(live):
            count = min(right[at] + 1, tokens.shape[1])
            ids, id_logprobs = tokens[at, :count].tolist(), logprobs[at, :count].tolist()
            completions[row].extend(ids, id_logprobs, ends, max_new_tokens)
        goes_on = np.array([not completions[row].has_ended for row in live])
        drafter.learn(right[goes_on], guesses.shape[1], drafts_read=tokens.shape[1] - 1)
        if not goes_on.any():
            break
        if goes_on.mean() <= 1 - LEAVE_AT:
            staying_rows = torch.from_numpy(moved_up(goes_on)).to(prompt_of_row.device)
            rows.keep(staying_rows)
            live = [live[at] for at in staying_rows.tolist()]
        longest = max(len(completions[row].ids) for row in live if not completions[row].has_ended)
        sampled = [completions[row].ids[:longest] for row in live]  # one that has ended reads no further
        count = rows.drafts(min(drafter.count(), max_new_tokens - longest - 1))
        guesses = drafter.guesses(sampled, max(1, count))
        tokens, logprobs = rows.sample(sampled, np.where(guesses == NO_DRAFT, 0, guesses)[:, :count])
    drafter.add(completion.ids for completion in completions)
    return completions


def moved_up(stays: NDArray[np.bool_]) -> Ids:
    """The rows that stay, int (kept,): the last of them in the places of those that leave.

    >>> moved_up(np.array([True, False, True, True])).tolist()
    [0, 3, 2]
    """
    count = int(stays.sum())
    order = np.arange(count)
    order[~stays[:count]] = count + stays[count:].nonzero()[0]
    return order
