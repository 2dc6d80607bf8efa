"""What makes a run take less memory, by its own settings, the least harmful first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

from chexphi.memory_plan.plan_settings import Settings, film
from chexphi.models import trainable

Change = tuple[str, Settings]
"""What is changed, as settings are written, and all settings with it."""
Step = Callable[[Settings], Change | None]
"""None where there is nothing to change."""


def _checkpointing(now: Settings) -> Change | None:
    return None if now.checkpointing else ("gradient_checkpointing: true", replace(now, checkpointing=True))


def _dtype(now: Settings) -> Change | None:
    if now.dtype == "bfloat16" or not trainable.by_adapter(now.trainable):
        return None
    return "dtype: bfloat16", replace(now, dtype="bfloat16")


def _bf16(now: Settings) -> Change | None:
    return None if now.bf16 else ("bf16: true", replace(now, bf16=True))


def _micro_batch(now: Settings) -> Change | None:
    if now.rows % 2:
        return None
    less = replace(now, rows=now.rows // 2, accumulation=now.accumulation * 2, generated=now.generated * 2)
    return f"per_device_train_batch_size: {less.rows}, {_steps(less)}", less


def _group(now: Settings) -> Change | None:
    if now.group < 8 or now.group % 2:  # of fewer than four, a group's mean says little
        return None
    if now.generated % 2 == 0 and now.accumulation % 2 == 0:
        less = replace(now, accumulation=now.accumulation // 2, generated=now.generated // 2)
        text = _steps(less)
    elif now.rows % 2 == 0:
        less = replace(now, rows=now.rows // 2)
        text = f"per_device_train_batch_size: {less.rows}"
    else:
        return None
    return f"num_generations: {now.group // 2}, {text}", replace(less, group=now.group // 2)


def _steps(now: Settings) -> str:
    """The settings of micro-batches a step and a generation; TRL takes the first for the second."""
    steps = f"gradient_accumulation_steps: {now.accumulation}"
    own = now.generated not in (0, now.accumulation)
    return f"{steps}, steps_per_generation: {now.generated}" if own else steps


def _crops(now: Settings) -> Change | None:
    tiles = film(now.model, now.size, now.dynamic_hd)[0] - 1
    fewer = next((number for number in (16, 9, 4, 1) if number < tiles), None)
    if fewer is None or not now.films:
        return None
    return f"dynamic_hd: {fewer}", replace(now, dynamic_hd=fewer)


def _completion(now: Settings) -> Change | None:
    if now.completion < 128 or not now.generated:
        return None
    return f"max_completion_length: {now.completion // 2}", replace(now, completion=now.completion // 2)


def _trainable(now: Settings) -> Change | None:
    if now.trainable == "vision_lora":
        return None
    fewer = "vision_lora" if trainable.by_adapter(now.trainable) else "vision_lora+lm_head"
    return f"trainable: {fewer}", replace(now, trainable=fewer)


def _no_reference(now: Settings) -> Change | None:
    return ("beta: 0", replace(now, beta=0.0)) if now.beta else None


STEPS: tuple[Step, ...] = (
    *(_checkpointing, _dtype, _bf16, _micro_batch, _group),
    *(_crops, _completion, _trainable, _dtype, _no_reference),
)
"""The least harmful first: slower, then sampled otherwise, then less that is seen, said or learned.

A model that learns as a whole is fp32 and has a type of its own only once it has an adapter.
"""


def changes(
    asked: Settings, limit: float, peak: Callable[[Settings], float]
) -> list[tuple[str, Settings, float]]:
    """(change, settings, GB at the peak), each with all before it, up to where the run fits or nothing helps.

    What lowers the peak by less than a hundredth is left out; so is, of what made the run fit, the most
    harmful first, what it also fits without.

    Args:
        asked: The run.
        limit: GB that there are.
        peak: GB that a run takes.
    """
    peak = functools.cache(peak)
    steps: list[Step] = []
    now = asked
    for step in STEPS:
        while peak(now) > limit and (found := step(now)) and peak(found[1]) <= 0.99 * peak(now):
            steps.append(step)
            now = found[1]
    for i in reversed(range(len(steps))):
        fewer = _taken(asked, steps[:i] + steps[i + 1 :])
        if fewer and peak(fewer[-1][1]) <= limit:
            del steps[i]
    return [(text, settings, peak(settings)) for text, settings in _taken(asked, steps)]


def _taken(now: Settings, steps: Sequence[Step]) -> list[Change]:
    """The steps one after the other; none if one is impossible without those that are missing."""
    taken: list[Change] = []
    for step in steps:
        if (found := step(now)) is None:
            return []
        taken.append(found)
        now = found[1]
    return taken
