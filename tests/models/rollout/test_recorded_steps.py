"""The step over static buffers can be recorded, and what happens where recording fails.

There is no GPU here. Steps are traced by torch's compiler, which refuses what a CUDA graph would. Where a
recording is needed, `Rerun` stands for `CudaCapture`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rerun_capture import Rerun

from chexphi.models import adapter, trainable
from chexphi.models.lora_names import TARGETS
from chexphi.models.policy import load
from chexphi.models.rollout import recording
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.rollout.native import Rollouts
from chexphi.models.rollout.recording import Recorder, Recording, why_not_static
from chexphi.models.shared_prompts import read_prompts
from chexphi.models.shared_prompts.sharing import SharedPrompts

QUESTIONS = ["Is there an opacity?"] * 3 + ["What is seen in the left upper zone?"] * 2
OTHER_QUESTIONS = ["Is it new?"] * 2 + ["Where is the nodule in this film of the chest?"] * 3
LENGTH = 24


@pytest.fixture
def pair(tiny_folder: Path) -> Any:
    """A policy with a LoRA that does something."""
    model, processor = load(tiny_folder)
    model = trainable.prepare(model, "vision_lora", targets=TARGETS, rank=4, alpha=8)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return adapter.unwrapped(model), processor


def sampled(pair: Any, questions: list[str], recorder: Recorder | None, **settings: Any) -> list[list[int]]:
    model, processor = pair
    inputs = read_prompts.encode(model, processor, questions, [[]] * len(questions))[1]
    settings = {"do_sample": True, "top_k": 0, "temperature": 1.5, "max_new_tokens": LENGTH} | settings
    model.rollouts = Rollouts(7, Drafter(DraftLimits(0.01, 3), share_right=0.9), recorder=recorder)
    with read_prompts.evaluating(model):
        rows = model.generate(**inputs, **settings)
    model.rollouts = None
    return rows[:, inputs["input_ids"].shape[1] :].tolist()


FROM_OR_TO_THE_HOST = {
    torch.tensor,
    torch.as_tensor,
    torch.nonzero,
    "cpu",
    "item",
    "tolist",
    "numpy",
    "nonzero",
}


def test_a_step_is_one_graph(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No break and no wait; calls with other ids, lengths and prompts need no other graph."""
    graphs = []

    def count(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    expected = [sampled(pair, questions, None) for questions in (QUESTIONS, OTHER_QUESTIONS)]
    compiled = torch.compile(recording.step, fullgraph=True, dynamic=False, backend=count)
    sizes = set()

    def step(model: Any, rows: Any, sampler: Any, tokens: int) -> Any:
        sizes.add((id(rows), tokens))
        return compiled(model, rows, sampler, tokens)

    monkeypatch.setattr(recording, "step", step)
    recorder = Recorder(None)
    assert sampled(pair, QUESTIONS, recorder) == expected[0]
    assert len(graphs) == len(sizes) > 1
    assert sampled(pair, OTHER_QUESTIONS, recorder) == expected[1]
    assert sampled(pair, QUESTIONS, recorder) == expected[0]
    assert len(graphs) == len(sizes)
    called = {node.target for graph in graphs for node in graph.graph.nodes}
    assert not called & FROM_OR_TO_THE_HOST


def test_recorded_steps_are_replayed(pair: Any) -> None:
    capture = Rerun()
    recorder = Recorder(capture)
    for questions in (QUESTIONS, OTHER_QUESTIONS, QUESTIONS):
        assert sampled(pair, questions, recorder) == sampled(pair, questions, None)
    assert capture.captured == recorder.recordings >= 1
    assert capture.replayed > 2 * LENGTH / 4
    recorded = recorder.recordings
    sampled(pair, QUESTIONS, recorder, temperature=0.7)
    assert recorder.recordings > recorded  # another temperature is another graph


def failing(error: Exception) -> Callable[..., Recording]:
    """Stands for a GPU on which nothing can be recorded."""

    def capture(recorded_step: Callable[[], torch.Tensor]) -> Recording:
        raise error

    return capture


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        (
            failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")),
            "CUDA out of mem",
        ),
        (
            failing(RuntimeError("operation not permitted when stream is capturing")),
            "operation not permitted",
        ),
        (failing(RuntimeError()), "RuntimeError"),
        (Rerun(lambda drawn: drawn + 1), "a replay gave other tokens"),
    ],
)
def test_where_recording_fails_the_step_goes_on(
    pair: Any, capture: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(capture)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert sampled(pair, QUESTIONS, recorder) == sampled(pair, QUESTIONS, None)
    told = [record.getMessage() for record in caplog.records if "not recorded" in record.message]
    assert len(told) == 1
    assert f"run kernel by kernel: {reason}" in told[0]
    assert "more" not in told[0]
    assert recorder.recordings == 0


def test_other_weights_are_recorded_again(pair: Any) -> None:
    model, _ = pair
    capture = Rerun()
    recorder = Recorder(capture)
    for _ in range(4):  # sizes are recorded when they have come up a few times
        sampled(pair, QUESTIONS, recorder)
    captured = capture.captured
    with torch.no_grad():  # as an optimiser does
        for parameter in model.parameters():
            parameter.mul_(1.01)
    assert sampled(pair, QUESTIONS, recorder) == sampled(pair, QUESTIONS, None)
    assert capture.captured == captured > 0
    norm = model.model.norm
    norm.weight = torch.nn.Parameter(norm.weight * 2)
    assert sampled(pair, QUESTIONS, recorder) == sampled(pair, QUESTIONS, None)
    assert capture.captured > captured


def test_only_so_many_are_kept(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_RECORDINGS", 2)
    recorder = Recorder(Rerun())
    for temperature in (1.5, 1.0, 0.5):
        expected = sampled(pair, QUESTIONS, None, temperature=temperature)
        assert sampled(pair, QUESTIONS, recorder, temperature=temperature) == expected
        assert recorder.recordings <= 2


def test_no_memory_for_buffers(pair: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """The rows then have lengths of their own, as without the setting."""

    def no_memory(*args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(recording, "Buffers", no_memory)
    expected = sampled(pair, QUESTIONS, None)
    with caplog.at_level(logging.WARNING):
        assert sampled(pair, QUESTIONS, Recorder(Rerun())) == expected
    assert "run kernel by kernel: buffers of 0.0 GB find no room" in caplog.text


def test_where_rows_cannot_be_static(pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    model, processor = pair
    inputs = read_prompts.encode(model, processor, QUESTIONS, [[]] * 5)[1]
    with read_prompts.evaluating(model):
        cache = read_prompts.read(model, inputs, None).cache
        assert why_not_static(model, cache) == "a layer's window is shorter than a row"
        recording.reserve(cache, 100)
        assert why_not_static(model, cache) is None
    model.prompt_sharing = SharedPrompts("switched off")
    assert str(why_not_static(model, cache)).startswith("prompts are not shared")
    with caplog.at_level(logging.WARNING):
        assert sampled(pair, QUESTIONS, Recorder(Rerun())) == sampled(pair, QUESTIONS, None)
    assert "not recorded, and run kernel by kernel: prompts are not shared" in caplog.text
