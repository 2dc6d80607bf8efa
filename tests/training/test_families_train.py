"""Other families run the shipped recipes on drawn films; their YAML differs in the model alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_families
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from chexphi import config
from chexphi.data.read import read_examples
from chexphi.evaluation import evaluate
from chexphi.mining import score
from chexphi.models import policy
from chexphi.training import completions, grpo, grpo_run, sft, shared_prompt_logps
from chexphi.training.dataset import grpo_dataset

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SMALL = [
    "--max_steps=2", "--per_device_train_batch_size=4", "--gradient_accumulation_steps=2",
    "--save_strategy=no", "--disable_tqdm=true", "--lora_rank=4", "--lora_alpha=8",
]  # fmt: skip
GROUPS = ["--num_generations=2", "--max_completion_length=8"]
MODEL_SECTION = {"model", "dynamic_hd", "lora_rank", "lora_alpha"}


@pytest.fixture(scope="module", params=tiny_families.BUILDERS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_families.folder(request.param, tmp_path_factory)
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def mixed(films: Path) -> Path:
    """Three questions each of none, one and two films."""
    pool = films / "annotations" / "pool" / "train.json"
    found = {1: [], 2: []}
    for row in json.loads(pool.read_text()):
        found[len(row["images"])].append(row)
    rows = [*({**row, "images": []} for row in found[1][3:6]), *found[1][:3], *found[2][:3]]
    path = films / "annotations" / "mixed" / "train.json"
    path.parent.mkdir()
    path.write_text(json.dumps(rows))
    assert [len(example.images) for example in read_examples(path)] == [0] * 3 + [1] * 3 + [2] * 3
    return path


def train(stage: Any, model: Path, data: Path, out: Path, *flags: str) -> Path:
    return stage.main(
        *stage.parse([*flags, "--model", str(model), "--data", str(data), "--out", str(out), *SMALL])
    )


def train_saving(model: Path, data: Path, out: Path, *flags: str) -> Path:
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *SMALL, *flags]
    return sft.main(*sft.parse([*argv, "--save_strategy=steps", "--save_steps=1"]))


def test_the_sft_recipe_differs_in_the_model_alone() -> None:
    phi4, other = (config.read_yaml(CONFIGS / name) for name in ("sft.yaml", "sft_other_vlm.yaml"))
    different = {key for key in phi4 | other if phi4.get(key) != other.get(key)}
    assert different <= MODEL_SECTION
    for name in ("grpo_kg.yaml", "evaluate.yaml"):  # serve every family as they are
        assert not MODEL_SECTION & {key for key, value in config.read_yaml(CONFIGS / name).items() if value}


def test_the_shipped_recipes_run(base: Path, films: Path, mixed: Path, tmp_path: Path) -> None:
    data = films / "annotations" / "sft" / "train.json"
    flags = ["--config", str(CONFIGS / "sft_other_vlm.yaml"), "--learning_rate=1e-2"]
    start = train(sft, base, data, tmp_path / "sft", *flags) / "model"
    flags = ["--config", str(CONFIGS / "grpo_kg.yaml"), "--learning_rate=1e-2", *GROUPS]
    out = train(grpo, start, mixed, tmp_path / "grpo", *flags)
    for folder in (start, out / "model"):  # what a user shares: no pickle, no card with paths
        assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {
            ".safetensors",
            ".json",
            ".jinja",
            ".md",
        }
        assert str(tmp_path) not in (folder / "README.md").read_text()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["size"]  # what shapes a film
    names = manifest["trainable"]["names"]
    assert all("lm_head" in name or "model.language_model.layers." in name for name in names)
    rows = list(completions.read(out / "completions.jsonl"))
    assert len(rows) == 16
    assert all(len(row.token_ids) == len(row.per_token_logps) > 0 for row in rows)
    learned = policy.load(out / "model")[0].state_dict()
    assert all(torch.count_nonzero(tensor) for name, tensor in learned.items() if ".lora_B." in name)
    old, new = (
        f"base_model.model.lm_head.{kind}.weight" for kind in ("original_module", "modules_to_save.default")
    )
    assert not torch.equal(learned[old], learned[new])
    model = ["--model", str(out / "model"), "--max_new_tokens=6"]
    argv = ["--config", str(CONFIGS / "evaluate.yaml"), "--data", str(films / "annotations" / "valid")]
    argv += ["--out", str(tmp_path / "evaluate"), "--tokens", "--answer_samples=1"]
    assert evaluate.main(evaluate.parse([*argv, *model]))["n"] == 8
    found = score.main(
        score.parse([*model, "--data", str(mixed), "--out", str(tmp_path / "mine"), "--samples=2"])
    )
    assert found["rows"] == 9


def test_logged_log_probabilities_equal_an_independent_forward(
    base: Path, mixed: Path, tmp_path: Path
) -> None:
    """Sampled all but greedily, so what was sampled is known as well: the likeliest tokens."""
    flags = ["--config", str(CONFIGS / "grpo_kg.yaml"), "--learning_rate=0", *GROUPS]
    out = train(grpo, base, mixed, tmp_path / "run", *flags, "--temperature=0.00001")
    rows = list(completions.read(out / "completions.jsonl"))
    model = AutoModelForImageTextToText.from_pretrained(base)  # the library's own: nothing of ours
    processor = AutoProcessor.from_pretrained(base)
    examples = read_examples(mixed)
    dataset = grpo_dataset(examples, mixed.parents[2] / "images")
    items = {example.id: dataset[index] for index, example in enumerate(examples)}
    assert {len(items[row.id]["images"]) for row in rows} == {0, 1, 2}
    placeholders = policy.load(base)[0].placeholder_ids
    for row in rows:
        item = items[row.id]
        text = processor.apply_chat_template(item["prompt"], add_generation_prompt=True)
        inputs = processor(
            text=[text], images=item["images"] or None, add_special_tokens=False, return_tensors="pt"
        )
        ids = torch.tensor([row.token_ids])
        for name, value in (("input_ids", ids), ("attention_mask", torch.ones_like(ids))):
            inputs[name] = torch.cat([inputs[name], value], dim=1)
        for name in {"token_type_ids", "mm_token_type_ids"} & inputs.keys():
            inputs[name] = torch.cat([inputs[name], torch.zeros_like(ids)], dim=1)
        with torch.no_grad():
            logits = model(**inputs).logits[0, -len(row.token_ids) - 1 : -1]
        expected = logits.double().log_softmax(-1).gather(1, ids.T)[:, 0]
        assert row.per_token_logps == pytest.approx(expected.tolist(), abs=1e-4)
        logits[:, placeholders] = -torch.inf  # never sampled, however likely
        assert row.token_ids == tuple(logits.argmax(-1).tolist())


def test_a_resumed_run_of_a_whole_model_has_the_weights_of_its_checkpoint(
    base: Path, mixed: Path, tmp_path: Path
) -> None:
    """Names of tensors on the disk are the published ones, and in some families not the class's."""
    flags = ["--trainable=all", "--learning_rate=1e-2", "--gradient_checkpointing=false", "--logging_steps=1"]
    out = train_saving(base, mixed, tmp_path / "run", *flags)
    whole = (out / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(out / "model")
    shutil.rmtree(out / "checkpoint-2")
    train_saving(base, mixed, out, *flags, "--resume")
    assert (out / "model" / "model.safetensors").read_bytes() == whole


@pytest.mark.parametrize("checkpointing", [pytest.param("false", marks=pytest.mark.slow), "true"])
def test_with_shared_prompts_the_run_is_the_plain_one(
    base: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpointing: str
) -> None:
    """With none, one and two films, a reference and a full head; a reward that tells completions apart."""

    def letters(completions: list[Any], **columns: Any) -> list[float]:
        return [float(len(set(completion[0]["content"]))) for completion in completions]

    monkeypatch.setattr(grpo_run, "reward_functions", lambda *args: [letters])
    packed: list[int] = []
    pack = shared_prompt_logps.packed_rows.pack
    monkeypatch.setattr(
        shared_prompt_logps.packed_rows,
        "pack",
        lambda *args, **how: packed.append(len(args[3].first_rows)) or pack(*args, **how),
    )
    flags = ["--learning_rate=1e-4", "--beta=0.1", f"--gradient_checkpointing={checkpointing}", *GROUPS]
    runs = []
    for share in ("true", "false"):
        out = train(grpo, base, mixed, tmp_path / share, *flags, f"--share_prefix={share}")
        losses = [json.loads(line).get("loss") for line in (out / "metrics.jsonl").read_text().splitlines()]
        weights = policy.load(out / "model")[0].state_dict()
        runs.append((list(completions.read(out / "completions.jsonl")), losses, weights))
    assert packed == [2] * len(packed)
    assert len(packed) >= 8  # policy and reference, two micro-batches, two steps
    for one, other in zip(runs[0][0], runs[1][0], strict=True):
        assert one.token_ids == other.token_ids
        assert one.per_token_logps == pytest.approx(other.per_token_logps, abs=1e-4)
    assert runs[0][1][:2] == pytest.approx(runs[1][1][:2], abs=1e-5)
    moved = torch.cat([(runs[0][2][name] - runs[1][2][name]).abs().flatten() for name in runs[0][2]])
    assert moved.mean() < 1e-6


@pytest.mark.parametrize(("kind", "setting"), [("qwen2_5_vl", "all"), ("gemma3", "lm_head")])
def test_trained_tensors_of_the_base_are_saved_for_everyone(
    kind: str, setting: str, mixed: Path, tmp_path: Path
) -> None:
    """With a full reference model; a tied `lm_head` is untied; plain transformers reads the result."""
    base = tmp_path / "base"
    tiny_families.BUILDERS[kind](base, tiny_families.TEXTS, tied=True)
    out = train(sft, base, mixed, tmp_path / "sft", "--trainable", setting, "--learning_rate=1e-2")
    flags = ["--config", str(CONFIGS / "grpo_kg.yaml"), *GROUPS, "--trainable", setting]
    out = train(grpo, out / "model", mixed, tmp_path / "run", *flags) / "model"
    before, after = (policy.load(folder)[0].state_dict() for folder in (base, out))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    if setting == "lm_head":
        assert moved == {"lm_head.weight"}
    else:
        assert any("vision_tower" in name or "visual" in name for name in moved)
        assert any("language_model.layers" in name for name in moved)
    plain = AutoModelForImageTextToText.from_pretrained(out).state_dict()
    assert all(torch.equal(after[name], plain[name]) for name in after)
