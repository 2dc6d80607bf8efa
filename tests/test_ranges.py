"""Ranges of numbers as data, and that no number of a recipe is without one."""

from __future__ import annotations

import math
import typing
from typing import Any

import pytest
from trl import GRPOConfig, SFTConfig

from chexphi import field_values, ranges
from chexphi.demo import demo, study
from chexphi.demo import settings as loop_settings
from chexphi.evaluation import evaluate
from chexphi.memory_plan import plan_fields
from chexphi.mining import score
from chexphi.models.run_check import LearningFields
from chexphi.ranges import COUNT, FINITE, NOT_NEGATIVE, POSITIVE, SEED, SHARE, Range
from chexphi.rewards.settings import RewardFields
from chexphi.schema import InputError
from chexphi.sweep import sweep_recipe as sweep
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.preflight.number_ranges import GRPO, GRPO_RUN, SFT, SFT_RUN, TRANSFORMERS
from chexphi.training.sft_recipe import SFTRecipe

HUGE = 10**400


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        (COUNT, (1, 2**31 - 1), (0, -1, 2**31, HUGE, 0.5)),
        (SEED, (0, 2**32 - 1), (-1, 2**32, HUGE)),
        (POSITIVE, (1e-300, 1e300), (0, -0.0, -1e-300, HUGE)),
        (NOT_NEGATIVE, (0, 1e300), (-1e-300, HUGE, -HUGE)),
        (SHARE, (0, 0.5, 1), (-0.1, 1.1)),
        (Range(0, 1, excluded="maximum"), (0, 0.999), (1, -0.1)),
        (Range(0, 1, excluded="minimum maximum"), (0.5,), (0, 1)),
        (FINITE, (-1e300, 0, 1e300), (HUGE, -HUGE)),
    ],
)
def test_what_is_inside_a_range(allowed: Range, inside: tuple[Any, ...], outside: tuple[Any, ...]) -> None:
    ranges.check({"a": list(inside), "b": {"c": inside}}, {"a": allowed, "b": allowed}, "verb")
    for number in (*outside, math.nan, math.inf, -math.inf):
        for value in (number, [1, number], {"key": number}):
            with pytest.raises(InputError, match=r"^verb: a is .*: use (at|more|less|a finite)") as refused:
                ranges.check({"a": value}, {"a": allowed}, "verb")
            assert len(str(refused.value)) < 200


def test_a_number_without_a_range_is_finite_at_least() -> None:
    ranges.check({"a": -5, "b": None, "c": "nan", "d": True}, {}, "verb")
    with pytest.raises(InputError, match=r"verb: e is \{'f': \[nan\]\}: use a finite number"):
        ranges.check({"e": {"f": [math.nan]}}, {}, "verb")


@pytest.mark.parametrize(
    ("number", "allowed", "advice"),
    [
        (0, COUNT, "use at least 1"),
        (2**31, COUNT, "use at most 2147483647"),
        (math.nan, COUNT, "use at least 1"),
        (math.inf, NOT_NEGATIVE, "use a finite number"),
        (0, POSITIVE, "use more than 0"),
        (1, Range(0, 1, excluded="maximum"), "use less than 1"),
        (-1, Range(0, note="0: off"), "use at least 0 (0: off)"),
    ],
)
def test_the_advice_is_about_the_number_that_is_there(number: float, allowed: Range, advice: str) -> None:
    assert allowed.advice(number) == advice


def numeric(kind: type) -> set[str]:
    """Names of the fields of a dataclass that hold a number, or numbers."""

    def parts(hint: Any) -> set[Any]:
        return {hint}.union(*map(parts, typing.get_args(hint)))

    return {name for name, hint in field_values.fields_of([kind]).items() if parts(hint) & {int, float}}


def test_every_number_of_the_trainers_has_a_range_and_no_other_name_has() -> None:
    assert numeric(SFTConfig) == (TRANSFORMERS | SFT).keys()
    assert numeric(GRPOConfig) == (TRANSFORMERS | GRPO).keys()


@pytest.mark.parametrize(
    ("recipe", "allowed"),
    [
        (SFTRecipe, SFT_RUN),
        (GRPORecipe, GRPO_RUN),
        (LearningFields, SFT_RUN),
        (RewardFields, GRPO_RUN),
        (evaluate.EvaluateRecipe, evaluate.RANGES),
        (score.MineScoreRecipe, score.RANGES),
        (demo.DemoRecipe, loop_settings.RANGES),
        (study.StudyRecipe, loop_settings.RANGES),
        (sweep.SweepRecipe, sweep.RANGES),
        (plan_fields.PlanFields, plan_fields.RANGES),
    ],
)
def test_every_number_of_a_recipe_has_a_range(recipe: type, allowed: dict[str, Range]) -> None:
    assert numeric(recipe) - {"dynamic_hd"} <= allowed.keys()  # which depends on the model's family


def test_the_defaults_are_inside() -> None:
    for kind, allowed in ((SFTConfig, SFT_RUN), (GRPOConfig, GRPO_RUN)):
        defaults = {name: getattr(kind, name, None) for name in numeric(kind)}
        ranges.check(defaults, allowed, "defaults")
