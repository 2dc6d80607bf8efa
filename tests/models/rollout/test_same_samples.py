"""A sample depends on its seed, its row and its prompt: not on the batch, nor on drafts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import torch

from chexphi.models.generate import generate
from chexphi.models.policy import load
from chexphi.models.rollout.draft_table import Ids
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.rollout.numbers import RowNumbers
from chexphi.models.rollout.sampling import TokenSampler, on_host
from chexphi.schema import NotFiniteError

QUESTIONS = [f"Is there an opacity in zone {number}?" for number in range(6)]
COUNT = 16


@pytest.fixture(scope="module", params=["phi4_multimodal", *tiny_families.BUILDERS])
def pair(request: Any, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Gemma's window is made longer than its rows: in a shorter one they take no drafts."""
    return load(tiny_families.without_short_windows(request.param, tmp_path_factory) or tiny_folder)


class Oracle(Drafter):
    """Knows the completions, and is right about a token with a probability of its own."""

    def __init__(self, completions: list[tuple[int, ...]], chance_right: float, most: int) -> None:
        super().__init__(DraftLimits(0.0, most))
        self._completions, self._chance_right = completions, chance_right
        self._random = np.random.default_rng(0)

    def guesses(self, completions: Any, count: int) -> Ids:
        guesses = np.zeros((len(completions), count), np.int64)
        for row, ids in enumerate(completions):
            known = next((c for c in self._completions if c[: len(ids)] == tuple(ids)), ())
            following = list(known[len(ids) : len(ids) + count])
            guesses[row, : len(following)] = following
        return np.where(self._random.random(guesses.shape) < self._chance_right, guesses, 1)


def sampled(pair: Any, films: Any, rows: range, **settings: Any) -> list[tuple[int, ...]]:
    settings = {"max_new_tokens": COUNT, "temperature": 1.2, "samples": 3, "seed": 5} | settings
    groups = generate(
        *pair, [QUESTIONS[row] for row in rows], [films[row] for row in rows], numbers=list(rows), **settings
    )
    return [sample.token_ids for group in groups for sample in group]


@pytest.fixture(scope="module")
def films(film: Any) -> list[list[Any]]:
    return [[], [film(1)], [film(1)], [film(2, 20, 50), film(1)], [], [film(3)]]


@pytest.fixture(scope="module")
def together(pair: Any, films: Any) -> list[tuple[int, ...]]:
    """All questions in one batch, without drafts."""
    return sampled(pair, films, range(6), drafter=Drafter(DraftLimits(1.0, 0)))


def test_samples_do_not_depend_on_the_batch(pair: Any, films: Any, together: Any) -> None:
    alone = [ids for row in range(6) for ids in sampled(pair, films, range(row, row + 1))]
    in_pairs = [ids for row in (0, 2, 4) for ids in sampled(pair, films, range(row, row + 2))]
    assert alone == in_pairs == together
    assert len(set(together)) > 12
    assert sampled(pair, films, range(6), seed=6) != together


@pytest.mark.parametrize("most", [1, 3, 8])
@pytest.mark.parametrize("chance_right", [0.0, 0.6, 1.0])
def test_samples_do_not_depend_on_drafts(
    pair: Any, films: Any, together: Any, most: int, chance_right: float
) -> None:
    drafter = Oracle(together, chance_right, most)
    assert sampled(pair, films, range(6), drafter=drafter) == together
    longest = max(map(len, together))
    assert drafter.forwards <= longest
    if chance_right == 1:
        assert drafter.forwards <= -(-longest // (most + 1)) + 2
        assert drafter.accepted


def test_greedy_answers_do_not_depend_on_drafts(pair: Any, films: Any) -> None:
    plain = sampled(pair, films, range(6), temperature=0.0, samples=1, drafter=Drafter(DraftLimits(1.0, 0)))
    drafter = Oracle(plain, 0.7, 4)
    assert sampled(pair, films, range(6), temperature=0.0, samples=1, drafter=drafter) == plain


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("place", "vocabulary", "quantile"), [(0, 12, 27.9), (3, 150, 205.8)])
def test_tokens_are_drawn_from_the_distribution(
    seed: int, place: int, vocabulary: int, quantile: float
) -> None:
    """20,000 rows with one distribution; the 99.9 % quantiles of chi-square with 9 and 147 degrees."""
    torch.manual_seed(seed)
    scores = torch.randn(vocabulary) * 1.5
    scores[4] = -torch.inf
    rows = [(row, 0) for row in range(20_000)]
    sampler = TokenSampler(RowNumbers.of(seed, rows), forbidden=[7])
    logits = scores.expand(len(rows), 1, -1)
    tokens = sampler.tokens(logits, torch.full((len(rows), 1), place))[:, 0]
    expected = scores.index_fill(0, torch.tensor([7]), -torch.inf).softmax(0) * len(rows)
    counts = torch.bincount(tokens, minlength=vocabulary)
    assert counts[4] == counts[7] == 0
    likely = expected > 0
    assert float(((counts - expected)[likely] ** 2 / expected[likely]).sum()) < quantile


@pytest.mark.parametrize("spread", [1.0, 8.0])
def test_as_few_tokens_change_as_probabilities_do(spread: float) -> None:
    """Of other roundings: the share of tokens that change is near the distance of the distributions."""
    torch.manual_seed(1)
    logits = torch.randn(40_000, 1, 400) * spread
    rounded = logits + torch.randn(logits.shape) * 1e-3
    sampler = TokenSampler(RowNumbers.of(1, [(row,) for row in range(len(logits))]))
    tokens, other_tokens = (
        sampler.tokens(scores, torch.zeros(len(logits), 1, dtype=torch.long)) for scores in (logits, rounded)
    )
    distance = (logits.softmax(-1) - rounded.softmax(-1)).abs().sum(-1).mean() / 2
    assert 0 < (tokens != other_tokens).float().mean() < 5 * distance


def test_scores_without_a_distribution_stop() -> None:
    sampler = TokenSampler(RowNumbers.of(0, [(0, 0), (0, 1)]))
    logits = torch.zeros(2, 1, 5)
    positions = torch.zeros(2, 1, dtype=torch.long)
    tokens, logprobs = on_host(sampler.draw(logits, positions))
    assert tokens.shape == logprobs.shape == (2, 1)
    logits[1, 0, 3] = torch.nan
    with pytest.raises(NotFiniteError, match="scores of the next token are nan"):
        on_host(sampler.draw(logits, positions))
