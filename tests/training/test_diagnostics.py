"""What a run is warned of and what stops it: tables and properties, then real runs."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trl import GRPOTrainer

from chexphi.training import diagnostics, grpo, grpo_run
from chexphi.training.diagnostics import WINDOW

Rows = list[dict[str, Any]]


def run_of(begin: dict[str, float], end: dict[str, float], rows: int = 2 * WINDOW) -> Rows:
    """Rows that go from `begin` to `end` at half of their way."""
    return [{"step": i + 1, **(begin if i < rows // 2 else end)} for i in range(rows)]


def figures(**values: float) -> dict[str, float]:
    """The figures of a healthy row, with some of them changed."""
    healthy = {
        "entropy": 0.5, "completions/mean_length": 50.0, "rewards/external_r1v_acc/mean": 0.5,
        "rewards/external_r1v_acc/std": 0.5, "frac_reward_zero_std": 0.5, "kl": 0.02,
        "graph/entity_precision": 0.5, "graph/entity_recall": 0.5, "graph/relation_precision": 0.4,
        "graph/relation_recall": 0.4, "completions/clipped_ratio": 0.5,
    }  # fmt: skip
    return healthy | values


ANSWER, SPREAD = "rewards/external_r1v_acc/mean", "rewards/external_r1v_acc/std"


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ({}, {}, set()),
        ({}, {"entropy": 0.049}, {"entropy_collapse"}),
        ({}, {"entropy": 0.05}, set()),
        ({"entropy": 0.0}, {"entropy": 0.0}, set()),  # never had any
        ({}, {"completions/mean_length": 101.0}, {"length_drift"}),
        ({}, {"completions/mean_length": 24.0}, {"length_drift"}),
        ({}, {"completions/mean_length": 99.0}, set()),
        ({}, {ANSWER: 0.99, SPREAD: 0.1}, {"reward_saturation"}),
        ({}, {ANSWER: 0.99, SPREAD: 0.5}, set()),
        ({ANSWER: 3.0}, {ANSWER: 3.0, SPREAD: 0.1}, set()),  # a reward of another scale
        ({}, {"frac_reward_zero_std": 1.0}, {"zero_spread"}),
        ({}, {"frac_reward_zero_std": 1.0, "dynamic/groups_spread": 2}, set()),
        ({}, {"frac_reward_zero_std": 1.0, "dynamic/groups_spread": 0}, {"zero_spread"}),
        ({}, {"completions/clipped_ratio": 1.0}, {"all_truncated"}),
        ({}, {"completions/clipped_ratio": 0.99}, set()),
        ({}, {"kl": 1.2}, {"kl_blow_up"}),
        ({}, {"kl": 0.15}, set()),  # the jump is more than ten rows ago
        ({}, {ANSWER: 0.7}, set()),
        ({}, {ANSWER: 0.7, "graph/entity_recall": 0.2}, {"wrong_reason"}),
        ({}, {ANSWER: 0.7, "graph/entity_precision": 0.0, "graph/entity_recall": 0.0}, {"wrong_reason"}),
        ({}, {ANSWER: 0.4, "graph/entity_recall": 0.2}, set()),  # wrong for the wrong reason
        ({}, {ANSWER: 0.54, "graph/entity_recall": 0.2}, set()),  # too little
    ],
)
def test_what_is_said(begin: dict[str, float], end: dict[str, float], expected: set[str]) -> None:
    rows = run_of(figures(**begin), figures(**end))
    assert diagnostics.warnings(rows).keys() == expected
    assert all(len(text.split()) > 8 for text in diagnostics.warnings(rows).values())
    assert not diagnostics.warnings(rows[:4])  # too early to tell


def test_a_sudden_kl_is_said_below_one() -> None:
    rows = run_of(figures(), figures())
    assert "kl_blow_up" in diagnostics.warnings(rows + [figures(kl=0.3)] * 3)
    assert "kl_blow_up" not in diagnostics.warnings([*rows, figures(kl=0.3)])


@pytest.mark.parametrize("clipped", [[1.0] * 4, [1.0] * 4 + [0.5], [0.9] + [1.0] * 4])
def test_some_truncated_steps_are_not_all(clipped: list[float]) -> None:
    assert (
        diagnostics.all_truncated([figures(**{"completions/clipped_ratio": ratio}) for ratio in clipped])
        is None
    )


def test_a_run_that_masks_truncated_completions_is_told_that_it_learns_nothing(
    train: Train, tmp_path: Path
) -> None:
    rows = [figures(**{"completions/clipped_ratio": 1.0})] * 5
    said = diagnostics.all_truncated(rows)
    assert said is not None
    assert "nothing is learned" not in said
    flags = ["--max_completion_length=1", "--mask_truncated_completions=true", "--max_steps=6"]
    out = train(tmp_path / "run", rising, *flags, '--generation_kwargs={"min_new_tokens": 1}')
    lines = [json.loads(line) for line in (out / "diagnostics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["kind"]) for line in lines] == [(5, "all_truncated")]
    assert "nothing is learned, for mask_truncated_completions leaves them all out" in lines[0]["message"]


def rising(completions: Sequence[Any], **_: Any) -> list[float]:
    return [float(i % 2) for i in range(len(completions))]


def test_noise_is_no_change() -> None:
    """Means 0.05 apart in windows whose values are 0.3 apart from each other."""
    begin = [figures(**{ANSWER: 0.5 + 0.3 * (-1) ** i, "graph/entity_recall": 0.5}) for i in range(WINDOW)]
    end = [figures(**{ANSWER: 0.6 + 0.3 * (-1) ** i, "graph/entity_recall": 0.2}) for i in range(WINDOW)]
    assert not diagnostics.warnings(begin + end)


def test_without_precision_and_recall_the_graph_reward_tells() -> None:
    name = "rewards/external_kg_jac/mean"
    rows = run_of({ANSWER: 0.4, name: 0.5}, {ANSWER: 0.6, name: 0.3})
    assert set(diagnostics.warnings(rows)) == {"wrong_reason"}
    assert not diagnostics.warnings([{ANSWER: row[ANSWER]} for row in rows])  # nothing is known of graphs


KEYS = [*figures(), "dynamic/groups_spread", "rewards/external_kg_jac/mean"]
VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf]))


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=30))
def test_any_rows_can_be_read(rows: Rows) -> None:
    assert diagnostics.warnings(rows).keys() <= {check.__name__ for check in diagnostics.CHECKS}


@given(st.integers(0, 60))
def test_a_constant_run_is_healthy_however_long(length: int) -> None:
    assert not diagnostics.warnings([figures()] * length)


FLAGS = [
    "--learning_rate=1e-3", "--per_device_train_batch_size=4", "--num_generations=4",
    "--max_completion_length=4", "--disable_tqdm=true", "--trainable=vision_lora", "--beta=0",
    "--rewards", "external_r1v_acc",
]  # fmt: skip

Train = Callable[..., Path]


@pytest.fixture
def train(tiny_model_dir: Path, films: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """train(out, reward, flags): a run whose reward is this function."""

    def start(out: Path, reward: Callable[..., Sequence[float]], *flags: str) -> Path:
        monkeypatch.setattr(grpo_run, "reward_functions", lambda *_: [reward])
        data = films / "annotations" / "pool" / "train.json"
        argv = ["--model", str(tiny_model_dir), "--data", str(data), "--out", str(out), *FLAGS, *flags]
        return grpo.main(*grpo.parse(argv))

    return start


def constant(completions: Sequence[Any], **_: Any) -> list[float]:
    return [1.0] * len(completions)


def test_each_warning_is_said_once_and_a_resumed_run_says_none_again(train: Train, tmp_path: Path) -> None:
    saving = ["--save_strategy=steps", "--save_steps=6"]
    out = train(tmp_path / "run", constant, "--max_steps=8", *saving)
    lines = [json.loads(line) for line in (out / "diagnostics.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["zero_spread", "all_truncated"]
    assert lines[0]["step"] == 5 <= lines[1]["step"]  # a completion of the random policy may end by itself
    assert lines[0]["message"] in (out / "train.log").read_text()
    shutil.rmtree(out / "checkpoint-8")
    train(out, constant, "--max_steps=8", "--resume=true", *saving)
    assert len((out / "diagnostics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("flags", [[], ["--dynamic_sample=true"]])
def test_an_infinite_reward_stops_the_run(train: Train, tmp_path: Path, flags: list[str]) -> None:
    def broken(completions: Sequence[Any], id: Sequence[str], **_: Any) -> list[float]:
        return [float(i % 2) for i in range(len(id) - 1)] + [math.inf]

    with pytest.raises(FloatingPointError, match=r"reward .*broken of row \S+ is inf"):
        train(tmp_path / "run", broken, "--max_steps=1", *flags)
    assert not (tmp_path / "run" / "model").exists()


def test_a_loss_that_is_not_finite_stops_the_run_before_its_step_is_saved(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, steps = GRPOTrainer._compute_loss, []

    def loss(self: Any, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        steps.append(self.state.global_step)
        return plain(self, model, inputs) * (math.nan if self.state.global_step == 2 else 1)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", loss)
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 3 in row \S+: the run stops"):
        train(tmp_path / "run", constant, "--max_steps=4", "--save_strategy=steps", "--save_steps=1")
    assert steps == [0, 1, 2]
    assert {path.name for path in (tmp_path / "run").glob("checkpoint-*")} == {"checkpoint-1", "checkpoint-2"}


def test_a_gradient_that_is_not_finite_is_seen_before_its_step_is_saved(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logged every fourth step, saved every second: what is to be saved is logged first."""
    plain = GRPOTrainer._compute_loss

    def loss(self: Any, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        found = plain(self, model, inputs)
        learns = next(parameter for parameter in model.parameters() if parameter.requires_grad)
        return found + (learns.sum() * 0).sqrt() if self.state.global_step == 1 else found

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", loss)
    flags = ["--max_steps=4", "--save_strategy=steps", "--save_steps=2", "--logging_steps=4"]
    with pytest.raises(FloatingPointError, match=r"grad_norm is nan at step 2"):
        train(tmp_path / "run", constant, *flags)
    assert not list((tmp_path / "run").glob("checkpoint-*"))
