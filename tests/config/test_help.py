"""`--help` and `--help-all` of verbs whose flags are fields."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.field_values import described_fields
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.preflight import refused
from chexphi.training.sft_recipe import SFTRecipe
from chexphi.training.trainer_settings import fields_of_trl

OURS = re.compile(r"^  --(?!config|json|yes|help)([a-z_0-9]+): ", re.M)
"""Flags that are fields."""
VERBS = ("sft", "grpo", "plan", "sweep", "evaluate", "mine score", "demo", "study")


@pytest.mark.parametrize(
    ("verb", "recipe", "trl"), [("sft", SFTRecipe, "SFTConfig"), ("grpo", GRPORecipe, "GRPOConfig")]
)
def test_the_help_has_our_settings_and_the_long_one_every_setting_once(
    verb: str, recipe: type, trl: str
) -> None:
    short, long = (CliRunner().invoke(app, [verb, flag]).output for flag in ("--help", "--help-all"))
    ours, theirs = (list(described_fields([kind])) for kind in (recipe, fields_of_trl(trl)))
    assert sorted(OURS.findall(short)) == sorted(ours)
    assert "--help-all" in short
    assert sorted(OURS.findall(long)) == sorted(ours + theirs)
    assert "\nOptimizer:\n" in long
    assert "  --learning_rate: The initial learning rate for AdamW. (default " in long
    assert "%%" not in long


def test_the_defaults_are_ours_where_we_replace_the_librarys() -> None:
    text = CliRunner().invoke(app, ["grpo", "--help-all"]).output
    assert re.search(r"--use_bias_correction_kl: .* \(default off\)", text)  # TRL: True
    assert re.search(r"--logging_steps: .* \(default 1\)", text)  # TRL: 10
    assert re.search(r"--optim: .* \(default the library's\)", text)


def test_plan_lists_the_settings_of_both_stages() -> None:
    names = OURS.findall(CliRunner().invoke(app, ["plan", "--help-all"]).output)
    assert {"memory", "num_generations", "packing", "learning_rate"} <= {*names}
    assert len(names) == len(set(names))


def test_a_setting_is_below_the_heading_of_the_dataclass_that_has_it() -> None:
    blocks = CliRunner().invoke(app, ["grpo", "--help"]).output.split("\n\n")
    names = {block.split(":\n")[0]: OURS.findall(f"{block}\n") for block in blocks if ":\n" in block}
    assert [*names] == [
        "Policy",
        "Data",
        "Run folder",
        "Answer reward",
        "Graph reward",
        "Rewards",
        "Rollouts",
        "Sampling and logging",
        "Other flags",
    ]
    assert names["Policy"][-3:] == ["trainable", "lora_rank", "lora_alpha"]
    assert names["Data"] == ["data", "image_root", "limit", "pools", "unscorable"]
    assert names["Run folder"] == ["out", "resume", "overwrite"]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_is_written_for_people(verb: str) -> None:
    text = CliRunner().invoke(app, [*verb.split(), "--help"]).output
    for wrong in ("False", "True", "None", "(default default)", "['"):
        assert wrong not in text
    assert ("\nThe original is the public code of CheXPO-v2" in text) is ("the original" in text)
    assert ("  --yes, -y: " in text) is ("  --overwrite: " in text)
    assert ("  --help-all: " in text) is (verb in ("sft", "grpo", "plan"))
    assert "  --config: file of settings" in text
    assert "  --json: " in text


@pytest.mark.parametrize("verb", ["sft", "grpo", "evaluate", "mine score"])
def test_what_is_marked_as_required_is_what_a_verb_asks_for(verb: str) -> None:
    text = CliRunner().invoke(app, [*verb.split(), "--help"]).output
    asked = str(CliRunner().invoke(app, verb.split()).exception)
    required = re.findall(r"^  --(\w+): .* \(required(?:, or (--\w+))?\)$", text, re.M)
    names = " and ".join(f"--{name} (or {other})" if other else f"--{name}" for name, other in required)
    assert f"{verb} needs {names}: " in asked
    assert len(required) == 2


@pytest.mark.parametrize("name", refused.REFUSED)
def test_what_the_help_calls_refused_is_refused(name: str) -> None:
    value = "x" if name.startswith("hub_") or name.endswith("repo") else "true"
    text = CliRunner().invoke(app, ["grpo", "--help-all"]).output
    assert f"\n  --{name}: refused: " in text
    words = ["grpo", "--model", "m", "--data", "d", f"--{name}", value]
    assert name in str(CliRunner().invoke(app, words).exception)


def test_a_setting_of_trls_that_our_own_flag_sets_says_so() -> None:
    text = CliRunner().invoke(app, ["sft", "--help-all"]).output
    assert "\n  --output_dir: the same as our --out\n" in text
    assert "\n  --resume_from_checkpoint: no effect: --resume goes on " in text
