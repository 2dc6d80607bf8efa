"""Completions of the whole loop, with drafts, come from the distribution of the library's plain sampling."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from chexphi.models.generate import generate
from chexphi.models.policy import load
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.shared_prompts import read_prompts

QUESTIONS = ["Is there an opacity?", "Where is the effusion?"]
SAMPLES, CALLS = 1000, 10
"""Of each question in a call: 20,000 completions."""
NEW_TOKENS, TEMPERATURE = 8, 0.2
LEAST_P = 0.001


@pytest.fixture(scope="module")
def pair(tiny_folder: Path) -> Any:
    """A policy that stops at one token in eight."""
    model, processor = load(tiny_folder)
    model.end_tokens = tuple(processor.tokenizer.get_vocab())[::8]
    return model, processor


def p_value(counts: Counter[int], other_counts: Counter[int]) -> float:
    """Of the chi-square test that as many counts come from one distribution; cells below 10 are one."""
    assert counts.total() == other_counts.total()
    cells = Counter[tuple[int, str]]()
    for cell in counts.keys() | other_counts.keys():
        name = cell if counts[cell] + other_counts[cell] >= 10 else -1
        cells[name, "ours"] += counts[cell]
        cells[name, "other"] += other_counts[cell]
    names = {name for name, _ in cells}
    pairs = torch.tensor([[cells[name, "ours"], cells[name, "other"]] for name in names], dtype=torch.double)
    statistic = ((pairs[:, 0] - pairs[:, 1]) ** 2 / pairs.sum(1)).sum()
    return float(torch.special.gammaincc(torch.tensor((len(names) - 1) / 2).double(), statistic / 2))


def ours(pair: Any, seed: int, drafter: Drafter) -> list[tuple[int, ...]]:
    groups = [
        group
        for call in range(CALLS)
        for group in generate(
            *pair, QUESTIONS, [[], []], samples=SAMPLES, temperature=TEMPERATURE, max_new_tokens=NEW_TOKENS,
            seed=1000 * seed + call, drafter=drafter,
        )
    ]  # fmt: skip
    return [sample.token_ids for group in groups for sample in group]


def of_library(pair: Any, seed: int) -> list[tuple[int, ...]]:
    """By torch's stream of random numbers, one token a forward."""
    model, processor = pair
    ends = processor.tokenizer.convert_tokens_to_ids(list(model.end_tokens))
    torch.manual_seed(seed)
    rows = []
    with read_prompts.evaluating(model):
        _, inputs = read_prompts.encode(model, processor, QUESTIONS, [[], []])
        for _ in range(CALLS):
            found = model.generate(
                **inputs, do_sample=True, temperature=TEMPERATURE, top_k=0, num_return_sequences=SAMPLES,
                max_new_tokens=NEW_TOKENS, eos_token_id=ends, suppress_tokens=list(model.placeholder_ids),
            )  # fmt: skip
            rows += found[:, inputs["input_ids"].shape[1] :].tolist()
    stops = [next((place + 1 for place, token in enumerate(row) if token in ends), len(row)) for row in rows]
    return [tuple(row[:stop]) for row, stop in zip(rows, stops, strict=True)]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_first_tokens_and_lengths_are_those_of_plain_sampling(pair: Any, seed: int) -> None:
    drafter = Drafter(DraftLimits(0.0, 4))
    completions, other_completions = ours(pair, seed, drafter), of_library(pair, seed)
    assert len(completions) == len(other_completions) == 20_000
    assert 0.35 < drafter.accepted / drafter.proposed < 0.65
    for measure in (lambda ids: ids[0], len):
        counts, other_counts = (Counter(map(measure, rows)) for rows in (completions, other_completions))
        assert len(counts) == NEW_TOKENS or measure is not len
        assert p_value(counts, other_counts) > LEAST_P


def test_another_distribution_is_told_apart() -> None:
    """The test can fail: one completion in fifty has another length."""
    lengths = Counter(dict.fromkeys(range(1, 9), 2500))
    assert p_value(lengths, lengths) == 1
    assert p_value(lengths, lengths + Counter({1: 400}) - Counter({8: 400})) < LEAST_P
