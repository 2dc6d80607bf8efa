"""Settings of TRL's config that cannot train: found before the model loads, or in the first step."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import Trainer

from chexphi import processes
from chexphi.schema import InputError
from chexphi.training import foreign_code, outward, trackers

LEAST = {
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "dataloader_num_workers": 0,
    "seed": 0,
    "learning_rate": 0,
    "max_completion_length": 1,
    "num_iterations": 1,
}
ABOVE_ZERO = ("temperature", "repetition_penalty")
LIBRARIES = ("transformers", "trl", "accelerate", "peft", "torch", "datasets", "numpy")
REFUSALS = (ValueError, TypeError, ImportError, NotImplementedError, ZeroDivisionError)
"""What these libraries raise for a setting."""


def check(args: Any, verb: str) -> None:
    """Refuse what the Trainer would refuse once the model has loaded.

    Args:
        args: TRL's config.
        verb: Of the stage, for the message.

    Raises:
        InputError: For the first such setting.
    """
    trackers.check(args.report_to)
    foreign_code.check(args, verb)
    outward.check(args, verb)
    for name, least in LEAST.items():
        if (value := getattr(args, name, None)) is not None and value < least:
            raise InputError(f"{verb}: {name} is {value}: use at least {least}")
    for name in ABOVE_ZERO:
        if (value := getattr(args, name, None)) is not None and value <= 0:
            raise InputError(f"{verb}: {name} is {value}: use more than 0")
    if args.eval_strategy != "no" or args.eval_on_start:
        raise InputError(
            f"{verb} has no data to evaluate on while it trains: leave out eval_strategy and eval_on_start, "
            "and give its checkpoints to chexphi evaluate"
        )
    template = getattr(args, "chat_template_path", None)
    if template and not Path(template).exists():
        raise InputError(f"{verb}: chat_template_path {template} does not exist: correct it, or leave it out")
    if args.save_strategy == "best":
        raise InputError(f"{verb} evaluates nothing while it trains: save_strategy is no, steps or epoch")


@contextmanager
def explained(out: Path, verb: str, *, resumed: bool) -> Iterator[list[Trainer]]:
    """Around making a trainer and training: what a library refuses until the first step ends is one sentence.

    The run has nothing yet, so its folder goes, and the corrected command finds it free.

    Args:
        out: The run's folder.
        verb: Of the stage, for the message.
        resumed: Whether it goes on with a run that was there: then the error stays, and the folder.

    Yields:
        A list that takes the trainer once it is made.

    Raises:
        InputError: In place of the library's error.
    """
    made: list[Trainer] = []
    try:
        yield made
    except REFUSALS as error:
        begun = resumed or any(trainer.state.global_step for trainer in made)
        if begun or isinstance(error, InputError) or not is_refusal(error):
            raise
        if processes.is_main():
            shutil.rmtree(out, ignore_errors=True)
        text = " ".join(str(error).split())
        raise InputError(f"{verb}: these settings cannot train: {type(error).__name__}: {text}") from error


def is_refusal(error: BaseException) -> bool:
    """Whether one of the training libraries raised this itself; what a reward raises is a `RewardError`."""
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return any(name in raised_in.parts for name in LIBRARIES)
