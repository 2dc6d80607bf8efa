"""Settings of rollouts that do not fit are refused in words."""

from __future__ import annotations

import re

import pytest

from chexphi import ranges
from chexphi.models.rollout.settings import RANGES, RolloutFields, check, check_device
from chexphi.schema import InputError


def check_all(fields: RolloutFields) -> None:
    """As `chexphi grpo` does."""
    ranges.check(vars(fields), RANGES, "grpo")
    check(fields, "grpo")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (RolloutFields(sampling="hf"), "grpo: sampling is 'hf': use fixed, library"),
        (RolloutFields(draft_slots=1000), "grpo: draft_slots is 1000: give a power of 2, such as 65536"),
        (
            RolloutFields(sampling="library", draft_tokens=4),
            "grpo: draft_tokens is 4, and with sampling library there are no drafts: leave one of them out",
        ),
        (
            RolloutFields(sampling="library", record_steps=True),
            "grpo: record_steps is true, and with sampling library there are no steps of ours: leave one",
        ),
        (RolloutFields(draft_tokens=-1), "grpo: draft_tokens is -1"),
        (RolloutFields(draft_tokens=33), "grpo: draft_tokens is 33"),
        (RolloutFields(draft_slots=0), "grpo: draft_slots is 0"),
        (RolloutFields(draft_slots=1 << 30), "grpo: draft_slots is 1073741824"),
    ],
)
def test_bad_settings_are_refused(fields: RolloutFields, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        check_all(fields)


def test_good_settings_pass() -> None:
    for fields in (
        RolloutFields(),
        RolloutFields(draft_tokens=0),
        RolloutFields(sampling="library"),
        RolloutFields(sampling="library", draft_tokens=0),
    ):
        check_all(fields)


def test_steps_are_recorded_on_a_gpu_and_by_our_loop() -> None:
    recorded = RolloutFields(record_steps=True)
    check_all(recorded)
    check_device(recorded, "grpo", has_gpu=True)
    check_device(RolloutFields(), "grpo", has_gpu=False)
    with pytest.raises(InputError, match=r"^grpo: record_steps is true, and only steps on a GPU can be rec"):
        check_device(recorded, "grpo", has_gpu=False)
    with pytest.raises(
        InputError, match=r"^grpo: record_steps is true, and with use_vllm there are no steps"
    ):
        check(recorded, "grpo", use_vllm=True)
