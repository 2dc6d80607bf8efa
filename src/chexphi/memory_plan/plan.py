"""How much of a GPU's memory a run needs, before the GPU is rented: `chexphi plan`.

Reads the settings of `sft` or `grpo` and does a dry run of one step (`memory_plan.step_memory`). If the size
of a GPU is given, it looks for the least harmful changes with which the run fits. One GPU is counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from chexphi.memory_plan import blank_model, step_memory
from chexphi.memory_plan.film_memory import StepShape, feature_bytes, pixel_bytes
from chexphi.memory_plan.plan_changes import changes
from chexphi.memory_plan.plan_fields import OPTIMISERS, PlanFields, read
from chexphi.memory_plan.plan_settings import MemorySettings, film, memory_settings, model_config
from chexphi.memory_plan.step_memory import PhaseMemory
from chexphi.models import trainable
from chexphi.models.families.film_features import MAX_BYTES

__all__ = ["PlanFields", "main", "memory_settings", "parse", "plan", "step_shape"]

GB = 1e9


def parse(argv: Sequence[str]) -> tuple[PlanFields, MemorySettings]:
    """The fields of `plan` itself, and the settings of the run to plan.

    Raises:
        InputError: For anything the user has to correct.
    """
    request = read(argv)
    return request.fields, memory_settings(request)


def main(fields: PlanFields, settings: MemorySettings) -> dict[str, Any]:
    """The plan, and the changes with which the run fits if the size of a GPU is given.

    Raises:
        InputError: For a model folder that cannot be read, or a pattern that matches no parameter.
    """
    figures = plan(settings)
    advised = (
        []
        if fields.memory is None
        else changes(settings, fields.memory, lambda changed: float(plan(changed)["peak"]["total"]))
    )
    return {
        "stage": fields.stage,
        "model": str(settings.model) if settings.model else "Phi-4-multimodal as published",
        **figures,
        "memory": fields.memory,
        "changes": [
            {"change": text, "total": total, "fits": fields.memory is not None and total <= fields.memory}
            for text, _, total in advised
        ],
    }


def plan(settings: MemorySettings) -> dict[str, Any]:
    """Parameters, tokens, and GB (10^9 bytes) by part and by phase.

    Every phase needs the `always` parts as well. AdamW's `foreach` form works on a copy as large as the
    gradients. GPUs are sold by GiB: one of 80 has 85.9 GB, and the difference is for what is not counted
    (see `memory_plan.step_memory`).

    Raises:
        InputError: For a model folder that cannot be read, or a pattern that matches no parameter.
    """
    model, mode = blank_model.blank_policy(
        model_config(settings.model),
        dtype=settings.dtype,
        attention=settings.attention,
        what_learns=settings.trainable,
        rank=settings.rank,
        alpha=settings.alpha,
        own_head=settings.own_head,
    )
    step = step_shape(settings)
    phases: dict[str, PhaseMemory] = {}
    with mode:
        always = step_memory.weights(model, reference=settings.beta != 0)
        if settings.generated:
            phases["generation"] = step_memory.generation(model, step, autocast=_casts(model, settings))
        if settings.beta or settings.old_policy:
            frozen = not settings.old_policy and not hasattr(model, "peft_config")
            phases["scoring"] = step_memory.scoring(model, step, frozen=frozen)
        phases["learning"], gradients = step_memory.learning(model, step)
        always["optimiser"] = gradients // 4 * OPTIMISERS[settings.optim]  # gradients are fp32
        always["films"] = pixel_bytes(model, step)
        always["features"] = MAX_BYTES if settings.cache_vision else feature_bytes(model, step)
    phases["optimiser step"] = PhaseMemory(
        gradients * (2 if settings.optim == "adamw_torch" else 1), gradients
    )
    return _figures(settings, step, trainable.summary(model), always, phases)


def _figures(
    settings: MemorySettings,
    step: StepShape,
    learns: dict[str, Any],
    always: dict[str, int],
    phases: dict[str, PhaseMemory],
) -> dict[str, Any]:
    """The plan as JSON; `learns` is what `trainable.summary` says of the parameters that learn."""
    total = sum(always.values())
    peak = max(phases, key=lambda name: phases[name].own)
    return {
        "parameters": {key: learns[key] for key in ("parameters", "tensors", "share")},
        "film": {"size": list(settings.size), "crops": step.crops, "tokens": step.film_tokens},
        "tokens": {"prompt": step.prompt, "completion": step.completion},
        "rows": {"micro-batch": step.rows, "generated": step.generation_rows if settings.generated else 0},
        "always": {name: size / GB for name, size in always.items()},
        "phases": {
            name: {"total": (total + phase.own) / GB}
            | {key: size / GB for key, size in dataclasses.asdict(phase).items()}
            for name, phase in phases.items()
        },
        "peak": {"phase": peak, "total": (total + phases[peak].own) / GB},
    }


def _casts(model: Any, settings: MemorySettings) -> bool:
    """Whether generation is in bf16 as training is: calls of an adapter's base go around autocast."""
    return settings.bf16 and not hasattr(model, "peft_config")


def step_shape(settings: MemorySettings) -> StepShape:
    """The step that a run repeats."""
    crops, tokens = film(settings.model, settings.size, settings.dynamic_hd)
    return StepShape(
        rows=settings.rows,
        generation_rows=settings.rows * max(1, settings.generated),
        group=settings.group,
        prompt=settings.prompt + settings.films * tokens,
        completion=settings.completion,
        films=settings.films,
        crops=crops,
        film_tokens=tokens,
        checkpointing=settings.checkpointing,
        autocast=settings.bf16,
        accumulating=settings.accumulation > 1,
        shares_prompts=settings.shares_prompts,
        generates=settings.generated > 0,
        gpu=settings.gpu,
    )
