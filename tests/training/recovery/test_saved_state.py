"""A run goes on from the newest checkpoint of which every file can be read, and says why not from others."""

from __future__ import annotations

import json
import math
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_disks import file_size

from chexphi.schema import InputError
from chexphi.training.dynamic_sampling.sampling_state import SamplingState
from chexphi.training.recovery import checkpoints
from chexphi.training.recovery.checkpoints import newest

STATE: dict[str, Any] = {
    "epoch": 1.5,
    "global_step": 4,
    "max_steps": 9,
    "log_history": [{"loss": math.nan, "step": 1}],  # no row of the step had a reward
    "stateful_callbacks": {
        "SamplingState": {"args": {}, "attributes": {"taken": 3, "outcomes": {"a": [2, 1, 0.5]}}}
    },
    "best_model_checkpoint": None,
}


def write(folder: Path, step: int) -> Path:
    """A checkpoint as the Trainer writes it on one CPU."""
    folder.mkdir(parents=True)
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    states = {"python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.get_rng_state()}
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(schedule.state_dict(), folder / "scheduler.pt")
    torch.save(states, folder / "rng_state.pth")
    torch.save({"any": "thing"}, folder / "training_args.bin")
    save_file({"weight": torch.ones(2, 2)}, folder / "model.safetensors")
    (folder / "trainer_state.json").write_text(json.dumps(STATE | {"global_step": step}))
    checkpoints.mark(folder, step)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two checkpoints; never changed."""
    folder = tmp_path_factory.mktemp("whole")
    for step in (2, 4):
        write(folder / f"checkpoint-{step}", step)
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """The same, to damage the newer one."""
    return shutil.copytree(whole, tmp_path / "run")


def mark_again(run: Path) -> None:
    """As if the newer one had been saved with the files that it has now."""
    folder = run / "checkpoint-4"
    marker = json.loads((folder / checkpoints.MARKER).read_text())
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != checkpoints.MARKER}
    (folder / checkpoints.MARKER).write_text(json.dumps(marker | {"files": sizes}))


def step_of(run: Path) -> int | None:
    found, _ = newest(run)
    return found and found.step


def damaged(run: Path, name: str, content: bytes | None) -> list[str]:
    """Lines about a checkpoint of which one file is another, as if it had been saved so."""
    folder = run / "checkpoint-4"
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    mark_again(run)
    found, said = newest(run)
    assert found is not None
    assert found.step == 2
    return said


def of_another_kind(path: Path) -> bytes:
    return path.with_name("scheduler.pt" if path.name != "scheduler.pt" else "rng_state.pth").read_bytes()


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
@pytest.mark.parametrize(
    "content",
    [
        lambda path: None,
        lambda path: b"",
        lambda path: b"x" * path.stat().st_size,
        lambda path: path.read_bytes()[:-40],
        lambda path: pickle.dumps({"state": Path("."), "param_groups": []}),
        lambda path: json.dumps([1, 2]).encode(),
        lambda path: path.with_name("model.safetensors").read_bytes(),
        of_another_kind,
    ],
    ids=["missing", "empty", "text", "cut", "pickle", "json", "safetensors", "another"],
)
def test_a_file_of_another_kind_is_skipped(run: Path, name: str, content: Callable[[Path], Any]) -> None:
    assert step_of(run) == 4
    said = damaged(run, name, content(run / "checkpoint-4" / name))
    assert len(said) == 1
    assert said[0].startswith("checkpoint-4 is skipped: it")
    assert name.partition(".")[0] in said[0]
    assert len(said[0]) < 350
    assert "\n" not in said[0]
    assert "weights_only" not in said[0]  # no advice to read it in another way


def test_an_object_in_place_of_tensors_is_not_made(run: Path, tmp_path: Path) -> None:
    """What a pickle would call is not called: reading this one would make a file."""

    class Marks:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"state": Marks(), "param_groups": []}, run / "checkpoint-4" / "optimizer.pt")
    mark_again(run)
    assert step_of(run) == 2
    assert not (tmp_path / "ran").exists()


def test_arguments_of_the_trainer_are_not_read(run: Path) -> None:
    """They are a pickle, and nobody asks for them."""
    (run / "checkpoint-4" / "training_args.bin").write_bytes(pickle.dumps(Path(".")))
    mark_again(run)
    assert step_of(run) == 4


@pytest.mark.parametrize("content", [b"", b"x" * 300, b"\xff" * 8 + b"{}"])
def test_weights_that_are_damaged_are_skipped(run: Path, content: bytes) -> None:
    assert "model.safetensors is damaged" in damaged(run, "model.safetensors", content)[0]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("[]", "its trainer_state.json is damaged"),
        ("{", "its trainer_state.json is damaged"),
        ("[" * 50_000, "its trainer_state.json is damaged"),
        ({"max_steps": None}, "None for max_steps"),
        ({"max_steps": "9"}, "'9' for max_steps"),
        ({"global_step": -1}, "-1 for global_step"),
        ({"epoch": "many"}, "'many' for epoch"),
        ({"epoch": True}, "True for epoch"),
        ({"log_history": {}}, "{} for log_history"),
        ({"stateful_callbacks": []}, "[] for stateful_callbacks"),
        ({"best_model_checkpoint": "/elsewhere/checkpoint-1"}, "which is outside the run"),
        ({"best_model_checkpoint": 7}, "which is outside the run"),
    ],
)
def test_a_state_that_says_something_else_is_skipped(run: Path, values: Any, reason: str) -> None:
    text = values if isinstance(values, str) else json.dumps(STATE | values)
    assert reason in damaged(run, "trainer_state.json", text.encode())[0]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("[]", "is damaged"),
        ({"files": []}, "is damaged"),
        ({"files": {"optimizer.pt": "4"}}, "is damaged"),
        ({"step": "4"}, "is damaged"),
        ({"weights_only": None}, "is damaged"),
        ({"logs": {"metrics.jsonl": -1}}, "is damaged"),
        ({"files": {"../outside": 1}}, "names '../outside', which is outside it"),
        ({"files": {"/outside": 1}}, "names '/outside', which is outside it"),
        ({"files": {"a\0": 1}}, "is missing"),
        ({"files": {"a" * 500: 1}}, "is missing"),
    ],
)
def test_a_marker_that_says_something_else_is_skipped(run: Path, values: Any, reason: str) -> None:
    path = run / "checkpoint-4" / checkpoints.MARKER
    content = json.loads(path.read_text())
    path.write_text(values if isinstance(values, str) else json.dumps(content | values))
    found, said = newest(run)
    assert found is not None
    assert found.step == 2
    assert reason in said[0]
    assert len(said[0]) < 200


@pytest.mark.parametrize("name", ["SamplingState", "DrawnOn"])
def test_where_dynamic_sampling_was_is_read_or_named(run: Path, name: str) -> None:
    """Under the name of older versions, too."""
    folder = run / "checkpoint-4"
    callbacks = {name: STATE["stateful_callbacks"]["SamplingState"]}
    (folder / "trainer_state.json").write_text(json.dumps(STATE | {"stateful_callbacks": callbacks}))
    sampling = SamplingState.begin(10, 0, folder)
    assert (sampling.draws.draws_taken, sampling.outcomes.counts) == (3, {"a": [2, 1, 0.5]})
    for part in ({}, {name: []}, {name: {"attributes": {"taken": "3", "outcomes": {}}}}):
        (folder / "trainer_state.json").write_text(json.dumps(STATE | {"stateful_callbacks": part}))
        with pytest.raises(InputError, match="does not say where dynamic sampling was"):
            SamplingState.begin(10, 0, folder)


def test_a_checkpoint_on_a_full_disk_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    with file_size(8), pytest.raises(InputError) as refused, checkpoints.written(folder):
        (folder / "trainer_state.json").write_text(json.dumps(STATE))
    assert str(refused.value) == (
        f"{folder} cannot be written (File too large): make room, then resume with --resume auto from the "
        "checkpoint before it"
    )
    assert not folder.exists()
