"""How many completions GRPO samples at once. TRL computes the same, but only once it is imported."""

from __future__ import annotations

from typing import Any

from chexphi.schema import InputError


def size(args: Any, processes: int) -> int:
    """Completions of one generation, over all processes.

    Args:
        args: TRL's config, or its values as they were given.
        processes: Of the run.
    """
    if args.generation_batch_size is not None:
        return int(args.generation_batch_size)
    steps = (
        args.gradient_accumulation_steps if args.steps_per_generation is None else args.steps_per_generation
    )
    return int(args.per_device_train_batch_size * processes * steps)


def check(args: Any, processes: int) -> None:
    """Refuse batches that TRL cannot divide into steps, or into the groups of its prompts.

    Args:
        args: TRL's values as they were given.
        processes: Of the run.

    Raises:
        InputError: For these.
    """
    if args.generation_batch_size is not None and args.steps_per_generation is not None:
        raise InputError(
            "grpo: generation_batch_size and steps_per_generation both say how many completions are sampled "
            "at once: leave one of them out"
        )
    completions, rows = size(args, processes), args.per_device_train_batch_size * processes
    if completions % rows:
        raise InputError(
            f"grpo: generation_batch_size is {completions} and must be divisible by the {rows} rows of a "
            "batch (per_device_train_batch_size on each process): change one of them"
        )
    if completions % args.num_generations:
        raise InputError(
            f"grpo: {completions} completions are sampled at once (per_device_train_batch_size, times "
            "gradient_accumulation_steps or steps_per_generation, on each process) and must be divisible by "
            f"num_generations, which is {args.num_generations}: change one of them"
        )
