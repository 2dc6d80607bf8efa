"""Supervised fine-tuning on explanations: `chexphi sft`.

TRL's SFTTrainer, loss on the answer turn only. Nothing is cut: `max_length` is null, and a row longer than
one that is set stops the run before it starts. `sft_checks` comes first; then torch and TRL are imported, and
`sft_run` trains.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chexphi.runs import processes, run_folder, terminal
from chexphi.runs.library_records import ON_TERMINAL
from chexphi.training import trainer_settings
from chexphi.training.preflight.number_ranges import SFT_RUN
from chexphi.training.sft_recipe import DEFAULTS, SFTRecipe

logger = logging.getLogger(__name__)


def parse(argv: Sequence[str]) -> tuple[SFTRecipe, Any]:
    """Read the recipe, and TRL's settings as they are given, from the command line."""
    return trainer_settings.parse(
        argv, SFTRecipe, "SFTConfig", verb="sft", defaults=DEFAULTS, number_ranges=SFT_RUN
    )


def main(recipe: SFTRecipe, settings: Any) -> Path:
    """Run one SFT stage; returns the run folder, whose `model/` is the trained policy.

    Args:
        recipe: Ours.
        settings: TRL's settings as they were given.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    from chexphi.training.sft_checks import check_stage  # it opens readers: a typo is answered before

    args = trainer_settings.shared_config(settings, "sft")
    settings.output_dir = settings.output_dir or str(run_folder.default_folder("sft"))
    with processes.fail_together():
        stage = check_stage(recipe, settings)
    if stage.progress.finished:
        logger.info("the run in %s is finished: nothing is left to do", stage.run.out, extra=ON_TERMINAL)
        return stage.run.out
    with terminal.waiting("loading libraries"):  # torch and TRL take seconds: only after the checks
        from chexphi.training import sft_run

        args = args or trainer_settings.config(settings, "sft")
    return sft_run.run(recipe, args, stage)
