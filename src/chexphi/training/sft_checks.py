"""What `chexphi sft` checks before torch and TRL are imported: settings, folders and data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi import config, ranges
from chexphi.data.read import image_root_of, read_examples
from chexphi.models import what_learns
from chexphi.models.run_check import CheckedRun, check_run
from chexphi.runs import run_folder
from chexphi.schema import Example, InputError
from chexphi.training.preflight import refused
from chexphi.training.preflight.number_ranges import SFT_RUN
from chexphi.training.recovery.checkpoints import RunProgress, progress_of
from chexphi.training.sft_recipe import SFTRecipe


@dataclass(frozen=True, slots=True)
class CheckedStage:
    """What is known of a stage before torch and TRL are imported."""

    run: CheckedRun
    examples: list[Example]
    image_root: Path
    progress: RunProgress
    resumes: bool
    """Whether the folder has a run that is resumed."""


def check_settings(recipe: SFTRecipe, args: Any) -> None:
    """Refuse settings that cannot train, whatever the data are.

    Args:
        recipe: Ours.
        args: TRL's settings as they were given.

    Raises:
        InputError: For the first of them.
    """
    config.check_required("sft", recipe)
    ranges.check(vars(recipe), SFT_RUN, "sft")
    refused.check_values(args, "sft")
    what_learns.setting(recipe.trainable)


def read(recipe: SFTRecipe) -> list[Example]:
    """The examples to imitate.

    Raises:
        InputError: If they are missing or bad, or one has no explanation.
    """
    examples = read_examples(Path(recipe.data), image_root=recipe.image_root, limit=recipe.limit)
    if missing := next((example.id for example in examples if not example.explanation), None):
        raise InputError(
            f"{recipe.data}: example {missing} has no explanation to imitate: add one or remove the row"
        )
    return examples


def check_stage(recipe: SFTRecipe, args: Any) -> CheckedStage:
    """Check settings, folders and data; nothing is written.

    Args:
        recipe: Ours.
        args: TRL's settings as they were given.

    Raises:
        InputError: For what cannot be used.
    """
    data, out = Path(recipe.data), Path(args.output_dir)
    check_settings(recipe, args)
    run = check_run(recipe, out, data=data, trainer=args)
    progress = progress_of(out) if recipe.resume else RunProgress()
    resumes = run_folder.resumes_run(out, recipe.resume)
    return CheckedStage(run, read(recipe), image_root_of(data, recipe.image_root), progress, resumes)
