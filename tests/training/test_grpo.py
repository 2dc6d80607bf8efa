"""Two GRPO steps on a small random model: the log is exact, resuming doubles nothing, bad settings stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from independent_logps import same_as_independent

from chexphi.data.read import read_examples
from chexphi.models import policy
from chexphi.models.families import phi4
from chexphi.schema import InputError
from chexphi.training import completions, grpo

FLAGS = [
    "--learning_rate=1e-3", "--per_device_train_batch_size=4", "--num_generations=4",
    "--max_completion_length=12", "--max_steps=2", "--disable_tqdm=true", "--save_strategy=no",
    "--gradient_accumulation_steps=2", "--trainable=all",
]  # fmt: skip


def run(model: Path, data: Path, out: Path, *flags: str) -> Path:
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *FLAGS, *flags]
    return grpo.main(*grpo.parse(argv))


@pytest.mark.parametrize(
    ("temperature", "extra"),
    [
        ("1.0", []),
        pytest.param("0.7", [], marks=pytest.mark.slow),
        ("0.7", ["--steps_per_generation=4"]),  # TRL runs an old-policy pass
        ("0.9", ["--beta=0.1"]),  # and a reference pass
        ("0.9", ["--num_iterations=2", "--max_steps=4"]),
        pytest.param("0.9", ["--share_prefix=false"], marks=pytest.mark.slow),
        ("1.0", ["--share_prefix=false", "--steps_per_generation=4", "--max_steps=3"]),
        pytest.param("0.7", ["--mask_truncated_completions=true", "--beta=0.1"], marks=pytest.mark.slow),
    ],
)
def test_logged_log_probabilities_equal_an_independent_forward(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, temperature: str, extra: list[str]
) -> None:
    out = run(
        tiny_model_dir, pool, tmp_path / "run", "--temperature", temperature, "--learning_rate=0", *extra
    )
    rows = list(completions.read(out / "completions.jsonl"))
    assert len(rows) == (32 if "--max_steps=3" in extra else 16)
    if "--mask_truncated_completions=true" in extra:
        assert any(row.truncated for row in rows)
    same_as_independent(tiny_model_dir, pool, rows)


def test_every_line_is_as_documented(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    out = run(tiny_model_dir, pool, tmp_path / "run")
    _, processor = phi4.load(tiny_model_dir)
    rows = list(completions.read(out / "completions.jsonl"))
    assert [row.step for row in rows] == [1] * 8 + [2] * 8
    for row in rows:
        assert len(row.token_ids) == len(row.raw_completion_tokens) == len(row.per_token_logps)
        assert processor.tokenizer.decode(row.token_ids, skip_special_tokens=True) == row.completion
        assert row.rewards.keys() == {"external_r1v_acc", "external_kg_jac"}
        assert row.total == pytest.approx(sum(value for value in row.rewards.values() if value is not None))
        assert row.truncated == (row.raw_completion_tokens[-1] not in ("<|end|>", "<|endoftext|>"))
    for start in range(0, 16, 4):  # a group is the completions of one prompt
        assert len({row.id for row in rows[start : start + 4]}) == 1
    questions = {example.id: example.question for example in read_examples(pool)}
    assert all(row.prompt == questions[row.id] for row in rows)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["stage"] == "grpo"
    assert manifest["data_sha256"]
    log = (out / "train.log").read_text()
    assert not any(question in log for question in questions.values())
    assert not any(example.subject_id in log for example in read_examples(pool))


def test_a_resumed_run_doubles_no_step(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    out = run(tiny_model_dir, pool, tmp_path / "run", "--save_strategy=steps", "--save_steps=1")
    whole = (out / "completions.jsonl").read_text().splitlines()
    with (out / "completions.jsonl").open("a") as file:
        file.write('{"schema": 1, "step": 2, "torn')
    (out / "checkpoint-2" / "trainer_state.json").unlink()  # the kill came before this one was whole
    run(tiny_model_dir, pool, out, "--save_strategy=no", "--resume", "true")
    rows = list(completions.read(out / "completions.jsonl"))
    assert [row.step for row in rows] == [1] * 8 + [2] * 8
    assert (out / "completions.jsonl").read_text().splitlines()[:8] == whole[:8]
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 2]  # the last line is the trainer's summary


def letters(completions: list[Any], **_: Any) -> list[float]:
    """A reward that tells the completions of a random policy apart; both of ours are 0."""
    return [len(set(completion[0]["content"])) / 20 for completion in completions]


@pytest.mark.parametrize("trainable", ["vision_lora+lm_head", r"model\.layers\.1\..*|lm_head"])
def test_training_moves_what_learns_and_nothing_else(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, trainable: str
) -> None:
    """The reference stands still: the policy leaves it, and is where it is before the first step."""
    flags = ["--beta=0.1", "--learning_rate=1e-2", "--rewards", "test_grpo:letters", "--logging_steps=1"]
    out = run(tiny_model_dir, pool, tmp_path / "run", *flags, f"--trainable={trainable}", "--max_steps=3")
    before = phi4.load(tiny_model_dir)[0].state_dict()
    after = policy.load(out / "model")[0].state_dict()
    learned = set(json.loads((out / "manifest.json").read_text())["trainable"]["names"])
    assert learned <= after.keys()
    for name in learned:
        start = before.get(name, before["lm_head.weight"] if "lm_head" in name else torch.zeros(1))
        assert torch.isfinite(after[name]).all(), name
        assert ".lora_A." in name or not torch.equal(start.expand_as(after[name]), after[name]), name
    still = {name: value for name, value in after.items() if name not in learned}
    for name, value in still.items():
        base = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
        assert torch.equal(value, before[base.replace(".original_module.", ".")]), name
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    first, *_, last = (row["kl"] for row in metrics if "kl" in row)
    assert first == pytest.approx(0, abs=1e-6)
    assert last > 1e-4


def test_a_reference_that_is_told_to_follows_the_policy(
    tiny_model_dir: Path, pool: Path, tmp_path: Path
) -> None:
    """It takes the whole policy over after each second step, so that the KL divergence is 0 again."""
    flags = ["--beta=0.1", "--learning_rate=1e-2", "--rewards", "test_grpo:letters", "--logging_steps=1"]
    flags += ["--trainable=all", "--sync_ref_model", "--ref_model_sync_steps=2", "--ref_model_mixup_alpha=1"]
    out = run(tiny_model_dir, pool, tmp_path / "run", *flags, "--max_steps=4")
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    first, second, third, fourth = (row["kl"] for row in metrics if "kl" in row)
    assert (first, third) == pytest.approx((0, 0), abs=1e-6)
    assert min(second, fourth) > 1e-4


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--num_generations=1"], "2"),
        (["--num_generations=3"], "divisible"),
        (["--rewards", "external_kg"], "external_kg"),
        (["--rewards", "external_r1v_acc", "external_r1v_acc"], "once"),
        (["--reward_weights", "1"], "reward_weights has 1 value for 2"),
        (["--match=substring"], "substring"),
        (["--measure=dice"], "dice"),
        (["--limit=1"], "^grpo: a step takes 2 prompts, and the data have 1 example: lower the batch$"),
        (["--learning_rat=1"], "unknown flag --learning_rat: did you mean --learning_rate"),
    ],
)
def test_bad_settings_stop_before_a_folder_is_made(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(tiny_model_dir, pool, tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()
