"""Steps that a GPU records: `make test-gpu`. Not run yet, for want of a GPU."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from chexphi.models.policy import load
from chexphi.models.rollout import recording
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.rollout.native import Rollouts
from chexphi.models.rollout.recording import CudaCapture, Recorder
from chexphi.models.shared_prompts import read_prompts

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

QUESTIONS = ["Is there an opacity?"] * 3 + ["What is seen in the left upper zone?"] * 5


def sampled(pair: Any, recorder: Recorder | None, **settings: Any) -> list[list[int]]:
    model, processor = pair
    inputs = read_prompts.encode(model, processor, QUESTIONS, [[]] * len(QUESTIONS))[1]
    settings = {"do_sample": True, "top_k": 0, "temperature": 1.5, "max_new_tokens": 40} | settings
    model.rollouts = Rollouts(7, Drafter(DraftLimits(0.01, 3), share_right=0.9), recorder=recorder)
    with read_prompts.evaluating(model):
        rows = model.generate(**inputs, **settings)
    model.rollouts = None
    return rows[:, inputs["input_ids"].shape[1] :].tolist()


@pytest.fixture
def pair(tiny_folder: Path) -> Any:
    """In fp32 on the GPU, where sums hardly depend on the shapes of a batch."""
    return load(tiny_folder, dtype="float32", device="cuda")


@pytest.mark.parametrize("settings", [{}, {"do_sample": False, "temperature": None}, {"top_p": 0.8}])
def test_recorded_steps_sample_the_same(pair: Any, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(CudaCapture())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert sampled(pair, recorder, **settings) == sampled(pair, None, **settings)
    assert "not recorded" not in caplog.text
    assert recorder.recordings > 0


def test_changed_weights_are_read(pair: Any) -> None:
    """As an optimiser changes them; and in other places, where the steps are recorded again."""
    recorder = Recorder(CudaCapture())
    for change in (
        lambda weight: weight.data.mul_(1.5),
        lambda weight: setattr(weight, "data", weight * 1.5),
    ):
        for _ in range(3):
            assert sampled(pair, recorder) == sampled(pair, None)
        with torch.no_grad():
            change(pair[0].model.norm.weight)
        assert sampled(pair, recorder) == sampled(pair, None)
        assert recorder.recordings > 0


def test_a_step_that_waits_runs_as_it_is(
    pair: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    step = recording.step

    def waiting(*args: Any) -> torch.Tensor:
        samples = step(*args)
        samples.sum().item()
        return samples

    expected = sampled(pair, None)
    monkeypatch.setattr(recording, "step", waiting)
    recorder = Recorder(CudaCapture())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert sampled(pair, recorder) == expected
    assert caplog.text.count("not recorded") == 1
    assert recorder.recordings == 0
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
