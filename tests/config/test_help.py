"""`--help` and `--help-all` of verbs whose flags are fields."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.field_values import described_fields
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.sft_recipe import SFTRecipe
from chexphi.training.trainer_settings import fields_of_trl


@pytest.mark.parametrize(
    ("verb", "recipe", "trl"), [("sft", SFTRecipe, "SFTConfig"), ("grpo", GRPORecipe, "GRPOConfig")]
)
def test_the_help_has_our_settings_and_the_long_one_every_setting_once(
    verb: str, recipe: type, trl: str
) -> None:
    short, long = (CliRunner().invoke(app, [verb, flag]).output for flag in ("--help", "--help-all"))
    ours, theirs = (list(described_fields([kind])) for kind in (recipe, fields_of_trl(trl)))
    assert re.findall(r"^  --(\w+): ", short, re.M) == ours
    assert "--help-all" in short
    assert sorted(re.findall(r"^  --(\w+): ", long, re.M)) == sorted(ours + theirs)
    assert "\nOptimizer:\n" in long
    assert "  --learning_rate: The initial learning rate for AdamW. (default " in long
    assert "%%" not in long


def test_the_defaults_are_ours_where_we_replace_the_librarys() -> None:
    text = CliRunner().invoke(app, ["grpo", "--help-all"]).output
    assert re.search(r"--use_bias_correction_kl: .* \(default False\)", text)  # TRL: True
    assert re.search(r"--logging_steps: .* \(default 1\)", text)  # TRL: 10
    assert re.search(r"--optim: .* \(default the library's\)", text)


def test_plan_lists_the_settings_of_both_stages() -> None:
    names = re.findall(r"^  --(\w+): ", CliRunner().invoke(app, ["plan", "--help-all"]).output, re.M)
    assert {"memory", "num_generations", "packing", "learning_rate"} <= {*names}
    assert len(names) == len(set(names))
