"""The variants of GRPO over `grpo_kg.yaml`: what each changes, where it says so, and two real steps."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from chexphi.memory_plan import plan
from chexphi.models.families import phi4
from chexphi.training import grpo, trainer_settings

CONFIGS = Path(__file__).parents[2] / "configs"
BASE = CONFIGS / "grpo_kg.yaml"
DOCUMENTED = {  # the original's README, and train_loop.sh beside it
    "learning_rate": 6e-5, "num_generations": 8, "beta": 0.5, "temperature": 0.9, "epsilon": 0.2,
    "max_completion_length": 256, "num_train_epochs": 1, "warmup_steps": 0.1, "loss_type": "grpo",
    "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "steps_per_generation": 1,
    "scale_rewards": "group", "importance_sampling_level": "token", "epsilon_high": None,
    "mask_truncated_completions": False, "use_bias_correction_kl": False,
    "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05, "reward_weights": [1.0, 1.0],
    "rewards": ["external_r1v_acc", "external_kg_jac"], "dynamic_sample": False, "soft_overlong_share": 0.2,
    "match": "exact", "measure": "jaccard", "format_gate": True, "empty": "skip",
    "contradictions": "discount",
    "repetitions": "discount", "combine": "sum", "gate": "", "gate_at": 1.0, "gated": [],
    "trainable": "vision_lora+lm_head",
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "dapo": {
        "loss_type": "dapo", "epsilon_high": 0.28, "beta": 0.0, "dynamic_sample": True,
        "mask_truncated_completions": True, "reward_weights": [1.0, 1.0, 1.0], "steps_per_generation": 4,
        "rewards": ["external_r1v_acc", "external_kg_jac", "soft_overlong"],
    },
    "dr_grpo": {"loss_type": "dr_grpo", "scale_rewards": "none", "beta": 0.0},
    "gspo": {
        "importance_sampling_level": "sequence", "epsilon": 3e-4, "epsilon_high": 4e-4, "beta": 0.0,
        "steps_per_generation": 4,
    },
    "clinical": {
        "measure": "clinical", "match": "clinical", "reward_weights": [2.0, 1.0, 0.5],
        "rewards": ["external_r1v_acc", "external_kg_jac", "consistency"], "combine": "gated",
        "gate": "consistency", "gate_at": 0.5, "gated": ["external_r1v_acc"],
    },
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0, "beta": 0.0, "steps_per_generation": 4},
    "sapo": {"loss_type": "sapo", "beta": 0.0, "steps_per_generation": 4},
}  # fmt: skip
OWN_FIGURE = {"dapo": "clip_ratio/high_mean", "gspo": "clip_ratio/region_mean", "cispo": "cispo_clip_ratio"}


def over(name: str, *flags: str) -> list[str]:
    return ["--config", str(BASE), "--config", str(CONFIGS / "presets" / f"{name}.yaml"), *flags]


def resolved(argv: list[str]) -> dict[str, Any]:
    recipe, settings = grpo.parse([*argv, "--bf16=false"])
    args = trainer_settings.config(settings, "grpo")
    return {key: getattr(recipe if hasattr(recipe, key) else args, key) for key in DOCUMENTED}


def test_the_documented_run_is_what_is_documented() -> None:
    assert resolved(["--config", str(BASE)]) == DOCUMENTED
    kg, acc = (yaml.safe_load((CONFIGS / f"grpo_{name}.yaml").read_text()) for name in ("kg", "acc"))
    different = {key for key in kg | acc if kg.get(key) != acc.get(key)}
    assert different == {"rewards", "reward_weights", "measure", "empty", "contradictions", "repetitions"}
    assert acc["rewards"] == ["external_r1v_acc"]


def test_every_preset_stands_in_the_table() -> None:
    assert {path.stem for path in (CONFIGS / "presets").iterdir()} == PRESETS.keys()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_changes_what_it_says_and_no_more(name: str) -> None:
    assert resolved(over(name)) == DOCUMENTED | PRESETS[name]
    assert yaml.safe_load((CONFIGS / "presets" / f"{name}.yaml").read_text()).keys() <= DOCUMENTED.keys()
    assert resolved(over(name, "--beta=0.1"))["beta"] == 0.1  # a flag goes over both
    assert plan.parse(over(name))[1].generated == PRESETS[name].get("steps_per_generation", 1)


@pytest.mark.parametrize(
    "path", [BASE, CONFIGS / "grpo_acc.yaml", *sorted((CONFIGS / "presets").iterdir())], ids=lambda p: p.stem
)
def test_every_value_has_its_source(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith(" ")]
    bare = [line for line in lines if not line.startswith("#") and not line.partition("#")[2].strip()]
    assert bare == []


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewards that a random model spreads on, in the working folder."""
    (tmp_path / "spreading.py").write_text(
        "def words(completions, **columns):\n"
        "    return [min(1.0, len(turn[-1]['content'].split()) / 20) for turn in completions]\n"
        "def vowels(completions, **columns):\n"
        "    texts = [turn[-1]['content'] for turn in completions]\n"
        "    return [sum(letter in 'aeiou' for letter in text) / max(1, len(text)) for text in texts]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize("name", PRESETS)
def test_two_steps(name: str, tiny_model_dir: Path, films: Path, tmp_path: Path, own: None) -> None:
    rewards = ["spreading:words", "spreading:vowels", *PRESETS[name].get("rewards", [])[2:]]
    gated = ["--gated", rewards[0]] if "gated" in PRESETS[name] else []
    pool = films / "annotations" / "pool" / "train.json"
    argv = over(
        name, "--model", str(tiny_model_dir), "--data", str(pool), "--out", str(tmp_path / "run"),
        "--rewards", *rewards, *gated, "--per_device_train_batch_size=4", "--num_generations=4",
        "--max_steps=2",
        "--max_completion_length=40", "--learning_rate=1e-2", "--trainable=all", "--save_strategy=no",
        "--disable_tqdm=true", "--warmup_steps=0",
    )  # fmt: skip
    out = grpo.main(*grpo.parse(argv))
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2]
    assert all(math.isfinite(row["loss"]) for row in steps)
    assert any(
        row["grad_norm"] > 0 for row in steps
    )  # dapo leaves truncated completions out, here nearly all
    if figure := OWN_FIGURE.get(name):
        assert all(figure in row for row in steps)
    if name == "gspo":  # its band is so narrow that the second step of a generation leaves it
        assert [row["clip_ratio/region_mean"] > 0 for row in steps] == [False, True]
    written = yaml.safe_load((out / "config.yaml").read_text())
    values = written | written["trainer"]
    for key in PRESETS[name].keys() - {"rewards", "gated"}:
        assert values[key] == PRESETS[name][key]
    before, after = (phi4.load(folder)[0].state_dict() for folder in (tiny_model_dir, out / "model"))
    assert any(not torch.equal(before[key], after[key]) for key in before)
