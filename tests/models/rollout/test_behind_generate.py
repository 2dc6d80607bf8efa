"""The loop behind the library's `generate`: its tokens, its warpers, and where the library's own runs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from chexphi.models.policy import load
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.rollout.native import Rollouts
from chexphi.models.shared_prompts import read_prompts

QUESTIONS = ["Is there an opacity?", "Is there an opacity?", "What is seen in the left upper zone?"]
LENGTH = 10


@pytest.fixture(scope="module")
def pair(tiny_folder: Path) -> Any:
    return load(tiny_folder)


@pytest.fixture(scope="module")
def inputs(pair: Any, film: Any) -> dict[str, Any]:
    model, processor = pair
    films = [[film(1)], [film(1)], [film(2)]]
    return read_prompts.encode(model, processor, QUESTIONS, films)[1]


def completions(pair: Any, inputs: Any, rollouts: Rollouts | None, **settings: Any) -> list[list[int]]:
    model, _ = pair
    model.rollouts = rollouts
    if rollouts:
        rollouts.begin_call(1, 3, first_row=0)
    with read_prompts.evaluating(model):
        rows = model.generate(**inputs, max_new_tokens=LENGTH, **settings)
    model.rollouts = None
    return rows[:, inputs["input_ids"].shape[1] :].tolist()


def rollouts(drafts: int = 3) -> Rollouts:
    return Rollouts(7, Drafter(DraftLimits(0.01, drafts), share_right=0.9))


def test_greedy_tokens_are_the_library_s(pair: Any, inputs: Any) -> None:
    plain = completions(pair, inputs, None, do_sample=False)
    assert completions(pair, inputs, rollouts(), do_sample=False) == plain


@pytest.mark.parametrize(
    "settings", [{}, {"top_k": 5}, {"top_p": 0.6, "temperature": 1.4}, {"min_p": 0.05, "temperature": 0.7}]
)
def test_samples_are_those_of_one_row_alone(pair: Any, inputs: Any, settings: Any) -> None:
    settings = {"do_sample": True, "top_k": 0} | settings
    together = completions(pair, inputs, rollouts(), **settings)
    assert completions(pair, inputs, rollouts(0), **settings) == together
    assert together[0] != together[1]  # the same prompt, another row
    last = {name: values[2:] for name, values in inputs.items()}
    own = rollouts()
    own.begin_call(1, 3, first_row=0)
    model, _ = pair
    model.rollouts, own.first_row = own, 2
    with read_prompts.evaluating(model):
        alone = model.generate(**last, max_new_tokens=LENGTH, **settings)
    model.rollouts = None
    assert alone[:, last["input_ids"].shape[1] :].tolist()[0] == together[2][: alone.shape[1]]


def test_a_call_has_numbers_of_its_own(pair: Any, inputs: Any) -> None:
    again = rollouts()
    first, second = (completions(pair, inputs, again, do_sample=True, top_k=0) for _ in range(2))
    assert first != second
    assert again.call == (1, 3, 1)
    assert completions(pair, inputs, rollouts(), do_sample=True, top_k=0) == first


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"repetition_penalty": 1.3}, "RepetitionPenaltyLogitsProcessor looks at earlier tokens"),
        ({"min_new_tokens": 3}, "looks at earlier tokens"),
        ({"max_time": 1000.0}, "MaxTimeCriteria may end a completion"),
        ({"num_beams": 2}, "generation is by beam_search"),
        ({"return_dict_in_generate": True}, "the cache is not ours"),
    ],
)
def test_the_library_runs_where_ours_would_not_be_exact(
    pair: Any, inputs: Any, settings: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    model, _ = pair
    with read_prompts.evaluating(model):
        expected = model.generate(**inputs, max_new_tokens=4, do_sample=False, **settings)
        model.rollouts = rollouts()
        with caplog.at_level(logging.WARNING):
            found = [
                model.generate(**inputs, max_new_tokens=4, do_sample=False, **settings) for _ in range(2)
            ]
    model.rollouts = None
    for result in found:
        assert torch.equal(getattr(result, "sequences", result), getattr(expected, "sequences", expected))
    said = [record.getMessage() for record in caplog.records if "sampled by the library" in record.message]
    assert len(said) == 1
    assert reason in said[0]


def test_a_completion_ends_with_the_library_s_padding(pair: Any, inputs: Any) -> None:
    torch.manual_seed(0)
    rows = completions(pair, inputs, rollouts(), do_sample=True, top_k=0, temperature=3.0)
    assert {len(row) for row in rows} == {max(map(len, rows))}
