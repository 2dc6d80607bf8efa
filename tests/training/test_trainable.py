"""What learns: chosen by name, moved by training and by nothing else, saved and loaded again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from chexphi.models import adapter, policy, policy_folder, trainable, what_learns
from chexphi.models.families import phi4
from chexphi.models.lora_names import TARGETS
from chexphi.schema import InputError
from chexphi.training import grpo, grpo_run, sft

GRPO = [
    "--learning_rate=1e-2", "--per_device_train_batch_size=8", "--num_generations=4", "--max_steps=2",
    "--max_completion_length=8", "--disable_tqdm=true", "--save_strategy=steps", "--save_steps=2",
    "--beta=0.1", "--temperature=1.0",
]  # fmt: skip
LORA = r"\.layers\.\d+\.(self_attn\.(qkv_proj|o_proj)|mlp\.(gate_up_proj|down_proj))\.lora_[AB]\."


@pytest.fixture(scope="module")
def lora_base(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model, tied, with a vision LoRA beside it that looks trained (B is not zero)."""
    folder = tmp_path_factory.mktemp("lora_base") / "base"
    shutil.copytree(tiny_model_dir, folder)
    model, _ = phi4.load(folder)
    assert model.config.tie_word_embeddings
    model = adapter.with_new_lora(model, targets=TARGETS, rank=4, alpha=8, with_head=False)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(str(folder / policy_folder.VISION_ADAPTER))
    return folder


@pytest.fixture(scope="module")
def headed(lora_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy trained from it: an adapter with an `lm_head` of its own, which is not the embedding."""
    folder = tmp_path_factory.mktemp("headed") / "model"
    model, processor = policy.load(lora_base, with_head=True)
    model.get_base_model().lm_head.modules_to_save["default"].weight.data += 0.05
    model.save_pretrained(str(folder))
    processor.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def untied(lora_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an `lm_head` whose tensor is its own."""
    folder = tmp_path_factory.mktemp("untied") / "base"
    shutil.copytree(lora_base, folder)
    model, _ = phi4.load(folder)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight + 0.05)
    model.config.tie_word_embeddings = False
    model.save_pretrained(str(folder))
    assert "lm_head.weight" in load_file(folder / "model.safetensors")
    return folder


def train(stage: Any, model: Path, films: Path, out: Path, *flags: str) -> Path:
    part = "pool" if stage is grpo else "sft"
    data = films / "annotations" / part / "train.json"
    return stage.main(*stage.parse(["--model", str(model), "--data", str(data), "--out", str(out), *flags]))


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that tells the completions of an untrained model apart; without one nothing moves."""

    def letters(completions: list[Any], **columns: Any) -> list[float]:
        return [float(len(set(completion[0]["content"]))) for completion in completions]

    monkeypatch.setattr(grpo_run, "reward_functions", lambda *args: [letters])


def moved(before: Any, after: Any) -> set[str]:
    old, new = before.state_dict(), after.state_dict()
    assert old.keys() == new.keys()
    return {name for name in old if not torch.equal(old[name], new[name])}


@pytest.mark.parametrize("setting", ["vision_lora", "vision_lora+lm_head"])
@pytest.mark.parametrize("start", ["lora_base", "headed", "untied"])
def test_an_adapter_moves_and_the_reference_and_the_base_stay(
    setting: str,
    start: str,
    films: Path,
    tmp_path: Path,
    spread: None,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = request.getfixturevalue(start)
    head, trainers, finish = "lm_head.modules_to_save.default.weight", [], grpo_run.finish
    monkeypatch.setattr(grpo_run, "finish", lambda *asked: (trainers.append(asked[0]), finish(*asked)))
    out = train(grpo, folder, films, tmp_path / "run", *GRPO, "--trainable", setting)
    before = policy.load(folder, with_head=setting != "vision_lora")[0]
    after = policy.load(out / "model")[0]
    names = {name.removeprefix("base_model.model.") for name in moved(before, after)}
    loras = {name for name in before.get_base_model().state_dict() if ".lora_" in name}
    assert names == loras | ({head} if setting == "vision_lora+lm_head" else set())
    assert len(loras) == 2 * 4 * before.config.num_hidden_layers
    # the reference adapter is still the policy that was started from, and is written nowhere
    reference = {
        name.replace(".ref.", ".default."): tensor
        for name, tensor in trainers[0].model.state_dict().items()
        if ".ref." in name
    }
    started = before.state_dict()
    assert reference.keys() == {name for name in started if ".default." in name}
    for name, tensor in reference.items():
        assert torch.equal(tensor, started[name])
    assert not list(out.rglob("ref"))
    manifest = json.loads((out / "manifest.json").read_text())["trainable"]
    assert manifest["tensors"] == len(names) == len(manifest["names"])


@pytest.mark.parametrize(
    "setting", ["all", r"lm_head", r"image_embed\.img_projection|layers\.1\.mlp", r"embed_tokens\.weight"]
)
def test_tensors_of_the_base_move_and_no_others(
    setting: str, lora_base: Path, films: Path, tmp_path: Path, spread: None, caplog: pytest.LogCaptureFixture
) -> None:
    out = train(grpo, lora_base, films, tmp_path / "run", *GRPO, "--trainable", setting)
    assert re.search(r"second model of [1-9]\d* MB", caplog.text)
    before = adapter.merged(policy.load(lora_base)[0])
    after = phi4.load(out / "model")[0]  # the adapter is part of the weights
    names = moved(before, after)
    expected = {name for name in before.state_dict() if setting == "all" or trainable.select([name], ".")}
    if setting == "all":
        assert not any("audio" in name for name in names)
        assert {"lm_head.weight", "model.embed_tokens.weight"} < names < expected
    elif setting == "lm_head":
        assert names == {"lm_head.weight"}  # untied: the input embedding stays
    elif "mlp" in setting:
        assert {name.split(".")[2] for name in names} == {"1", "image_embed"}
    else:
        assert names == {"lm_head.weight", "model.embed_tokens.weight"}  # one tensor, tied


def test_a_base_without_a_lora_gets_one(tiny_model_dir: Path, films: Path, tmp_path: Path) -> None:
    flags = ["--lora_rank=3", "--lora_alpha=6", "--per_device_train_batch_size=4", "--save_strategy=no"]
    flags += [
        "--max_steps=2",
        "--learning_rate=1e-2",
        "--disable_tqdm=true",
        "--gradient_checkpointing=false",
    ]
    out = train(sft, tiny_model_dir, films, tmp_path / "run", *flags)
    config = json.loads((out / "model" / adapter.CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["modules_to_save"]) == (3, 6, ["lm_head"])
    after = policy.load(out / "model")[0]
    base = phi4.load(tiny_model_dir)[0].state_dict()
    trained = after.get_base_model().state_dict()
    plain = {
        name.replace(".base_layer.", ".").replace(".original_module.", "."): v for name, v in trained.items()
    }
    assert all(torch.equal(base[name], plain[name]) for name in base)
    assert all(torch.count_nonzero(v) for name, v in trained.items() if ".lora_B." in name)
    assert not torch.equal(after.get_output_embeddings().weight, base["lm_head.weight"])


def test_a_resumed_adapter_ends_where_an_unbroken_one_does(
    lora_base: Path, films: Path, tmp_path: Path
) -> None:
    flags = ["--per_device_train_batch_size=4", "--max_steps=4", "--save_strategy=steps", "--save_steps=2"]
    flags += ["--learning_rate=1e-2", "--disable_tqdm=true", "--gradient_checkpointing=false"]
    out = train(sft, lora_base, films, tmp_path / "run", *flags)
    whole = policy.load(out / "model")[0].state_dict()
    (out / "checkpoint-4" / "trainer_state.json").unlink()
    train(sft, lora_base, films, out, *flags, "--resume=true")
    again = policy.load(out / "model")[0].state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_merged_weights_say_what_the_adapter_says(headed: Path, tmp_path: Path) -> None:
    model, processor = policy.load(headed)
    inputs = processor(text=["<|user|>\nIs it?<|end|>\n<|assistant|>\n"], return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits
        adapter.merged(model).save_pretrained(str(tmp_path / "merged"))
        processor.save_pretrained(str(tmp_path / "merged"))
        found = policy.load(tmp_path / "merged")[0](**inputs).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_merging_in_bf16_rounds_once(lora_base: Path) -> None:
    model = policy.load(lora_base, dtype="bfloat16")[0]
    model = model.to(torch.bfloat16)
    state = {name: value.double() for name, value in model.get_base_model().state_dict().items()}
    merged = adapter.merged(model).state_dict()
    for name in [name for name in state if ".base_layer." in name]:
        stem = name.removesuffix("base_layer.weight")
        delta = 2 * state[f"{stem}lora_B.default.weight"] @ state[f"{stem}lora_A.default.weight"]
        wanted = (state[name] + delta).to(torch.bfloat16)
        found = merged[f"{stem}weight"]
        assert found.dtype == torch.bfloat16
        assert (found == wanted).float().mean() > 0.99  # fp32 sums may fall on the other side of a half


def test_weights_in_bf16_learn_in_fp32_and_log_probabilities_are_fp32(
    lora_base: Path, films: Path, tmp_path: Path
) -> None:
    base = tmp_path / "bf16"
    shutil.copytree(lora_base, base)
    phi4.load(lora_base, dtype="bfloat16")[0].save_pretrained(str(base))
    model, processor = policy.load(base, with_head=True)
    assert model.get_base_model().model.embed_tokens.weight.dtype == torch.bfloat16
    model = trainable.prepare(model, what_learns.DEFAULT, targets="", rank=1, alpha=1)
    types = {p.requires_grad: p.dtype for p in model.parameters()}
    assert types == {True: torch.float32, False: torch.bfloat16}
    inputs = processor(text=["<|user|>\nIs it?<|end|>\n<|assistant|>\n"], return_tensors="pt")
    assert model(**inputs).logits.dtype == torch.float32
    out = train(grpo, base, films, tmp_path / "run", *GRPO, "--bf16=true")
    kept = load_file(out / "model" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}
    again = policy.load(out / "model")[0]
    assert torch.equal(again.get_output_embeddings().weight, kept["base_model.model.lm_head.weight"])
    assert again(**inputs).logits.dtype == torch.float32
    full = train(
        sft, base, films, tmp_path / "all", "--trainable=all", "--max_steps=1", "--disable_tqdm=true"
    )
    assert phi4.load(full / "model")[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--trainable=vison_lora"], r"'vison_lora', which names no parameter: use vision_lora"),
        (["--trainable=(lm"], "not a regular expression"),
        (["--trainable="], r"^trainable is empty: use vision_lora, .*, all or a pattern of parameter names$"),
        (["--dtype=int8"], "dtype is 'int8': use auto, float32, bfloat16"),
        (["--attn-implementation=flash"], "'flash': use sdpa, eager"),
        (["--use_flash_attention"], "needs the package flash-attn, which is not installed"),
        (["--use-flash-attention"], "needs the package flash-attn, which is not installed"),
        (["--lora_rank=0"], "lora_rank is 0"),
    ],
)
def test_bad_settings_are_one_sentence(
    flags: list[str], message: str, tiny_model_dir: Path, films: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train(sft, tiny_model_dir, films, tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()


def test_the_originals_variable() -> None:
    frozen = {"FREEZE_NON_VISION_PARAMS": "1"}
    assert what_learns.setting(what_learns.DEFAULT, frozen) == what_learns.DEFAULT
    assert what_learns.setting("vision_lora", frozen) == "vision_lora"
    assert what_learns.setting("all", {"FREEZE_NON_VISION_PARAMS": "0"}) == what_learns.setting("all", {})
    with pytest.raises(InputError, match="FREEZE_NON_VISION_PARAMS=1 freezes all but"):
        what_learns.setting("all", frozen)


def test_what_learns_is_said_in_few_lines(lora_base: Path) -> None:
    model = trainable.prepare(
        policy.load(lora_base, with_head=True)[0], what_learns.DEFAULT, targets="", rank=1, alpha=1
    )
    found = trainable.summary(model)
    whole = phi4.load(lora_base)[0]
    lora = sum(t.numel() for t in load_file(lora_base / "vision-lora" / "adapter_model.safetensors").values())
    head = whole.lm_head.weight.numel()
    assert found["parameters"] == lora + head
    assert found["share"] == pytest.approx(
        (lora + head) / (sum(p.numel() for p in whole.parameters()) + lora + head)
    )
    lines = trainable.summary_lines(found)
    assert len(lines) == 1 + 8 + 1
    assert "model.layers.*.mlp.down_proj.lora_A.weight (layers 0 to 3)" in lines


def test_that_all_learns_is_one_line(lora_base: Path) -> None:
    model = trainable.prepare(phi4.load(lora_base)[0], "all", targets="", rank=1, alpha=1)
    (line,) = trainable.summary_lines(trainable.summary(model))
    assert line.endswith("learn, 100.00% of the model")
