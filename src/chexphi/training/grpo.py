"""Group-relative policy optimisation on an answer reward and a graph reward: `chexphi grpo`.

TRL's GRPOTrainer with the two rewards of CheXPO-v2 (arXiv 2512.17213) as two functions, so that their names,
weights and metrics are TRL's. `grpo_checks` comes first; then torch and TRL are imported, and `grpo_run`
trains.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chexphi.runs import processes, run_folder, terminal
from chexphi.runs.library_records import ON_TERMINAL
from chexphi.training import trainer_settings
from chexphi.training.grpo_recipe import DEFAULTS, GRPORecipe
from chexphi.training.preflight.number_ranges import GRPO_RUN

logger = logging.getLogger(__name__)


def parse(argv: Sequence[str]) -> tuple[GRPORecipe, Any]:
    """Read the recipe, and TRL's settings as they are given, from the command line."""
    return trainer_settings.parse(
        argv, GRPORecipe, "GRPOConfig", verb="grpo", defaults=DEFAULTS, number_ranges=GRPO_RUN
    )


def main(recipe: GRPORecipe, settings: Any) -> Path:
    """Run one GRPO stage; returns the run folder, whose `model/` is the trained policy.

    Args:
        recipe: Ours.
        settings: TRL's settings as they were given.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    from chexphi.training.grpo_checks import check_stage  # it opens readers: a typo is answered before

    args = trainer_settings.shared_config(settings, "grpo")
    settings.output_dir = settings.output_dir or str(run_folder.default_folder("grpo"))
    with processes.fail_together():
        stage = check_stage(recipe, settings)
    if stage.progress.finished:
        logger.info("the run in %s is finished: nothing is left to do", stage.run.out, extra=ON_TERMINAL)
        return stage.run.out
    with terminal.waiting("loading libraries"):  # torch and TRL take seconds: only after the checks
        from chexphi.training import grpo_run

        args = args or trainer_settings.config(settings, "grpo")
    return grpo_run.run(recipe, args, stage)
