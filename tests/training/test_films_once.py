"""Runs of the stages in which a frozen tower reads each film once, a step or a run, and what they come to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_families
import torch
from torch import Tensor
from transformers.models.gemma3 import modeling_gemma3
from transformers.models.phi4_multimodal import modeling_phi4_multimodal
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl
from transformers.models.qwen3_vl import modeling_qwen3_vl
from transformers.models.siglip import modeling_siglip

from chexphi.data.read import read_examples
from chexphi.evaluation import evaluate
from chexphi.mining import score
from chexphi.models import policy, trial_question
from chexphi.models.families import phi4
from chexphi.models.families.film_features import Tower
from chexphi.schema import InputError
from chexphi.training import completions, grpo, grpo_run, sft, shared_prompt_logps
from chexphi.training.dataset import grpo_dataset

FLAGS = [
    "--learning_rate=1e-3", "--num_generations=4", "--max_completion_length=8", "--max_steps=2",
    "--disable_tqdm=true", "--save_strategy=no", "--lora_rank=4", "--lora_alpha=8",
    "--per_device_train_batch_size=8",
]  # fmt: skip
ENTRIES = (
    modeling_phi4_multimodal.Phi4MultimodalVisionEmbeddings,
    modeling_siglip.SiglipVisionEmbeddings,
    modeling_qwen2_5_vl.Qwen2_5_VisionPatchEmbed,
    modeling_qwen3_vl.Qwen3VLVisionPatchEmbed,
)
"""What a tower sends films through first: of any copy of a model."""
assert modeling_gemma3  # its tower is SigLIP


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What went through any tower: crops, films or patches, a tensor a pass; not the blank film of a load."""
    seen: list[Tensor] = []
    ask = trial_question.check

    def asked(*args: Any) -> None:
        before = len(seen)
        ask(*args)
        del seen[before:]

    monkeypatch.setattr(trial_question, "check", asked)

    def counted(native: Any) -> Any:
        def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(next(iter([*args, *kwargs.values()])).detach())
            return native(self, *args, **kwargs)

        return forward

    for entry in ENTRIES:
        monkeypatch.setattr(entry, "forward", counted(entry.forward))
    return seen


@pytest.fixture(autouse=True)
def spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that tells the completions of an untrained model apart."""

    def letters(completions: list[Any], **columns: Any) -> list[float]:
        return [float(len(set(completion[0]["content"]))) for completion in completions]

    monkeypatch.setattr(grpo_run, "reward_functions", lambda *args: [letters])


def run(stage: Any, model: Path, data: Path, out: Path, *flags: str) -> Path:
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *flags]
    return stage.main(*stage.parse(argv))


def steps(out: Path, data: Path) -> list[int]:
    """Distinct films of each step, by the names in the data."""
    images = {example.id: example.images for example in read_examples(data)}
    found: dict[int, set[str]] = {}
    for row in completions.read(out / "completions.jsonl"):
        found.setdefault(row.step, set()).update(map(str, images[row.id]))
    return [len(found[step]) for step in sorted(found)]


def losses(out: Path) -> list[float]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


ADAPTER = ["--beta=0.1", "--temperature=0.9"]
MICRO = ["--per_device_train_batch_size=4", "--gradient_accumulation_steps=2"]


@pytest.mark.parametrize(
    "flags",
    [
        ADAPTER,
        [*ADAPTER, "--share_prefix=false"],
        [*ADAPTER, *MICRO, "--steps_per_generation=4"],  # an old-policy pass, two steps a generation
        [*ADAPTER, "--gradient_checkpointing=true"],
        ["--beta=0.1", "--trainable=lm_head"],  # the reference is a copy of the model
        ["--beta=0.1", "--trainable=img_projection|lm_head"],  # the projector learns
    ],
)
def test_each_film_of_a_step_is_read_once_and_the_run_is_the_same(
    flags: list[str],
    tiny_model_dir: Path,
    pool: Path,
    tmp_path: Path,
    reads: list[Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = run(grpo, tiny_model_dir, pool, tmp_path / "kept", *FLAGS, *flags)
    films = steps(kept, pool)
    assert min(films) > 1
    assert sum(map(len, reads)) == sum(films)  # a crop each
    assert len(reads) == len(films)
    reads.clear()
    monkeypatch.setattr(shared_prompt_logps, "keep_films", lambda *args, **kwargs: None)
    plain = run(grpo, tiny_model_dir, pool, tmp_path / "plain", *FLAGS, *flags)
    assert len(reads) >= 3 * len(films)  # generation, policy, reference
    assert losses(kept) == pytest.approx(losses(plain), abs=1e-6)
    first, second = (list(completions.read(out / "completions.jsonl")) for out in (kept, plain))
    assert [row.token_ids for row in first] == [row.token_ids for row in second]
    one, other = (policy.load(out / "model")[0].state_dict() for out in (kept, plain))
    moved = torch.cat([(one[name] - other[name]).abs().flatten() for name in one])
    assert moved.mean() < 1e-6


@pytest.mark.parametrize("kind", tiny_families.BUILDERS)
def test_in_every_family(
    kind: str, pool: Path, tmp_path: Path, reads: list[Tensor], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tiny_families.folder(kind, tmp_path_factory)
    assert base is not None
    out = run(grpo, base, pool, tmp_path / "run", *FLAGS, "--beta=0.1")
    assert len(reads) == 2
    processor = policy.load(base)[1]
    dataset, rows = (
        grpo_dataset(read_examples(pool), pool.parents[2] / "images"),
        completions.read(out / "completions.jsonl"),
    )
    items = {example.id: index for index, example in enumerate(read_examples(pool))}
    asked: dict[int, dict[bytes, Any]] = {}
    for row in rows:
        for film in dataset[items[row.id]]["images"]:
            asked.setdefault(row.step, {})[film.convert("L").tobytes()] = film
    for seen, films in zip(reads, asked.values(), strict=True):
        pixels = [
            processor.image_processor([film], return_tensors="pt")["pixel_values"] for film in films.values()
        ]
        assert len(seen) == sum(map(len, pixels))


def test_a_tower_that_learns_reads_in_every_pass(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, reads: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [*FLAGS, "--beta=0.1", "--trainable=all", "--learning_rate=1e-2"]
    out = run(grpo, tiny_model_dir, pool, tmp_path / "run", *flags)
    assert len(reads) == 6  # generation, policy and reference, of two steps
    assert sum(map(len, reads)) == 3 * sum(steps(out, pool))
    monkeypatch.setattr(shared_prompt_logps, "keep_films", lambda *args, **kwargs: None)
    plain = run(grpo, tiny_model_dir, pool, tmp_path / "plain", *flags)
    one, other = (policy.load(folder / "model")[0].state_dict() for folder in (out, plain))
    assert all(torch.equal(one[name], other[name]) for name in one)
    before = policy.load(tiny_model_dir)[0].state_dict()
    assert any(not torch.equal(one[name], before[name]) for name in one if "img_processor" in name)


@pytest.fixture
def few(pool: Path) -> Path:
    """Questions on four films: each comes in every epoch."""
    rows = [row for row in json.loads(pool.read_text()) if len(row["images"]) == 1]
    films: dict[str, Any] = {}
    for row in rows:
        films.setdefault(row["images"][0], row)
    path = pool.parents[1] / "few" / "train.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(list(films.values())[:4]))
    return path


def files(out: Path) -> dict[str, bytes]:
    paths = (out / "features").glob("*/*")
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def test_a_run_reads_a_film_once_and_a_resumed_one_not_again(
    tiny_model_dir: Path, few: Path, tmp_path: Path, reads: list[Tensor]
) -> None:
    flags = [*FLAGS, "--beta=0.1", "--save_strategy=steps", "--save_steps=2", "--cache_vision=true"]
    out, flags = tmp_path / "run", [*flags, "--max_steps=4"]
    run(grpo, tiny_model_dir, few, out, *flags)
    assert sum(map(len, reads)) == 4
    kept = files(out)
    assert len(kept) == 4
    assert all(name.endswith(".safetensors") for name in kept)
    reads.clear()
    shutil.rmtree(out / "checkpoint-4")
    run(grpo, tiny_model_dir, few, out, *flags, "--resume=true")
    assert reads == []
    assert files(out) == kept
    whole = run(grpo, tiny_model_dir, few, tmp_path / "whole", *flags)
    plain = run(grpo, tiny_model_dir, few, tmp_path / "plain", *FLAGS, "--beta=0.1", "--max_steps=4")
    assert losses(whole) == pytest.approx(losses(plain), abs=1e-6)
    assert files(whole) == kept  # content and weights name them, not the run


def test_sft_with_the_features_of_the_run(
    tiny_model_dir: Path, few: Path, tmp_path: Path, reads: list[Tensor]
) -> None:
    flags = [flag for flag in FLAGS if "generations" not in flag and "completion" not in flag]
    flags += ["--max_steps=6", "--per_device_train_batch_size=2", "--logging_steps=1"]
    plain = run(sft, tiny_model_dir, few, tmp_path / "plain", *flags)
    assert sum(map(len, reads)) == 12
    reads.clear()
    kept = run(sft, tiny_model_dir, few, tmp_path / "kept", *flags, "--cache_vision=true")
    assert sum(map(len, reads)) == 4
    assert losses(kept) == pytest.approx(losses(plain), abs=1e-6)


@pytest.mark.parametrize("stage", [evaluate, score])
@pytest.mark.parametrize("with_adapter", [False, True])
def test_questions_about_one_film_in_other_batches(
    stage: Any,
    with_adapter: bool,
    tiny_model_dir: Path,
    pool: Path,
    few: Path,
    tmp_path: Path,
    reads: list[Tensor],
) -> None:
    if with_adapter:
        tiny_model_dir = run(grpo, tiny_model_dir, few, tmp_path / "grpo", *FLAGS, "--max_steps=1") / "model"
        reads.clear()
    examples = read_examples(pool)
    argv = ["--model", str(tiny_model_dir), "--data", str(pool), "--batch_size=2", "--max_new_tokens=4"]
    distinct = {image for example in examples for image in example.images}
    assert len(distinct) < sum(len(example.images) for example in examples)
    stage.main(stage.parse([*argv, "--out", str(tmp_path / "run")]))
    assert sum(map(len, reads)) == len(distinct)
    assert not (tmp_path / "run" / "features").exists()
    out = tmp_path / "kept"
    stage.main(stage.parse([*argv, "--out", str(out), "--cache_vision=true"]))
    results = [name for name in ("predictions.jsonl", "scored.jsonl") if (out / name).exists()]
    assert (out / results[0]).read_text() == (tmp_path / "run" / results[0]).read_text()
    (out / results[0]).unlink()
    reads.clear()
    stage.main(stage.parse([*argv, "--out", str(out), "--cache_vision=true", "--resume=true"]))
    assert reads == []


def test_what_cannot_be_kept_is_one_sentence(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def refused(words: str, *flags: str) -> None:
        with pytest.raises(
            InputError, match=rf"^cache_vision is true and .*{words}.*: leave cache_vision out$"
        ):
            run(grpo, tiny_model_dir, pool, out, *FLAGS, "--cache_vision=true", *flags)
        assert not out.exists()

    refused("the vision tower learns", "--trainable=all")
    refused("the vision tower learns", "--trainable=img_processor.*q_proj")
    with monkeypatch.context() as patch:
        patch.setenv("ACCELERATE_USE_FSDP", "true")
        refused("weights are split between processes", "--trainable=vision_lora")
    model, processor = phi4.load(tiny_model_dir)
    model.config.vision_config.attention_dropout = 0.1
    tiny_model_dir = tmp_path / "model"
    model.save_pretrained(tiny_model_dir)
    processor.save_pretrained(tiny_model_dir)
    refused("uses dropout in training")
    argv = ["--model", str(tiny_model_dir), "--data", str(pool), "--limit=2", "--max_new_tokens=2"]
    score.main(score.parse([*argv, "--out", str(out), "--cache_vision=true"]))  # nothing is dropped here
    assert files(out)


def test_weights_spread_over_processes_keep_nothing(tiny_model_dir: Path) -> None:
    """A process that has its films would leave the others waiting for its part of the weights."""
    causal = policy.load(tiny_model_dir)[0]
    assert isinstance(causal.tower, Tower)
    assert shared_prompt_logps.keep_films(causal, None, sharded=True) is None
    assert causal.tower.features is None
