"""Rows in static buffers sample what rows of their own length do, in four families."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from chexphi.models.policy import load
from chexphi.models.rollout import recording
from chexphi.models.rollout.draft_table import Ids
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.rollout.native import Rollouts
from chexphi.models.rollout.recording import Recorder
from chexphi.models.shared_prompts import read_prompts

QUESTIONS = [f"Is there an opacity in zone {number}?" for number in (1, 1, 2, 1, 3, 2, 3, 1, 1)]
LENGTH = 20


@pytest.fixture(scope="module", params=["phi4_multimodal", *tiny_families.BUILDERS])
def pair(request: Any, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Gemma's window is made longer than its rows: in a shorter one no row decodes in static buffers."""
    return load(tiny_families.without_short_windows(request.param, tmp_path_factory) or tiny_folder)


class HalfRight(Drafter):
    """Proposes the tokens of completions that it knows, and every other time another one."""

    def __init__(self, completions: list[list[int]], most: int) -> None:
        super().__init__(DraftLimits(0.0, most))
        self._completions, self._random = completions, np.random.default_rng(0)

    def guesses(self, completions: Any, count: int) -> Ids:
        guesses = self._random.integers(1, 50, (len(completions), count))
        for row, ids in enumerate(completions):
            known = next((c for c in self._completions if c[: len(ids)] == list(ids)), [])
            following = known[len(ids) : len(ids) + count]
            is_told = self._random.random(len(following)) < 0.5
            guesses[row, : len(following)] = np.where(is_told, following, guesses[row, : len(following)])
        return guesses


def encoded(pair: Any, film: Any, questions: list[str]) -> dict[str, Any]:
    """Questions of different lengths; the same question has the same film."""
    films = [[film(len(question)), film(2, 20, 50)][: 1 + ("2" in question)] for question in questions]
    return read_prompts.encode(*pair, questions, films)[1]


def completions(
    pair: Any, inputs: dict[str, Any], drafter: Drafter, recorder: Recorder | None, **settings: Any
) -> list[list[int]]:
    model, _ = pair
    settings = {"do_sample": True, "top_k": 0, "temperature": 2.5, "max_new_tokens": LENGTH} | settings
    model.rollouts = Rollouts(7, drafter, recorder=recorder)
    model.rollouts.begin_call(1, 3, first_row=0)
    with read_prompts.evaluating(model):
        rows = model.generate(**inputs, **settings)
    model.rollouts = None
    return rows[:, inputs["input_ids"].shape[1] :].tolist()


def no_drafts() -> Drafter:
    return Drafter(DraftLimits(1.0, 0))


@pytest.mark.parametrize("most", [0, 1, 3, 7])
def test_the_same_tokens(pair: Any, film: Any, most: int) -> None:
    """Calls of other lengths, rows and prompts in turn, over the same buffers."""
    recorder = Recorder(None)
    for questions in (QUESTIONS, QUESTIONS[:4], ["Is it?"] * 3 + ["What is seen there?"], QUESTIONS):
        inputs = encoded(pair, film, questions)
        ragged = completions(pair, inputs, no_drafts(), None)
        drafter = HalfRight(ragged, most)
        assert completions(pair, inputs, drafter, recorder) == ragged
        assert len({tuple(row) for row in ragged}) > 2
        assert drafter.proposed > 0 or most == 0
        assert 0 < drafter.accepted < drafter.proposed or most == 0


def test_greedy_tokens_and_other_warpers(pair: Any, film: Any) -> None:
    inputs, recorder = encoded(pair, film, QUESTIONS), Recorder(None)
    for settings in ({"do_sample": False, "temperature": None}, {"top_p": 0.7}, {"top_k": 5}, {}):
        ragged = completions(pair, inputs, no_drafts(), None, **settings)
        assert completions(pair, inputs, HalfRight(ragged, 3), recorder, **settings) == ragged


def test_the_log_probabilities(pair: Any, film: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ragged rows and of static ones, as the loop gets them."""
    from chexphi.models.rollout import native

    logprobs: list[list[Any]] = []
    decode = native.decode

    def listening(*args: Any, **kwargs: Any) -> Any:
        rows = decode(*args, **kwargs)
        logprobs.append([row.logprobs for row in rows])
        return rows

    monkeypatch.setattr(native, "decode", listening)
    inputs = encoded(pair, film, QUESTIONS)
    for recorder in (None, Recorder(None)):
        completions(pair, inputs, Drafter(DraftLimits(0.01, 3), share_right=0.9), recorder)
    for ragged, static in zip(*logprobs, strict=True):
        assert static == pytest.approx(ragged, abs=1e-4)
        assert all(np.isfinite(static))


def test_rows_that_have_ended_leave_in_halves(pair: Any, film: Any) -> None:
    """Rows that end early: the forwards read fewer rows, and the tokens stay the same."""
    model, _ = pair
    inputs, recorder = encoded(pair, film, QUESTIONS), Recorder(None)
    rows_read = []

    def listen(module: Any, args: Any, kwargs: Any) -> None:
        rows_read.append(len(kwargs["input_ids"]))

    vocabulary = model.get_output_embeddings().out_features
    ends = list(range(0, vocabulary, 9))
    settings = {"eos_token_id": ends, "max_new_tokens": 60}
    ragged = completions(pair, inputs, no_drafts(), None, **settings)
    hook = model.register_forward_pre_hook(listen, with_kwargs=True)
    static = completions(pair, inputs, no_drafts(), recorder, **settings)
    hook.remove()
    assert static == ragged
    assert rows_read[1] == len(QUESTIONS)
    assert rows_read[-1] < len(QUESTIONS)
    assert set(rows_read[1:]) <= {len(QUESTIONS), 4, 2, 1}
    assert rows_read[1:] == sorted(rows_read[1:], reverse=True)


class Operations(TorchDispatchMode):
    """Notes the operations that run inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        is_filling = func is torch.ops.aten.lift_fresh.default and args[0].ndim == 0  # x[...] = number
        self.names |= set() if is_filling else {func.overloadpacket.__name__}
        return func(*args, **(kwargs or {}))


WAITS = {"_local_scalar_dense", "is_nonzero", "item", "nonzero", "equal", "masked_select", "unique"}
FROM_THE_HOST = {"lift_fresh", "lift_fresh_copy", "scalar_tensor"}


@pytest.mark.parametrize("settings", [{}, {"top_p": 0.7}, {"top_k": 5, "min_p": 0.1}, {"do_sample": False}])
def test_nothing_in_a_step_waits_or_comes_from_the_host(
    pair: Any, film: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Of the operations that run, as a GPU would record them."""
    step, operations = recording.step, Operations()

    def noted(*args: Any) -> Any:
        with operations:
            return step(*args)

    monkeypatch.setattr(recording, "step", noted)
    settings = settings if settings.get("do_sample", True) else settings | {"temperature": None}
    completions(pair, encoded(pair, film, QUESTIONS), HalfRight([], 3), Recorder(None), **settings)
    assert len(operations.names) > 30
    assert operations.names & (WAITS | FROM_THE_HOST) == set()
    with operations:  # what these words stand for is noted
        assert torch.zeros(1).any().item() == torch.tensor([0.0]).item()
    assert {"_local_scalar_dense", "lift_fresh"} <= operations.names


def test_the_buffers_stay_where_they_are(pair: Any, film: Any) -> None:
    """A call that needs no more room than an earlier one makes no new buffers."""
    recorder = Recorder(None)
    inputs = encoded(pair, film, QUESTIONS)
    completions(pair, inputs, no_drafts(), recorder)
    (first,) = recorder._buffers
    completions(pair, inputs, no_drafts(), recorder, max_new_tokens=5)
    assert recorder._buffers == [first]
    completions(pair, inputs, no_drafts(), recorder, max_new_tokens=200)
    (wider,) = recorder._buffers
    assert wider is not first
    assert wider.sizes.own_columns == 256
    assert wider.sizes.prompt_columns == first.sizes.prompt_columns
    assert torch.isfinite(wider._own_states[0][0]).all()
