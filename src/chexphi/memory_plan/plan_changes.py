"""Changes of a run's own settings that lower its memory, the least harmful first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from chexphi.memory_plan.plan_settings import MemorySettings, film
from chexphi.models import what_learns


class Change(NamedTuple):
    """One change, and the settings that result from it."""

    text: str
    """What is changed, as settings are written."""
    settings: MemorySettings


Saving = Callable[[MemorySettings], Change | None]
"""Makes one change to these settings; None where there is nothing to change."""


def _checkpointing(settings: MemorySettings) -> Change | None:
    if settings.checkpointing:
        return None
    return Change("gradient_checkpointing: true", replace(settings, checkpointing=True))


def _dtype(settings: MemorySettings) -> Change | None:
    if settings.dtype == "bfloat16" or not what_learns.by_adapter(settings.trainable):
        return None
    return Change("dtype: bfloat16", replace(settings, dtype="bfloat16"))


def _bf16(settings: MemorySettings) -> Change | None:
    return None if settings.bf16 else Change("bf16: true", replace(settings, bf16=True))


def _micro_batch(settings: MemorySettings) -> Change | None:
    if settings.rows % 2:
        return None
    smaller = replace(
        settings,
        rows=settings.rows // 2,
        accumulation=settings.accumulation * 2,
        generated=settings.generated * 2,
    )
    return Change(f"per_device_train_batch_size: {smaller.rows}, {_micro_batches(smaller)}", smaller)


def _group(settings: MemorySettings) -> Change | None:
    if settings.group < 8 or settings.group % 2:  # the mean of a group of fewer than four says little
        return None
    if settings.generated % 2 == 0 and settings.accumulation % 2 == 0:
        smaller = replace(
            settings, accumulation=settings.accumulation // 2, generated=settings.generated // 2
        )
        text = _micro_batches(smaller)
    elif settings.rows % 2 == 0:
        smaller = replace(settings, rows=settings.rows // 2)
        text = f"per_device_train_batch_size: {smaller.rows}"
    else:
        return None
    group = settings.group // 2
    return Change(f"num_generations: {group}, {text}", replace(smaller, group=group))


def _micro_batches(settings: MemorySettings) -> str:
    """The settings of micro-batches a step and a generation; by default TRL uses the first for both."""
    text = f"gradient_accumulation_steps: {settings.accumulation}"
    if settings.generated in (0, settings.accumulation):
        return text
    return f"{text}, steps_per_generation: {settings.generated}"


def _crops(settings: MemorySettings) -> Change | None:
    tiles = film(settings.model, settings.size, settings.dynamic_hd)[0] - 1
    fewer = next((number for number in (16, 9, 4, 1) if number < tiles), None)
    if fewer is None or not settings.films:
        return None
    return Change(f"dynamic_hd: {fewer}", replace(settings, dynamic_hd=fewer))


def _completion(settings: MemorySettings) -> Change | None:
    if settings.completion < 128 or not settings.generated:
        return None
    half = settings.completion // 2
    return Change(f"max_completion_length: {half}", replace(settings, completion=half))


def _trainable(settings: MemorySettings) -> Change | None:
    if settings.trainable == "vision_lora":
        return None
    fewer = "vision_lora" if what_learns.by_adapter(settings.trainable) else "vision_lora+lm_head"
    return Change(f"trainable: {fewer}", replace(settings, trainable=fewer))


def _no_reference(settings: MemorySettings) -> Change | None:
    return Change("beta: 0", replace(settings, beta=0.0)) if settings.beta else None


SAVINGS: tuple[Saving, ...] = (
    *(_checkpointing, _dtype, _bf16, _micro_batch, _group),
    *(_crops, _completion, _trainable, _dtype, _no_reference),
)
"""The least harmful first: what makes a run slower, then what changes the sampling, then what makes the
policy see, say or learn less.

A model that learns as a whole is fp32. Its type becomes a setting only after it has an adapter.
"""


def changes(
    settings: MemorySettings, limit: float, peak: Callable[[MemorySettings], float]
) -> list[tuple[str, MemorySettings, float]]:
    """(change, settings, GB at the peak), each together with all changes before it.

    The list ends where the run fits or nothing more helps. A change that lowers the peak by less than a
    hundredth is left out. If the run fits, the changes that it also fits without are removed again, the most
    harmful first.

    Args:
        settings: Of the run.
        limit: GB of the GPU.
        peak: GB that a run with some settings needs.
    """
    peak = functools.cache(peak)
    savings: list[Saving] = []
    reduced = settings
    for saving in SAVINGS:
        while peak(reduced) > limit and (change := saving(reduced)):
            if peak(change.settings) > 0.99 * peak(reduced):
                break
            savings.append(saving)
            reduced = change.settings
    for i in reversed(range(len(savings))):
        fewer = _apply(settings, savings[:i] + savings[i + 1 :])
        if fewer and peak(fewer[-1].settings) <= limit:
            del savings[i]
    return [(text, changed, peak(changed)) for text, changed in _apply(settings, savings)]


def _apply(settings: MemorySettings, savings: Sequence[Saving]) -> list[Change]:
    """The changes one after the other; none at all if one of them is impossible without a missing one."""
    applied: list[Change] = []
    for saving in savings:
        if (change := saving(settings)) is None:
            return []
        applied.append(change)
        settings = change.settings
    return applied
