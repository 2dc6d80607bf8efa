"""Supervised fine-tuning on explanations: `chexphi sft`.

TRL's SFTTrainer, loss on the answer turn only. Nothing is cut: `max_length` is null, and a row longer than
one that is set stops the run before it starts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trl import SFTConfig, SFTTrainer

from chexphi import config, ranges
from chexphi.data.read import image_root_of, read_examples
from chexphi.models.run_check import CheckedRun, check_run
from chexphi.models.stage import LearningFields, begin
from chexphi.runs import jsonl, processes, run_folder
from chexphi.runs.library_records import ON_TERMINAL
from chexphi.runs.stop import RESUME_HELP
from chexphi.schema import Example, InputError
from chexphi.training.dataset import check_lengths, check_targets, sft_dataset
from chexphi.training.late_collator import LateCollator
from chexphi.training.preflight import refused
from chexphi.training.preflight.number_ranges import SFT_RUN
from chexphi.training.preflight.outward import KeptHere
from chexphi.training.progress import MetricsLog, length_of, shown_progress
from chexphi.training.recovery import load_weights
from chexphi.training.recovery.checkpoints import RunProgress, progress_of
from chexphi.training.recovery.resume import Recovering, cut_logs, finish

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SFTRecipe(LearningFields):
    """Teach a policy to write reasoning and answer by imitation."""

    data: str = field(default="", metadata={"help": "examples with explanations (.json, .jsonl or .parquet)"})
    image_root: str | None = field(
        default=None, metadata={"help": "folder of the images (default: beside the data)"}
    )
    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_sft)"})
    limit: int | None = field(default=None, metadata={"help": "use the first N examples only"})
    strip_tags: bool = field(
        default=False, metadata={"help": "imitate the words of the explanation without its tags"}
    )
    resume: run_folder.Resume = field(default=False, metadata={"help": RESUME_HELP})


def read(recipe: SFTRecipe) -> list[Example]:
    """The examples to imitate.

    Raises:
        InputError: If they are missing or bad, or one has no explanation.
    """
    if not recipe.model or not recipe.data:
        raise InputError("sft needs --model and --data: give both, in the config or as flags")
    ranges.check(vars(recipe), SFT_RUN, "sft")
    examples = read_examples(Path(recipe.data), image_root=recipe.image_root, limit=recipe.limit)
    if missing := next((example.id for example in examples if not example.explanation), None):
        raise InputError(
            f"{recipe.data}: example {missing} has no explanation to imitate: add one or remove the row"
        )
    return examples


class RecoveringSFTTrainer(Recovering, KeptHere, SFTTrainer):
    """TRL's trainer, which can resume from what it saves, and then continues to count tokens."""

    def _run_epoch(self, **arguments: Any) -> None:
        if arguments["epoch"] == arguments["epochs_trained"]:  # a save is logged first
            token_counts = [row["num_tokens"] for row in self.state.log_history if "num_tokens" in row]
            self._total_train_tokens = int(token_counts[-1]) if token_counts else 0
        super()._run_epoch(**arguments)


@dataclass(frozen=True, slots=True)
class CheckedStage:
    """What is known of a stage before its model is loaded."""

    run: CheckedRun
    examples: list[Example]
    image_root: Path
    progress: RunProgress
    resumes: bool
    """Whether the folder has a run that is resumed."""


def check_stage(recipe: SFTRecipe, args: SFTConfig) -> CheckedStage:
    """Check settings, data and folders; nothing is written.

    Raises:
        InputError: For what cannot be used.
    """
    data, out = Path(recipe.data), Path(args.output_dir)
    refused.check(args, "sft")
    examples = read(recipe)
    run = check_run(recipe, out, data=data, trainer=args)
    progress = progress_of(out) if recipe.resume else RunProgress()
    resumes = run_folder.resumes_run(out, recipe.resume)
    return CheckedStage(run, examples, image_root_of(data, recipe.image_root), progress, resumes)


def main(recipe: SFTRecipe, args: SFTConfig) -> Path:
    """Run one SFT stage; returns the run folder, whose `model/` is the trained policy.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    out = Path(args.output_dir)
    with processes.fail_together():
        stage = check_stage(recipe, args)
    examples, root, checkpoint = stage.examples, stage.image_root, stage.progress.checkpoint
    if stage.progress.finished:
        logger.warning("the run in %s is finished: nothing is left to do", out)
        return out

    def check_fit(model: Any, processor: Any) -> None:
        check_targets(examples, processor, strip_tags=recipe.strip_tags)
        if args.max_length is not None:
            check_lengths(examples, root, processor, args.max_length, strip_tags=recipe.strip_tags)
        if checkpoint:
            load_weights.check(model, checkpoint.path)

    model, processor = begin(
        recipe, stage.run, stage="sft", seed=args.seed, examples=len(examples),
        from_step=stage.progress.step, check_fit=check_fit,
    )  # fmt: skip
    with refused.explained(out, "sft", resumed=stage.resumes) as trainers:
        if recipe.resume:
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
        logger.info("sft on %d examples, %s", len(examples), length_of(args), extra=ON_TERMINAL)
        with shown_progress(trainer):
            trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
    finish(trainer, out / "model")
    lines.close()
    return out


DEFAULTS: dict[str, Any] = {
    "max_length": None,  # TRL's 1,024 would cut a large film's tokens and the answer after them
    "completion_only_loss": True,
    "remove_unused_columns": False,  # the rows are made when they are read
    "report_to": "none",
    "save_only_model": False,
    "logging_steps": 10,
}


def parse(argv: Sequence[str]) -> tuple[SFTRecipe, SFTConfig]:
    """Read the recipe and TRL's config from the command line."""
    return config.parse_training(
        argv, SFTRecipe, SFTConfig, verb="sft", defaults=DEFAULTS, number_ranges=SFT_RUN
    )
