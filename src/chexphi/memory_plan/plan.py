"""What a run takes of a GPU's memory, before one is rented: `chexphi plan`.

Reads the settings of `sft` or `grpo` and dry-runs one step of them (`models.memory`); with a size given it
looks for the least harmful changes with which the run fits. One GPU is counted.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from chexphi.memory_plan import blank_model, step_memory
from chexphi.memory_plan.film_memory import Work, held_pixels, kept_features
from chexphi.memory_plan.plan_changes import changes
from chexphi.memory_plan.plan_settings import OPTIMISERS, PlanFields, Settings, film, model_config, parse
from chexphi.memory_plan.step_memory import Use
from chexphi.models import trainable
from chexphi.models.families.film_features import MEMORY

__all__ = ["PlanFields", "main", "parse", "plan", "work_of"]

GB = 1e9


def main(fields: PlanFields, asked: Settings) -> dict[str, Any]:
    """The plan, and the changes with which the run fits, if a size is given.

    Raises:
        InputError: For a model folder that cannot be read, or a pattern that names nothing.
    """
    found = plan(asked)
    steps = (
        []
        if fields.memory is None
        else changes(asked, fields.memory, lambda settings: float(plan(settings)["peak"]["total"]))
    )
    return {
        "stage": fields.stage,
        "model": str(asked.model) if asked.model else "Phi-4-multimodal as published",
        **found,
        "memory": fields.memory,
        "changes": [
            {"change": text, "total": total, "fits": fields.memory is not None and total <= fields.memory}
            for text, _, total in steps
        ],
    }


def plan(asked: Settings) -> dict[str, Any]:
    """Parameters, tokens, and GB (10^9 bytes) by part and by phase.

    Every phase holds the `always` parts; AdamW's `foreach` form works on a copy as large as the gradients.
    GPUs are sold by GiB: one of 80 has 85.9 GB, and the difference is for what is not counted
    (`models.memory`).

    Raises:
        InputError: As `main`.
    """
    model, mode = blank_model.blank(
        model_config(asked.model),
        dtype=asked.dtype,
        attention=asked.attention,
        asked=asked.trainable,
        rank=asked.rank,
        alpha=asked.alpha,
        own_head=asked.own_head,
    )
    work = work_of(asked)
    phases: dict[str, Use] = {}
    with mode:
        always = step_memory.weights(model, reference=asked.beta != 0)
        if asked.generated:
            phases["generation"] = step_memory.generation(model, work, autocast=_casts(model, asked))
        if asked.beta or asked.old_policy:
            frozen = not asked.old_policy and not hasattr(model, "peft_config")
            phases["scoring"] = step_memory.scoring(model, work, frozen=frozen)
        phases["learning"], gradients = step_memory.learning(model, work)
        always["optimiser"] = gradients // 4 * OPTIMISERS[asked.optim]  # gradients are fp32
        always["films"] = held_pixels(model, work)
        always["features"] = MEMORY if asked.cache_vision else kept_features(model, work)
    phases["optimiser step"] = Use(gradients * (2 if asked.optim == "adamw_torch" else 1), gradients)
    return _figures(asked, work, trainable.summary(model), always, phases)


def _figures(
    asked: Settings, work: Work, learns: dict[str, Any], always: dict[str, int], phases: dict[str, Use]
) -> dict[str, Any]:
    total = sum(always.values())
    peak = max(phases, key=lambda name: phases[name].own)
    return {
        "parameters": {key: learns[key] for key in ("parameters", "tensors", "share")},
        "film": {"size": list(asked.size), "crops": work.crops, "tokens": work.film_tokens},
        "tokens": {"prompt": work.prompt, "completion": work.completion},
        "rows": {"micro-batch": work.rows, "generated": work.held if asked.generated else 0},
        "always": {name: size / GB for name, size in always.items()},
        "phases": {
            name: {"total": (total + use.own) / GB}
            | {key: size / GB for key, size in dataclasses.asdict(use).items()}
            for name, use in phases.items()
        },
        "peak": {"phase": peak, "total": (total + phases[peak].own) / GB},
    }


def _casts(model: Any, asked: Settings) -> bool:
    """Whether generation is in bf16 as training is: the base of an adapter is called past what casts."""
    return asked.bf16 and not hasattr(model, "peft_config")


def work_of(asked: Settings) -> Work:
    """The step that a run repeats."""
    crops, tokens = film(asked.model, asked.size, asked.dynamic_hd)
    return Work(
        rows=asked.rows,
        held=asked.rows * max(1, asked.generated),
        group=asked.group,
        prompt=asked.prompt + asked.films * tokens,
        completion=asked.completion,
        films=asked.films,
        crops=crops,
        film_tokens=tokens,
        checkpointing=asked.checkpointing,
        autocast=asked.bf16,
        accumulating=asked.accumulation > 1,
        shared=asked.shared,
        generates=asked.generated > 0,
        gpu=asked.gpu,
    )
