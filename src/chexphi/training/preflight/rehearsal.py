"""What libraries make of a run's settings before it begins, made once on a single number.

An optimiser, its schedule and the settings of generation: names, arguments and libraries that are refused are
refused here, before a model is loaded or a folder is made.
"""

from __future__ import annotations

import difflib
from typing import Any

import torch
from transformers import GenerationConfig, Trainer
from transformers.optimization import get_scheduler

from chexphi import ranges
from chexphi.schema import InputError, shown
from chexphi.training.preflight.number_ranges import GRPO

LAYERWISE = ("galore", "apollo", "lomo", "adalomo")
"""Beginnings of the names of optimisers that look for their layers in the model itself."""
SAMPLING = {name: GRPO[name] for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")}
STEPS = 100
"""Of a run whose number of steps its data decide."""


def check(args: Any, verb: str) -> None:
    """Refuse settings of which a library makes no optimiser, no schedule or no generation.

    Args:
        args: TRL's config.
        verb: Of the stage, for the message.

    Raises:
        InputError: With what the library says.
    """
    try:
        optimizer = _optimizer(args)
    except Exception as error:
        names = "optim, optim_args, optim_target_modules or adam_*"
        raise InputError(f"{verb}: no optimiser can be made ({_said(error)}): correct {names}") from error
    try:
        _schedule(args, optimizer)
    except Exception as error:
        names = "lr_scheduler_type, lr_scheduler_kwargs or warmup_steps"
        raise InputError(f"{verb}: no schedule can be made ({_said(error)}): correct {names}") from error
    if getattr(args, "generation_kwargs", None) and not args.use_vllm:
        _check_generation(args.generation_kwargs, verb)


def _optimizer(args: Any) -> torch.optim.Optimizer:
    one = torch.nn.Linear(1, 1)
    plain = torch.optim.SGD(one.parameters(), lr=args.learning_rate)
    try:
        kind, arguments = Trainer.get_optimizer_cls_and_kwargs(args, one)
    except ValueError:
        if str(args.optim.value).startswith(LAYERWISE) and args.optim_target_modules:
            return plain  # its library is there, and the layers are not in this model
        raise
    if not isinstance(kind, type) or not issubclass(kind, torch.optim.Optimizer):
        return plain
    own = {
        name: value for name, value in arguments.items() if name not in ("params", "model", "optimizer_dict")
    }
    return kind([{"params": list(one.parameters()), "weight_decay": args.weight_decay}], **own)


def _schedule(args: Any, optimizer: torch.optim.Optimizer) -> None:
    steps = args.max_steps if args.max_steps > 0 else STEPS
    schedule = get_scheduler(
        args.lr_scheduler_type,
        optimizer=optimizer,
        num_warmup_steps=args.get_warmup_steps(steps),
        num_training_steps=steps,
        scheduler_specific_kwargs=args.lr_scheduler_kwargs,
    )
    rates = [float(rate) for rate in schedule.get_last_lr()]
    if not all(map(torch.isfinite, map(torch.tensor, rates))):
        raise ValueError(f"its first rate is {rates[0]}")


def _check_generation(arguments: dict[str, Any], verb: str) -> None:
    ranges.check(arguments, SAMPLING, f"{verb}: generation_kwargs")
    known = GenerationConfig().to_dict()
    if unknown := next((name for name in arguments if name not in known), None):
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "leave it out"
        raise InputError(f"{verb}: generation_kwargs has the unknown key {shown(unknown)}: {hint}")
    try:
        GenerationConfig(**{"do_sample": True, **arguments}).validate(strict=True)
    except Exception as error:
        raise InputError(f"{verb}: generation_kwargs cannot be used ({_said(error)}): correct it") from error


def _said(error: Exception) -> str:
    """What a library says, in one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 300 else f"{text[:300]}…"
