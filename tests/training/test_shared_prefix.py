"""GRPO with the prompts of a batch read once: the same run as with each read for every completion."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from chexphi.data.read import read_examples
from chexphi.models import policy
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.schema import InputError
from chexphi.training import completions, grpo, grpo_run, micro_batches, shared_prompt_logps
from chexphi.training.dataset import grpo_dataset

FLAGS = [
    "--learning_rate=1e-4", "--num_generations=4", "--max_completion_length=10", "--max_steps=3",
    "--disable_tqdm=true", "--save_strategy=no", "--lora_rank=4", "--lora_alpha=8",
]  # fmt: skip


@pytest.fixture(autouse=True)
def spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that tells the completions of an untrained model apart."""

    def letters(completions: list[Any], **columns: Any) -> list[float]:
        return [float(len(set(completion[0]["content"]))) for completion in completions]

    monkeypatch.setattr(grpo_run, "reward_functions", lambda *args: [letters])


def run(model: Path, films: Path, out: Path, *flags: str) -> Path:
    data = films / "annotations" / "pool" / "train.json"
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *FLAGS, *flags]
    return grpo.main(*grpo.parse(argv))


MORE = [
    ["--per_device_train_batch_size=8", "--beta=0.1"],
    ["--per_device_train_batch_size=8", "--beta=0.1", "--trainable=all", "--temperature=0.7"],
    ["--per_device_train_batch_size=4", "--gradient_accumulation_steps=2", "--beta=0.1"],
    ["--per_device_train_batch_size=8", "--attn_implementation=eager", "--temperature=0.9"],
    ["--per_device_train_batch_size=8", "--cache_implementation=static"],
]


@pytest.mark.parametrize(
    "flags",
    [
        ["--per_device_train_batch_size=8", "--beta=0.1", "--gradient_checkpointing=true"],
        ["--per_device_train_batch_size=4", "--gradient_accumulation_steps=2", "--steps_per_generation=4"],
        # groups that a micro-batch cuts, rows without a loss, models without a cache
        ["--per_device_train_batch_size=6", "--gradient_accumulation_steps=2", "--beta=0.1"],
        ["--per_device_train_batch_size=8", "--beta=0.1", "--mask_truncated_completions=true"],
        ["--per_device_train_batch_size=8", '--generation_kwargs={"use_cache": false}'],
        *(pytest.param(flags, marks=pytest.mark.slow) for flags in MORE),
    ],
)
def test_the_run_is_the_plain_one(
    flags: list[str], tiny_model_dir: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[int] = []
    pack = shared_prompt_logps.packed_rows.pack
    monkeypatch.setattr(
        shared_prompt_logps.packed_rows,
        "pack",
        lambda *args, **how: packed.append(len(args[0]) - len(args[3].first_rows)) or pack(*args, **how),
    )
    ours = run(tiny_model_dir, films, tmp_path / "shared", *flags)
    assert sum(packed) > 0
    count = len(packed)
    plain = run(tiny_model_dir, films, tmp_path / "plain", *flags, "--share_prefix=false")
    assert len(packed) == count
    first, second = (list(completions.read(out / "completions.jsonl")) for out in (ours, plain))
    if "--steps_per_generation=4" not in flags:  # there the order of rows decides which step sees which
        assert [row.token_ids for row in first] == [row.token_ids for row in second]
        for one, other in zip(first, second, strict=True):
            assert one.per_token_logps == pytest.approx(other.per_token_logps, abs=1e-4)
        losses = [
            [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()[:-1]]
            for out in (ours, plain)
        ]
        assert losses[0] == pytest.approx(losses[1], abs=1e-6)
        a, b = (policy.load(out / "model")[0].state_dict() for out in (ours, plain))
        # Adam's first steps are as large for a tiny gradient as for a large one: compare in the mean
        moved = torch.cat([(a[name] - b[name]).abs().flatten() for name in a])
        assert moved.mean() < 1e-6


@pytest.mark.slow
def test_fifty_steps_with_and_without(tiny_model_dir: Path, films: Path, tmp_path: Path) -> None:
    """The same completions for 20 steps at least; after that a last bit may turn a draw, not the rewards."""
    flags = ["--max_steps=50", "--per_device_train_batch_size=8", "--beta=0.1", "--learning_rate=1e-3"]
    runs = []
    for share in ("true", "false"):
        out = run(tiny_model_dir, films, tmp_path / share, *flags, f"--share_prefix={share}")
        runs.append(list(completions.read(out / "completions.jsonl")))
    differ = [a.step for a, b in zip(*runs, strict=True) if a.token_ids != b.token_ids]
    assert min(differ, default=51) > 20
    totals = torch.tensor([[row.total for row in rows if row.step > 20] for rows in runs])
    error = (totals.var(1) / totals.shape[1]).sum().sqrt()
    assert abs(totals[0].mean() - totals[1].mean()) < 3 * error
    assert totals[0].std() > 0


def test_prompts_are_told_apart_by_what_is_in_their_films(
    tiny_model_dir: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One text with two films, a copy of the first under another name, and none."""
    rows = json.loads((films / "annotations" / "pool" / "train.json").read_text())
    first, second = [row for row in rows if len(row["images"]) == 1][:2]
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    for name, source in (("a", first), ("b", second), ("copy", first)):
        shutil.copy(films / "images" / source["images"][0], data / "images" / f"{name}.png")
    every = [
        {**first, "id": str(i), "images": own}
        for i, own in enumerate((["a.png"], ["b.png"], ["copy.png"], []))
    ]
    (data / "annotations").mkdir()
    (data / "annotations" / "train.json").write_text(json.dumps(every))
    packed: list[tuple[int, int]] = []
    pack = shared_prompt_logps.packed_rows.pack
    monkeypatch.setattr(
        shared_prompt_logps.packed_rows,
        "pack",
        lambda *args, **how: packed.append((len(args[0]), len(args[3].first_rows))) or pack(*args, **how),
    )
    flags = ["--per_device_train_batch_size=16", "--beta=0.1", "--image_root", str(data / "images")]
    runs = []
    for share in ("true", "false"):
        argv = [
            "--model",
            str(tiny_model_dir),
            "--data",
            str(data / "annotations" / "train.json"),
            *FLAGS,
            *flags,
        ]
        out = grpo.main(*grpo.parse([*argv, "--out", str(tmp_path / share), f"--share_prefix={share}"]))
        runs.append(list(completions.read(out / "completions.jsonl")))
    assert packed == [(16, 3)] * 6  # policy and reference
    for one, other in zip(*runs, strict=True):
        assert one.token_ids == other.token_ids
        assert one.per_token_logps == pytest.approx(other.per_token_logps, abs=1e-4)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"max_position_embeddings": 64}, "pass the 64 positions that the model has"),
        ({"original_max_position_embeddings": 64}, "cross the 64 positions at which the model changes its"),
    ],
)
def test_a_prompt_too_long_for_the_model_is_named(
    tiny_model_dir: Path, films: Path, tmp_path: Path, limit: dict[str, int], message: str
) -> None:
    """Before anything is written; one token less is taken."""
    model = tmp_path / "model"
    shutil.copytree(tiny_model_dir, model)
    config = json.loads((model / "config.json").read_text())
    config |= limit
    if "original_max_position_embeddings" in limit:
        half = config["hidden_size"] // config["num_attention_heads"] // 2
        config["rope_parameters"] |= {"rope_type": "longrope", **limit}
        config["rope_parameters"] |= {"short_factor": [1.0] * half, "long_factor": [4.0] * half}
    (model / "config.json").write_text(json.dumps(config))
    data = films / "annotations" / "pool" / "train.json"
    examples = read_examples(data)
    processor = policy.load(tiny_model_dir)[1]
    item = grpo_dataset(examples, films / "images")[5]
    text = processor.apply_chat_template(item["prompt"], add_generation_prompt=True)
    tokens = len(processor(text=[text], images=[item["images"]])["input_ids"][0])
    one = tmp_path / "one.json"
    one.write_text(json.dumps([json.loads(data.read_text())[5]]))
    out = tmp_path / "run"
    argv = ["--model", model, "--data", one, "--out", out, "--image_root", films / "images", *FLAGS]
    argv += ["--per_device_train_batch_size=4", "--max_steps=1"]
    room = 64 - tokens + 1
    said = (
        f"the {tokens} tokens of example {examples[5].id} and the {room} of max_completion_length {message}"
    )
    with pytest.raises(InputError, match=said):
        grpo.main(*grpo.parse([*map(str, argv), f"--max_completion_length={room}"]))
    assert not out.exists()
    grpo.main(*grpo.parse([*map(str, argv), f"--max_completion_length={room - 1}"]))


def test_why_a_model_cannot_share(tiny_model_dir: Path) -> None:
    model = policy.load(tiny_model_dir)[0]

    def sharing(*, share_prefix: bool = True, sharded: bool = False) -> SharedPrompts:
        return SharedPrompts.for_training([model], share_prefix=share_prefix, sharded=sharded)

    def why_not(*, sharded: bool = False) -> str:
        assert not sharing(sharded=sharded).in_training
        assert sharing(sharded=sharded).reads_once(model)  # in generation, until it drops out values
        return str(sharing(sharded=sharded).why_not_in_training)

    assert "weights are split between processes" in why_not(sharded=True)
    assert sharing() == SharedPrompts()
    assert sharing().in_training
    off = sharing(share_prefix=False)
    assert "share_prefix is false" in str(off.why_not)
    assert not any((off.in_training, off.reads_once(model), off.holds_once(model)))
    model.config._attn_implementation_internal = "flash_attention_2"
    assert "flash_attention_2 attention cannot read packed rows" in why_not()
    model.model.layers[0].self_attn.attention_dropout = 0.1
    assert "the model uses dropout" in why_not()
    assert not sharing().reads_once(model.train())


def test_a_run_that_cannot_share_says_so_once_and_reads_plainly(
    tiny_model_dir: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model_dir, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.1}))
    monkeypatch.setattr(shared_prompt_logps.packed_rows, "pack", None)
    flags = ["--per_device_train_batch_size=8", "--max_steps=1", "--beta=0.1"]
    said = (run(model, films, tmp_path / "out", *flags) / "train.log").read_text()
    assert said.count("prompts are not shared: the model uses dropout") == 1


@pytest.mark.parametrize("seed", range(3))
def test_completions_of_a_prompt_stay_together(seed: int) -> None:
    order = torch.randperm(24, generator=torch.Generator().manual_seed(seed)).tolist()
    rows = micro_batches.keep_groups_together(order, 4)
    assert sorted(rows) == sorted(order)
    assert all(len({row // 4 for row in rows[i : i + 4]}) == 1 for i in range(0, 24, 4))
    assert micro_batches.keep_groups_together(order, 1) == order
