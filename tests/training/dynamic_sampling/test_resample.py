"""Dynamic sampling in real runs of the small model, with rewards made so that groups do not spread."""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from independent_logps import same_as_independent
from trl import GRPOTrainer

from chexphi.data.read import read_examples
from chexphi.models.families import phi4
from chexphi.schema import Completion, InputError
from chexphi.training import completions, grpo, grpo_run
from chexphi.training.recovery import checkpoints, saved_state

FLAGS = [
    "--learning_rate=1e-3", "--per_device_train_batch_size=4", "--num_generations=4", "--beta=0.1",
    "--max_completion_length=6", "--max_steps=2", "--disable_tqdm=true", "--save_strategy=no",
    "--gradient_accumulation_steps=2", "--trainable=all", "--dynamic_sample=true",
    "--rewards", "external_r1v_acc",
]  # fmt: skip

MANY = "--max_resample_times=30"

Run = Callable[..., Path]


@pytest.fixture
def run(tiny_model_dir: Path, pool: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """run(out, which prompts spread, flags): there every other completion earns 1, elsewhere all of them."""

    def start(out: Path, spreads: Callable[[int], bool], *flags: str) -> Path:
        place = {example.id: number for number, example in enumerate(read_examples(pool))}

        def every_other(id: Sequence[str], **_: Any) -> list[float]:
            return [float(i % 2) if spreads(place[name]) else 1.0 for i, name in enumerate(id)]

        monkeypatch.setattr(grpo_run, "reward_functions", lambda *_: [every_other])
        argv = ["--model", str(tiny_model_dir), "--data", str(pool), "--out", str(out), *FLAGS, *flags]
        return grpo.main(*grpo.parse(argv))

    return start


def rows_of(out: Path) -> list[Completion]:
    return list(completions.read(out / "completions.jsonl"))


def metrics_of(out: Path, name: str) -> list[float]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [row[f"dynamic/{name}"] for row in map(json.loads, lines) if f"dynamic/{name}" in row]


def groups_of(rows: list[Completion]) -> dict[tuple[int, str], list[Completion]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row.step, row.id].append(row)
    return groups


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--share_prefix=false", "--temperature=0.7"],
        ["--steps_per_generation=4", "--max_steps=4"],
        ["--per_device_train_batch_size=2", "--gradient_accumulation_steps=4"],
        ["--loss_type=dapo", "--scale_rewards=batch", "--mask_truncated_completions=true"],
        ["--multi_objective_aggregation=normalize_then_sum", "--beta=0"],
    ],
)
def test_other_prompts_fill_the_batch(
    run: Run, pool: Path, tiny_model_dir: Path, tmp_path: Path, flags: list[str]
) -> None:
    out = run(tmp_path / "run", lambda place: place % 3 == 0, "--learning_rate=0", MANY, *flags)
    rows = rows_of(out)
    groups = groups_of(rows)
    assert {len(group) for group in groups.values()} == {4}  # no prompt twice in a step
    kept = {key for key, group in groups.items() if all(row.kept for row in group)}
    assert kept == {key for key, group in groups.items() if len({row.total for row in group}) > 1} & kept
    per_batch = 4 if "--steps_per_generation=4" in flags else 2
    steps = sorted({step for step, _ in groups})
    assert all(sum(key[0] == step for key in kept) == per_batch for step in steps)
    assert all(row.kept or not row.per_token_logps for row in rows)
    assert all(row.advantage == 0 for row in rows if not row.kept)
    assert all(row.advantage != 0 for row in rows if row.kept)
    assert metrics_of(out, "groups_trained") == [per_batch] * len(steps)
    assert sum(metrics_of(out, "extra_completions")) == len(rows) - 4 * len(kept) > 0
    assert any(metrics_of(out, "rounds"))
    assert any(row.truncated for row in rows if row.kept)
    same_as_independent(tiny_model_dir, pool, [row for row in rows if row.kept])
    never = json.loads((out / "never_spread.json").read_text())
    flat = {key[1] for key, group in groups.items() if len({row.total for row in group}) == 1}
    assert {row["id"] for row in never} == flat
    assert {row["mean_reward"] for row in never} == {1.0}


@pytest.mark.parametrize("flags", [[], ["--steps_per_generation=4", "--max_steps=4", "--loss_type=dapo"]])
def test_where_all_groups_spread_nothing_changes(run: Run, tmp_path: Path, flags: list[str]) -> None:
    with_it = run(tmp_path / "with", lambda place: True, *flags)
    without = run(tmp_path / "without", lambda place: True, *flags, "--dynamic_sample=false")
    assert rows_of(with_it) == rows_of(without)
    first, second = (phi4.load(folder / "model")[0].state_dict() for folder in (with_it, without))
    assert all(torch.equal(first[name], second[name]) for name in first)
    ours, plain = (figures_of(folder) for folder in (with_it, without))
    assert len(ours) == len(plain) > 2
    for mine, theirs in zip(ours, plain, strict=True):
        assert {k: v for k, v in mine.items() if not k.startswith("dynamic/")} == pytest.approx(theirs)


def figures_of(out: Path) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl` without times."""
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    times = ("time", "runtime", "_per_second", "seconds")
    return [{k: v for k, v in line.items() if not k.endswith(times)} for line in lines]


ENDS = ["--generation_kwargs", '{"exponential_decay_length_penalty": [2, 1.4]}']
"""An end is likelier with every token, so that some completions come to theirs."""


@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_that_stays_short_trains_on_what_spreads(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, masked: bool
) -> None:
    seen: list[dict[str, Any]] = []
    plain = GRPOTrainer._compute_loss

    def loss(self: Any, model: Any, inputs: dict[str, Any]) -> Any:
        seen.append(inputs)
        return plain(self, model, inputs)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", loss)
    flags = ["--max_steps=1", f"--mask_truncated_completions={masked}", *ENDS]
    out = run(tmp_path / "run", lambda place: place == 0, MANY, *flags)
    rows = rows_of(out)
    assert len({row.id for row in rows}) * 4 == len(rows) > 80  # every prompt was tried, none twice
    kept = [row for row in rows if row.kept]
    assert len(kept) == 4
    assert sum(bool(row.per_token_logps) for row in rows) == 8  # the batch keeps its shape
    masks = [part["completion_mask"] * part["tool_mask"] for part in seen]
    assert {row.truncated for row in kept} == {True, False}
    tokens = sum(len(row.token_ids) for row in kept if not (masked and row.truncated))
    assert sum(int(mask.sum()) for mask in masks) == tokens
    assert [int(part["num_items_in_batch"]) for part in seen] == [tokens] * 2
    assert metrics_of(out, "groups_trained") == [1]
    assert "1 of 2 groups have a spread" in caplog.text
    assert not any(row.id in caplog.text for row in rows)


def test_rows_that_only_fill_a_batch_say_so_and_what_they_earned(run: Run, tmp_path: Path) -> None:
    """Also where the old policy's pass reads the batch before the step does."""
    rows = rows_of(run(tmp_path / "run", lambda place: place == 0, "--steps_per_generation=4", MANY))
    groups = groups_of(rows)
    flat = {key for key, group in groups.items() if len({row.total for row in group}) == 1}
    assert {key for key, group in groups.items() if not any(row.kept for row in group)} == flat
    assert sum(bool(row.per_token_logps) for key in flat for row in groups[key]) == 12
    assert all(value is not None for row in rows for value in row.rewards.values())


def test_a_step_without_any_spread_leaves_the_policy_as_it_is(
    run: Run, tiny_model_dir: Path, tmp_path: Path
) -> None:
    out = run(tmp_path / "run", lambda place: False, "--max_resample_times=1")
    assert not any(row.kept for row in rows_of(out))
    before, after = (phi4.load(folder)[0].state_dict() for folder in (tiny_model_dir, out / "model"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_originals_rule_trains_on_its_own_batch(run: Run, tmp_path: Path) -> None:
    out = run(tmp_path / "run", lambda place: False, "--compat=original", "--max_resample_times=1")
    rows = rows_of(out)
    for step in (1, 2):
        mine = [row for row in rows if row.step == step]
        assert [row.kept for row in mine].count(True) == 8
        assert all(math.isfinite(value) for row in mine for value in row.per_token_logps)
    own = [row.id for row in rows if row.kept]
    plain = run(tmp_path / "plain", lambda place: False, "--dynamic_sample=false")
    assert own == [row.id for row in rows_of(plain)]


@pytest.mark.parametrize(
    ("flags", "step"),
    [
        (["--max_steps=4", "--save_steps=2"], 2),
        (["--max_steps=8", "--save_steps=4", "--steps_per_generation=4"], 4),
        (["--max_steps=6", "--save_steps=4", "--limit=6"], 4),  # three steps an epoch: in the second one
        (["--max_steps=5", "--save_steps=3", "--limit=6"], 3),  # at the end of the first
    ],
)
def test_a_resumed_run_goes_on_as_an_uninterrupted_one(
    run: Run, tmp_path: Path, flags: list[str], step: int
) -> None:
    def third(place: int) -> bool:
        return place % 3 == 0

    flags = ["--save_strategy=steps", *flags]
    whole = run(tmp_path / "whole", third, *flags)
    half = shutil.copytree(whole, tmp_path / "half")
    for checkpoint in half.glob("checkpoint-*"):
        if checkpoint.name != f"checkpoint-{step}":
            shutil.rmtree(checkpoint)
    run(half, third, *flags, "--resume=true")
    assert (half / "completions.jsonl").read_text() == (whole / "completions.jsonl").read_text()
    assert (half / "never_spread.json").read_text() == (whole / "never_spread.json").read_text()
    assert any(row.step > step and not row.kept for row in rows_of(half))
    first, second = (phi4.load(folder / "model")[0].state_dict() for folder in (whole, half))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_of_an_older_version_is_resumed(run: Run, tmp_path: Path) -> None:
    """Its checkpoints keep the state of dynamic sampling under another name."""

    def third(place: int) -> bool:
        return place % 3 == 0

    flags = ["--save_strategy=steps", "--max_steps=2", "--save_steps=1"]
    whole = run(tmp_path / "whole", third, *flags)
    half = shutil.copytree(whole, tmp_path / "half")
    shutil.rmtree(half / "checkpoint-2")
    path, marker = (half / "checkpoint-1" / name for name in (saved_state.STATE, checkpoints.MARKER))
    path.write_text(path.read_text().replace('"SamplingState"', '"DrawnOn"'))
    complete = json.loads(marker.read_text())
    complete["files"][saved_state.STATE] = path.stat().st_size
    marker.write_text(json.dumps(complete))
    run(half, third, *flags, "--resume=true")
    assert (half / "completions.jsonl").read_text() == (whole / "completions.jsonl").read_text()
    first, second = (
        json.loads((folder / "checkpoint-2" / saved_state.STATE).read_text())["stateful_callbacks"]
        for folder in (whole, half)
    )
    assert second == first


def test_a_checkpoint_without_draws_is_refused(run: Run, tmp_path: Path) -> None:
    saving = ["--save_strategy=steps", "--save_steps=1", "--max_steps=1"]
    out = run(tmp_path / "run", lambda place: True, *saving, "--dynamic_sample=false")
    with pytest.raises(InputError, match="dynamic_sample was false and is true"):
        run(out, lambda place: True, "--resume=true")


def test_lines_without_the_field_are_read(run: Run, tmp_path: Path) -> None:
    out = run(tmp_path / "run", lambda place: True, "--max_steps=1", "--max_resample_times=1")
    path = out / "completions.jsonl"
    old = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "kept"}) + "\n" for row in old))
    assert all(row.kept for row in rows_of(out))
    assert metrics_of(out, "rounds") == [0]
