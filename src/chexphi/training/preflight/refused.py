"""Settings of TRL's config that cannot train: refused before the model loads, or in the first step.

`check_values` needs no library. `check` comes once TRL's config is made, which needs torch.
"""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chexphi import ranges
from chexphi.rewards.checked import STOPPED_TRAINING
from chexphi.runs import processes, replaced_run, run_folder
from chexphi.schema import InputError
from chexphi.training.preflight import choices, foreign_code, outward, trackers
from chexphi.training.preflight.number_ranges import GRPO_RUN, SFT_RUN

if TYPE_CHECKING:
    from transformers import Trainer

logger = logging.getLogger(__name__)

LIBRARIES = ("transformers", "trl", "accelerate", "peft", "torch", "datasets", "numpy")
REFUSALS = (ValueError, TypeError, ImportError, NotImplementedError, ZeroDivisionError)
"""What these libraries raise for a setting."""
RANGES = {"sft": SFT_RUN, "grpo": GRPO_RUN}
REFUSED = {
    **dict.fromkeys(outward.HUB, "a run's folder holds patients' texts, and is not uploaded"),
    "log_completions": "it would print patients' texts; completions.jsonl has every completion",
    "trust_remote_code": "code of a model's folder is not run",
    "remove_unused_columns": "rows are made of columns that TRL does not know",
    "eval_on_start": "nothing is evaluated while a run trains; give its checkpoints to chexphi evaluate",
}
"""Switches and names of TRL's that are refused when they are set; a test tries each."""
NOTES = {name: f"refused: {reason}" for name, reason in REFUSED.items()} | {
    "output_dir": "the same as our --out",
    "eval_strategy": f"refused, but for no: {REFUSED['eval_on_start']}",
    "save_strategy": "when checkpoints are saved: no, steps or epoch (default steps)",
    "resume_from_checkpoint": "no effect: --resume goes on from the last checkpoint in --out",
    **dict.fromkeys(("do_train", "do_eval", "do_predict"), "no effect: for scripts of transformers"),
}
"""What `--help-all` says of settings of TRL's that our own flags set, or that do nothing here."""


def check_values(args: Any, verb: str) -> None:
    """Refuse what can be told from the values alone.

    Args:
        args: TRL's config, or its values as they were given.
        verb: Of the stage, for the message.

    Raises:
        InputError: For the first such setting.
    """
    trackers.check_names(args.report_to)
    foreign_code.check(args, verb)
    outward.check(args, verb)
    ranges.check(vars(args), RANGES[verb], verb)
    choices.check(args, verb)
    if args.eval_strategy != "no" or args.eval_on_start:
        raise InputError(
            f"{verb} has no data to evaluate on while it trains: leave out eval_strategy and eval_on_start, "
            "and give its checkpoints to chexphi evaluate"
        )
    if args.save_strategy == "best":
        raise InputError(f"{verb} evaluates nothing while it trains: save_strategy is no, steps or epoch")
    if args.save_strategy == "steps" and not args.save_steps:
        raise InputError(f"{verb}: save_steps is 0: use at least 1, or save_strategy no")


def check(args: Any, verb: str) -> None:
    """Refuse what the Trainer would refuse after the model is loaded.

    Args:
        args: TRL's config.
        verb: Of the stage, for the message.

    Raises:
        InputError: For the first such setting.
    """
    from chexphi.training.preflight import optimizer_trial

    check_values(args, verb)
    trackers.check_installed(args.report_to)
    choices.check_library(args, verb)
    optimizer_trial.check(args, verb)


@contextmanager
def explained(out: Path, verb: str, *, resumed: bool) -> Iterator[list[Trainer]]:
    """For a block that makes a trainer and trains: a library's refusal becomes one sentence.

    This holds until the first step ends; later errors stay as they are. Until then a run has no result, so
    its folder is removed and the corrected command can use it. Whatever ends a run that early, the run that
    it should replace is put back. The sentence of a reward that raises, or that
    gives wrong values, goes to `train.log` at any step.

    Args:
        out: The run's folder.
        verb: Of the stage, for the message.
        resumed: Whether a run is resumed there: then the error and the folder stay as they are.

    Yields:
        A list to which the trainer is added once it is made.

    Raises:
        InputError: In place of the library's error.
    """
    trainers: list[Trainer] = []
    try:
        yield trainers
    except Exception as error:
        if isinstance(error, (*STOPPED_TRAINING, InputError)):
            run_folder.write_to_log(str(error))
        has_trained = resumed or any(trainer.state.global_step for trainer in trainers)
        refused = isinstance(error, REFUSALS) and not isinstance(error, InputError) and is_refusal(error)
        main = processes.is_main()
        if main and not resumed and replaced_run.put_back(out):
            logger.warning("the run that was in %s before is put back", out)
        elif main and refused and not has_trained:
            shutil.rmtree(out, ignore_errors=True)
        if has_trained or not refused:
            raise
        text = " ".join(str(error).split())
        raise InputError(f"{verb}: these settings cannot train: {type(error).__name__}: {text}") from error


def is_refusal(error: BaseException) -> bool:
    """Whether one of the training libraries raised this itself; what a reward raises is a `RewardError`."""
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return any(name in raised_in.parts for name in LIBRARIES)
