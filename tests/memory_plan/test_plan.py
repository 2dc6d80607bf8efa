"""`chexphi plan`: the settings it reads, the tokens and bytes that are known, and what it advises."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.cli.plan import table
from chexphi.memory_plan import plan, plan_changes, plan_settings
from chexphi.schema import InputError

ROOT = Path(__file__).resolve().parents[2]
GRPO = [
    "--stage=grpo",
    "--num_generations=4",
    "--per_device_train_batch_size=4",
    "--max_completion_length=128",
]


@pytest.fixture(scope="module")
def bare(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model's folder before anything is downloaded but its config."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copy(tiny_model_dir / "config.json", folder)
    return folder


@pytest.mark.parametrize(
    ("argv", "stage"),
    [
        (["--config", str(ROOT / "configs" / "grpo_kg.yaml")], "grpo"),
        (["--config", str(ROOT / "configs" / "sft.yaml")], "sft"),
        (["--config", str(ROOT / "configs" / "sft.yaml"), "--stage=sft"], "sft"),
        (["--num-generations=4"], "grpo"),
        (["--max-length=2048"], "sft"),
        (["--learning-rate=1e-4"], "sft"),  # of both
        (["--learning-rate=1e-4", "--stage", "grpo"], "grpo"),
    ],
)
def test_the_stage_is_the_one_that_knows_the_settings(argv: list[str], stage: str) -> None:
    fields, settings = plan.parse(argv)
    assert fields.stage == stage
    assert (settings.generated > 0) == (stage == "grpo")
    assert settings.bf16  # as on the GPU that is to be rented, not as on this machine


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--stage=evaluate"], "stage is 'evaluate'"),
        (["--image_size=2544"], "image_size is '2544'"),
        (["--image_size=0x64"], "image_size is '0x64'"),
        (["--films=-1"], "films is -1"),
        (["--memory=0"], "memory is 0"),
        (["--memory=nan"], "memory is nan"),
        (["--dtype=float16"], "dtype is 'float16'"),
        (["--dynamic_hd=37"], "dynamic_hd is 37"),
        (["--optim=adafactor"], "optim 'adafactor'"),
        ([*GRPO, "--use_vllm=true"], "vllm_gpu_memory_utilization"),
        (["--num_generation=4"], "num_generation"),
        (["--model=nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(argv: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        plan.parse(argv)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("phi4mm", "chexphi checkpoint import"), ("qwen2", "only 'phi4_multimodal' is counted")],
)
def test_other_models_are_refused(tmp_path: Path, kind: str, words: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(InputError, match=words):
        plan.parse([f"--model={tmp_path}"])


def test_film_tokens_are_those_of_the_processor(tiny_model_dir: Path, bare: Path) -> None:
    assert plan_settings.film(None, (448, 448), None) == (2, 545)  # 16 x 16 + 16 + 1 + 16 x 16 + 16
    assert plan_settings.film(None, (2000, 2500), 4)[1] == 1137
    assert plan_settings.film(tiny_model_dir, (64, 64), None) == (2, 13)
    assert plan_settings.film(bare, (64, 64), None) == (2, 13)  # crop and patch size of the config
    assert plan_settings.film(tiny_model_dir, (640, 640), None)[0] == 2  # its processor's dynamic_hd is 1


@pytest.mark.slow
def test_full_size_figures_that_are_known() -> None:
    _, settings = plan.parse(["--config", str(ROOT / "configs" / "grpo_kg.yaml"), "--image_size=448x448"])
    found = plan.plan(settings)
    head, lora = 200_064 * 3072, 369_098_752
    assert found["parameters"]["parameters"] == head + lora
    prompt, room = 64 + 545, 256  # held once, in fp32; own tokens have room for a multiple of 64
    expected = {
        "base": 2 * 4_744_004_032,
        "adapter": 4 * (head + lora),
        "reference": 4 * (head + lora),
        "optimiser": 8 * (head + lora),
        "films": 8 * 2 * 3 * 448 * 448 * 4,
        "features": 8 // settings.group * 256 * 1152 * 2,  # of the one tile that is the film, a film a prompt
    }
    assert found["always"] == {name: pytest.approx(size / 1e9) for name, size in expected.items()}
    generation = found["phases"]["generation"]
    assert generation["cache"] == pytest.approx(32 * 2 * 8 * 128 * (8 * room * 2 + prompt * 4) / 1e9)
    assert generation["logits"] == pytest.approx(8 * 200_064 * 4 / 1e9)
    assert found["peak"]["total"] == max(phase["total"] for phase in found["phases"].values())


def test_features_count_where_a_frozen_tower_keeps_them(bare: Path) -> None:
    def kept(*flags: str) -> int:
        found = plan.plan(plan.parse([f"--model={bare}", *flags])[1])
        return round(found["always"]["features"] * 1e9)

    assert kept(*GRPO) > 0
    assert kept(*GRPO, "--trainable=all") == kept(*GRPO, "--films=0") == kept("--stage=sft") == 0
    assert kept(*GRPO, "--cache_vision=true") == kept("--stage=sft", "--cache_vision=true") == 2**30


def test_checkpointing_flash_heads_and_references_count_as_they_should(bare: Path) -> None:
    def total(*flags: str) -> float:
        return float(plan.plan(plan.parse([f"--model={bare}", *GRPO, *flags])[1])["peak"]["total"])

    whole = total("--gradient_checkpointing=false")
    assert total("--gradient_checkpointing=true") < whole
    assert total("--gradient_checkpointing=false", "--trainable=vision_lora") < whole
    assert total("--gradient_checkpointing=false", "--beta=0.1") > whole
    assert total("--gradient_checkpointing=false", "--films=0") < whole
    assert total("--gradient_checkpointing=false", "--attn_implementation=eager") > whole
    assert total("--gradient_checkpointing=false", "--use_flash_attention") == whole


def test_an_adapter_brings_its_rank_and_its_head(tiny_model_dir: Path, tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": str(tiny_model_dir)}
    sizes = {}
    for head in (None, ["lm_head"]):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"modules_to_save": head}))
        _, settings = plan.parse([f"--model={tmp_path}", "--trainable=vision_lora", "--image_size=64x64"])
        assert (settings.rank, settings.alpha) == (4, 8)
        found = plan.plan(settings)
        sizes[bool(head)] = round(found["always"]["adapter"] * 1e9)
        learning = found["parameters"]["parameters"]
        assert sizes[False] == 4 * learning
    vocabulary, hidden = (
        json.loads((tiny_model_dir / "config.json").read_text())[key] for key in ("vocab_size", "hidden_size")
    )
    assert sizes[True] - sizes[False] == 4 * vocabulary * hidden  # there, and not learning


def _height(settings: Any) -> float:
    """Lower with every change that is known."""
    height = settings.rows * settings.group * settings.completion * (settings.dynamic_hd or 36)
    height *= {"vision_lora": 1, "vision_lora+lm_head": 2, "all": 4}[settings.trainable]
    slow = (not settings.checkpointing, not settings.bf16, settings.dtype == "float32", settings.beta)
    return float(height * 2 ** sum(map(bool, slow)))


@pytest.mark.parametrize("own", [[], ["--steps_per_generation=4"], ["--gradient_accumulation_steps=2"]])
def test_changes_are_settings_that_a_run_takes(own: list[str]) -> None:
    flags = [
        "--stage=grpo",
        "--trainable=all",
        "--bf16=false",
        "--dtype=float32",
        "--beta=0.1",
        "--num_generations=8",
    ]
    flags += [
        "--per_device_train_batch_size=8",
        "--gradient_checkpointing=false",
        "--max_completion_length=256",
        *own,
    ]
    _, settings = plan.parse(flags)
    found = plan_changes.changes(settings, 0.0, _height)
    heights = [height for _, _, height in found]
    assert heights == sorted(heights, reverse=True)
    keys = set()
    for text, changed, height in found:
        pairs = [part.split(": ") for part in text.split(", ")]
        keys |= {key for key, _ in pairs}
        flags += [f"--{key}={value}" for key, value in pairs]
        assert plan.parse(flags)[1] == changed  # the last of a flag counts
        assert height == _height(changed)
    assert keys >= {
        "gradient_checkpointing",
        "bf16",
        "per_device_train_batch_size",
        "dynamic_hd",
        "trainable",
        "beta",
    }
    assert keys >= {"num_generations", "max_completion_length", "gradient_accumulation_steps", "dtype"}
    assert ("steps_per_generation" in keys) == ("--steps_per_generation=4" in own)


def test_changes_stop_where_the_run_fits_and_leave_out_what_does_not_help() -> None:
    _, settings = plan.parse(["--stage=grpo", "--beta=0.1", "--gradient_checkpointing=true"])
    assert list(plan_changes.changes(settings, 1.0, lambda settings: 0.5)) == []
    by_beta = [
        text
        for text, *_ in plan_changes.changes(settings, 1.0, lambda settings: 2.0 if settings.beta else 0.9)
    ]
    assert by_beta == ["beta: 0"]
    # smaller micro-batches and fewer crops help too, but not enough: what fits without them goes without
    both = plan_changes.changes(
        settings,
        1.0,
        lambda settings: 2 * (settings.beta > 0) + settings.rows / 80 + (settings.dynamic_hd or 36) / 90,
    )
    assert [text for text, *_ in both] == ["beta: 0"]
    rows = replace(settings, rows=6)
    found = [text for text, *_ in plan_changes.changes(rows, 3.5, lambda settings: float(settings.rows))]
    assert found == ["per_device_train_batch_size: 3, gradient_accumulation_steps: 2"]


def test_the_verb_says_what_to_change(bare: Path) -> None:
    argv = ["plan", "--model", str(bare), *GRPO, "--image-size", "64x64", "--gradient_checkpointing=false"]
    done = CliRunner().invoke(app, [*argv, "--memory=0.07", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["stage"], found["model"]) == ("grpo", str(bare))
    assert [(row["change"], row["fits"]) for row in found["changes"]] == [
        ("gradient_checkpointing: true", True)
    ]
    console = Console(record=True, width=100, file=io.StringIO())
    for memory, words in ((0.07, "fits"), (1.0, "It fits 1 GB"), (None, "optimiser step")):
        fewer = found if memory == 0.07 else found | {"changes": [], "memory": memory}
        console.print(table(fewer))
        assert words in console.export_text()
