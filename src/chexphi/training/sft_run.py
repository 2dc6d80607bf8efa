"""The run of an SFT stage that `training.sft` has checked: TRL's config, the model, the trainer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from trl import SFTConfig, SFTTrainer

from chexphi.models.run_check import with_trainer
from chexphi.models.stage import begin
from chexphi.number_text import counted
from chexphi.runs import jsonl, processes
from chexphi.runs.library_records import ON_TERMINAL
from chexphi.training.dataset import check_lengths, check_targets, sft_dataset
from chexphi.training.kept_here import KeptHere
from chexphi.training.late_collator import LateCollator
from chexphi.training.preflight import refused
from chexphi.training.progress import MetricsLog, length_of, shown_progress
from chexphi.training.recovery import load_weights
from chexphi.training.recovery.resume import Recovering, cut_logs, finish
from chexphi.training.sft_checks import CheckedStage
from chexphi.training.sft_recipe import SFTRecipe

logger = logging.getLogger(__name__)


class RecoveringSFTTrainer(Recovering, KeptHere, SFTTrainer):
    """TRL's trainer, which can resume from what it saves, and then continues to count tokens."""

    def _run_epoch(self, **arguments: Any) -> None:
        if arguments["epoch"] == arguments["epochs_trained"]:  # a save is logged first
            token_counts = [row["num_tokens"] for row in self.state.log_history if "num_tokens" in row]
            self._total_train_tokens = int(token_counts[-1]) if token_counts else 0
        super()._run_epoch(**arguments)


def run(recipe: SFTRecipe, args: SFTConfig, stage: CheckedStage) -> Path:
    """Train; returns the run folder.

    Raises:
        InputError: For what only the libraries or the model can tell, before a folder is made.
    """
    out = stage.run.out
    args.output_dir = str(out)
    with processes.fail_together():
        refused.check(args, "sft")
        checked_run = with_trainer(stage.run, recipe, args)
    examples, root, checkpoint = stage.examples, stage.image_root, stage.progress.checkpoint

    def check_fit(model: Any, processor: Any) -> None:
        check_targets(examples, processor, strip_tags=recipe.strip_tags)
        if args.max_length is not None:
            check_lengths(examples, root, processor, args.max_length, strip_tags=recipe.strip_tags)
        if checkpoint:
            load_weights.check(model, checkpoint.path)

    model, processor = begin(
        recipe, checked_run, stage="sft", seed=args.seed, examples=len(examples),
        from_step=stage.progress.step, check_fit=check_fit,
    )  # fmt: skip
    with refused.explained(out, "sft", resumed=stage.resumes) as trainers:
        if stage.resumes:
            cut_logs(out, stage.progress, ["metrics.jsonl"])
        lines = jsonl.JsonLines(jsonl.own_log(out / "metrics.jsonl"))
        dataset = sft_dataset(examples, root, processor.prepare_film, strip_tags=recipe.strip_tags)
        trainer = RecoveringSFTTrainer(
            model=model,
            args=args,
            train_dataset=dataset,
            processing_class=processor,
            callbacks=[MetricsLog(lines, "sft")],
        )
        trainers.append(trainer)
        trainer.recovery_logs = [out / "metrics.jsonl"]
        trainer.data_collator = LateCollator(trainer.data_collator)
        logger.info("sft on %s, %s", counted(len(examples), "example"), length_of(args), extra=ON_TERMINAL)
        with shown_progress(trainer):
            trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
    finish(trainer, out / "model")
    lines.close()
    return out
