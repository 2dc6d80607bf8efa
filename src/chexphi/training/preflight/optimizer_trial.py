"""An optimiser, its schedule and a generation config made from a run's settings on a model of one weight.

What a library refuses (a name, an argument, a missing package) is so refused before a model is loaded or a
folder is made.
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
"""First parts of the names of optimisers that look for their layers in the model itself."""
SAMPLING = {name: GRPO[name] for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")}
STEPS = 100
"""Steps of a schedule where the number of steps depends on the data."""


def check(args: Any, verb: str) -> None:
    """Refuse settings from which a library cannot make an optimiser, a schedule or a generation config.

    Args:
        args: TRL's config.
        verb: Of the stage, for the message.

    Raises:
        InputError: With the library's message.
    """
    try:
        optimizer = _optimizer(args)
    except Exception as error:
        raise InputError(
            f"{verb}: no optimiser can be made ({_message(error)}): correct optim, optim_args, "
            "optim_target_modules or adam_*"
        ) from error
    try:
        _schedule(args, optimizer)
    except Exception as error:
        raise InputError(
            f"{verb}: no schedule can be made ({_message(error)}): correct lr_scheduler_type, "
            "lr_scheduler_kwargs or warmup_steps"
        ) from error
    if getattr(args, "generation_kwargs", None) and not args.use_vllm:
        _check_generation(args.generation_kwargs, verb)


def _optimizer(args: Any) -> torch.optim.Optimizer:
    model = torch.nn.Linear(1, 1)
    stand_in = torch.optim.SGD(model.parameters(), lr=args.learning_rate)
    try:
        kind, arguments = Trainer.get_optimizer_cls_and_kwargs(args, model)
    except ValueError:
        if str(args.optim.value).startswith(LAYERWISE) and args.optim_target_modules:
            return stand_in  # its library is installed, and this model lacks the layers
        raise
    if not isinstance(kind, type) or not issubclass(kind, torch.optim.Optimizer):
        return stand_in
    arguments = {
        name: value for name, value in arguments.items() if name not in ("params", "model", "optimizer_dict")
    }
    return kind([{"params": list(model.parameters()), "weight_decay": args.weight_decay}], **arguments)


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
    valid_keys = GenerationConfig().to_dict()
    if unknown := next((name for name in arguments if name not in valid_keys), None):
        similar_keys = difflib.get_close_matches(unknown, valid_keys, n=1)
        hint = f"did you mean {similar_keys[0]}?" if similar_keys else "leave it out"
        raise InputError(f"{verb}: generation_kwargs has the unknown key {shown(unknown)}: {hint}")
    try:
        GenerationConfig(**{"do_sample": True, **arguments}).validate(strict=True)
    except Exception as error:
        raise InputError(
            f"{verb}: generation_kwargs cannot be used ({_message(error)}): correct it"
        ) from error


def _message(error: Exception) -> str:
    """A library's error in one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 300 else f"{text[:300]}…"
