"""GRPO with rewards by name on a small random model: totals, parts, pools, and what stops a run."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chexphi.data.read import read_examples, write_examples
from chexphi.rewards.checked import RewardError
from chexphi.schema import InputError
from chexphi.training import completions, grpo

FLAGS = [
    "--learning_rate=1e-3", "--per_device_train_batch_size=8", "--num_generations=4",
    "--max_completion_length=12", "--max_steps=2", "--disable_tqdm=true", "--save_strategy=no",
    "--trainable=all",
]  # fmt: skip


def run(model: Path, data: Path, out: Path, *flags: str) -> Path:
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *FLAGS, *flags]
    return grpo.main(*grpo.parse(argv))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of the user's: rewards that a random model spreads on."""
    (tmp_path / "mine.py").write_text(
        "def vowels(completions, **columns):\n"
        "    texts = [turn[-1]['content'] for turn in completions]\n"
        "    return [sum(letter in 'aeiou' for letter in text) / max(1, len(text)) for text in texts]\n"
        "def letters(completions, **columns):\n"
        "    return [min(1.0, len(turn[-1]['content']) / 100) for turn in completions]\n"
        "def fails(completions, id, **columns):\n"
        "    return [1 / 0 if name == id[-1] else 0.0 for name in id]\n"
        "def short(completions, **columns):\n"
        "    return [0.0]\n"
        "def nan(completions, **columns):\n"
        "    return [0.0] * (len(completions) - 1) + [float('nan')]\n"
        "def partial(completions, **columns):\n"
        "    return [None] + [0.0] * (len(completions) - 1)\n"
        "def third(completions, id, trainer_state, **columns):\n"
        "    return [1 / (2 - trainer_state.global_step) for _ in id]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("mine", None)
    monkeypatch.delitem(sys.modules, "mine", raising=False)


@pytest.mark.parametrize("extra", [[], ["--multi_objective_aggregation=normalize_then_sum"]])
def test_a_product_trains_with_its_parts_logged(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, own: None, extra: list[str]
) -> None:
    names = ["mine:vowels", "mine:letters", "soft_overlong", "external_r1v_acc"]
    out = run(
        tiny_model_dir, pool, tmp_path / "run", "--rewards", *names,
        "--reward_weights", "1", "0.5", "0.25", "0", "--combine=product", "--scale_rewards=none", *extra,
    )  # fmt: skip
    rows = list(completions.read(out / "completions.jsonl"))
    assert len(rows) == 16
    for row in rows:
        parts = row.rewards
        assert list(parts) == ["product", "mine:vowels", "mine:letters", "external_r1v_acc", "soft_overlong"]
        product = parts["mine:vowels"] * parts["mine:letters"] ** 0.5  # type: ignore[operator]
        assert parts["product"] == pytest.approx(product, abs=1e-6)
        assert row.total == pytest.approx(product + 0.25 * parts["soft_overlong"], abs=1e-6)  # type: ignore[operator]
    assert len({row.total for row in rows}) > 1
    if not extra:  # scale_rewards none: the advantage is the distance from the group's mean
        for start in range(0, 16, 4):
            group = rows[start : start + 4]
            mean = sum(row.total for row in group) / 4
            assert [row.advantage for row in group] == pytest.approx(
                [r.total - mean for r in group], abs=1e-5
            )
    logged = json.loads((out / "metrics.jsonl").read_text().splitlines()[0])
    first = rows[:8]
    for name in ("product", "mine:letters"):
        mean = sum(row.rewards[name] for row in first) / 8  # type: ignore[misc]
        assert logged[f"rewards/{name}/mean"] == pytest.approx(mean, abs=1e-5)
    assert logged["reward"] == pytest.approx(sum(row.total for row in first) / 8, abs=1e-5)
    assert {"malformed/no_answer", "reasoning/words"} <= logged.keys()


def test_think_first_and_answer_first_pools_mix(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    changed = []
    for example in read_examples(pool):
        think, answer = example.explanation.split("</think>")
        text = f"{answer}{think}</think>"
        changed.append(dataclasses.replace(example, id=f"first-{example.id}", explanation=text))
    other = tmp_path / "answer_first.json"
    write_examples(other, changed)
    out = run(tiny_model_dir, pool, tmp_path / "run", "--pools", str(other), "--max_steps=5", "--rewards",
              "external_r1v_acc", "external_kg_jac", "format", "think_format_reward")  # fmt: skip
    rows = list(completions.read(out / "completions.jsonl"))
    assert {row.id.startswith("first-") for row in rows} == {True, False}
    assert list(rows[0].rewards) == ["external_r1v_acc", "external_kg_jac", "format", "think_format_reward"]
    assert all(row.rewards["external_kg_jac"] is not None for row in rows)  # both orders have a graph
    manifest = json.loads((out / "manifest.json").read_text())
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (pool, other)]
    assert [manifest["data_sha256"], manifest["pools_sha256"]] == [hashes[0], {str(other): hashes[1]}]
    with pytest.raises(InputError, match="make ids unique"):
        run(tiny_model_dir, pool, tmp_path / "again", "--pools", str(pool))


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("mine:fails", RewardError, "raised ZeroDivisionError on row "),
        ("mine:short", InputError, "returned 1 value for 8"),
        ("mine:nan", InputError, "reward mine:nan is nan for row "),
        ("mine:partial", InputError, "reward mine:partial is None for some completions of row "),
    ],
)
def test_a_bad_reward_stops_the_run(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, own: None, name: str, kind: type, message: str
) -> None:
    with pytest.raises(kind, match=message) as raised:
        run(tiny_model_dir, pool, tmp_path / "run", "--rewards", name)
    if kind is RewardError:
        assert str(raised.value).split("row ")[1].split()[0] in {e.id for e in read_examples(pool)}
    last_line = (tmp_path / "run" / "train.log").read_text().splitlines()[-1]
    assert last_line.endswith(f"ERROR chexphi: {raised.value}")
    assert not (tmp_path / "run" / "model").exists()
    assert not (tmp_path / "run" / "completions.jsonl").read_text()  # no zero in place of a reward


def test_a_reward_that_fails_later_leaves_the_log_and_the_last_checkpoint(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, own: None
) -> None:
    out, saving = tmp_path / "run", ["--save_strategy=steps", "--save_steps=1", "--max_steps=4"]
    with pytest.raises(RewardError, match=r"mine:third raised ZeroDivisionError on row ") as raised:
        run(tiny_model_dir, pool, out, "--rewards", "mine:third", *saving)
    ids = {example.id for example in read_examples(pool)}
    assert str(raised.value).split("row ")[1].split()[0] in ids
    assert str(raised.value) in (out / "train.log").read_text()
    assert [row.step for row in completions.read(out / "completions.jsonl")] == [1] * 8 + [2] * 8
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    assert {path.name for path in out.glob("checkpoint-*")} == {"checkpoint-1", "checkpoint-2"}
    (tmp_path / "mine.py").write_text("def third(completions, **_): return [0.0] * len(completions)\n")
    sys.modules.pop("mine")
    importlib.invalidate_caches()
    run(tiny_model_dir, pool, out, "--rewards", "mine:third", *saving, "--resume=true")  # mended
    rows = list(completions.read(out / "completions.jsonl"))
    assert [row.step for row in rows] == [step for step in (1, 2, 3, 4) for _ in range(8)]


@pytest.mark.parametrize("masked", ["true", "false"])
def test_completions_that_are_all_truncated_earn_the_floor(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, masked: str
) -> None:
    never = '--generation_kwargs={"min_new_tokens": 6}'  # no end token before the limit
    flags = [never, "--max_completion_length=6", f"--mask_truncated_completions={masked}"]
    out = run(tiny_model_dir, pool, tmp_path / "run", *flags)
    rows = list(completions.read(out / "completions.jsonl"))
    assert all(row.truncated and row.total == 0 for row in rows)
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()][:2]
    assert [step["malformed/truncated"] for step in steps] == [1.0, 1.0]
    assert [step["completions/clipped_ratio"] for step in steps] == [1.0, 1.0]
    assert [step["loss"] for step in steps] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rewards", "external_kg"], "did you mean external_kg_jac"),
        (["--rewards", "nowhere:reward"], "no module nowhere"),
        (["--rewards", "radeval:bleu"], "needs the library radeval"),
        (["--combine=gated", "--gate=format"], "gate is 'format'"),
        (["--combine=product", "--reward_weights", "1", "-1"], "in a product give at least 0"),
    ],
)
def test_bad_rewards_stop_before_a_folder_is_made(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(tiny_model_dir, pool, tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()


def test_the_originals_rewards_train(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    out = run(tiny_model_dir, pool, tmp_path / "run", "--compat=original", "--max_steps=1")
    rows = list(completions.read(out / "completions.jsonl"))
    assert all(row.rewards["external_kg_jac"] is not None for row in rows)
