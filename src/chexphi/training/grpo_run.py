"""The run of a GRPO stage that `training.grpo` has checked: TRL's config, the model, the trainer.

TRL 1.16 cuts no prompt (it has no `max_prompt_length`), and a completion that `max_completion_length` ends is
marked `truncated` in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from trl import GRPOConfig

from chexphi.compat import is_original
from chexphi.graph.types import Extractor
from chexphi.models.rollout import settings as rollout_settings
from chexphi.models.rollout.drafting import Drafter, fed_drafter
from chexphi.models.rollout.recording import CudaCapture, Recorder
from chexphi.models.run_check import with_trainer
from chexphi.models.stage import begin
from chexphi.number_text import counted
from chexphi.rewards import by_name
from chexphi.runs import jsonl, processes
from chexphi.runs.library_records import ON_TERMINAL
from chexphi.schema import Example
from chexphi.training.dataset import check_prompts, grpo_dataset, opens_think
from chexphi.training.diagnostics import Diagnostics
from chexphi.training.dynamic_sampling import spread_rule
from chexphi.training.dynamic_sampling.resampling_trainer import ResamplingGRPOTrainer
from chexphi.training.dynamic_sampling.sampling_state import SamplingState
from chexphi.training.grpo_checks import CheckedStage
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.grpo_trainer import LoggedGRPOTrainer
from chexphi.training.preflight import refused
from chexphi.training.progress import MetricsLog, length_of, shown_progress
from chexphi.training.recovery import load_weights
from chexphi.training.recovery.checkpoints import Checkpoint, RunProgress
from chexphi.training.recovery.resume import cut_logs, finish

logger = logging.getLogger(__name__)

LOGS = ("completions.jsonl", "metrics.jsonl", "diagnostics.jsonl")


def run(recipe: GRPORecipe, args: GRPOConfig, stage: CheckedStage) -> Path:
    """Train; returns the run folder.

    Raises:
        InputError: For what only the libraries or the model can tell, before a folder is made.
    """
    out = stage.run.out
    args.output_dir = str(out)
    with processes.fail_together():
        refused.check(args, "grpo")
        has_gpu = torch.cuda.is_available() and not args.use_cpu
        rollout_settings.check_device(recipe, "grpo", has_gpu=has_gpu)
        checked_run = with_trainer(stage.run, recipe, args)
    examples, checkpoint = stage.examples, stage.progress.checkpoint

    def check_fit(model: Any, processor: Any) -> None:
        check_prompts(examples, stage.image_root, model, processor, args.max_completion_length or 1)
        if checkpoint:
            load_weights.check(model, checkpoint.path)

    model, processor = begin(
        recipe, checked_run, stage="grpo", seed=args.seed, examples=len(examples),
        from_step=stage.progress.step, check_fit=check_fit,
    )  # fmt: skip
    with (
        refused.explained(out, "grpo", resumed=stage.resumes) as trainers,
        opened_logs(out, stage.progress, resumes=bool(recipe.resume)) as (completions, callbacks),
    ):
        rewards = reward_functions(recipe, stage.extractor, model.generation_config.eos_token_id, args)
        opened_think = opens_think(processor, **(args.chat_template_kwargs or {}))
        dataset = grpo_dataset(examples, stage.image_root, processor.prepare_film, opened_think=opened_think)
        trainer = make_trainer(
            recipe, args, checkpoint, model=model, reward_funcs=rewards, train_dataset=dataset,
            processing_class=processor, completions=completions, callbacks=callbacks,
            drafter=make_drafter(recipe, args, model, processor.tokenizer, examples),
            recorder=Recorder(CudaCapture()) if recipe.record_steps else None,
        )  # fmt: skip
        trainers.append(trainer)
        if left_out := stage.run.facts.get("unscorable"):
            logger.warning(
                "left out: %s that no reward can score, which manifest.json names",
                counted(len(left_out), "example"),
            )
        names = ", ".join(recipe.rewards)
        logger.info(
            "grpo on %s, %s, with %s",
            counted(len(examples), "example"),
            length_of(args),
            names,
            extra=ON_TERMINAL,
        )
        with shown_progress(trainer):
            trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
        finish(trainer, out / "model")
    return out


@contextmanager
def opened_logs(
    out: Path, progress: RunProgress, *, resumes: bool
) -> Iterator[tuple[jsonl.JsonLines, list[TrainerCallback]]]:
    """The run's completions, and the callbacks that write its metrics and diagnostics.

    Args:
        out: The run folder.
        progress: How far the run has come.
        resumes: Whether it is resumed: then its logs are cut back to its checkpoint.
    """
    if resumes:
        cut_logs(out, progress, LOGS)
    completions, metrics = (jsonl.JsonLines(jsonl.own_log(out / name)) for name in LOGS[:2])
    diagnostics = [Diagnostics(out)] if processes.is_main() else []
    try:
        yield completions, [MetricsLog(metrics, "grpo"), *diagnostics]
    finally:
        for lines in (completions, metrics, *(callback.lines for callback in diagnostics)):
            lines.close()


def make_trainer(
    recipe: GRPORecipe, args: GRPOConfig, checkpoint: Checkpoint | None, **arguments: Any
) -> LoggedGRPOTrainer:
    """The trainer, with or without dynamic sampling; `arguments` are more of its own."""
    arguments |= {
        "args": args,
        "log_every": recipe.log_every,
        "limits": recipe.vllm_limits,
        "share_prefix": recipe.share_prefix,
        "refuse_unscorable": recipe.unscorable == "refuse",
        "epochs_done": checkpoint.epochs if checkpoint else 0,
        "logs": [Path(args.output_dir) / name for name in LOGS],
    }
    if not recipe.dynamic_sample:
        return LoggedGRPOTrainer(**arguments)
    prompts = len(arguments["train_dataset"])
    state = SamplingState.begin(prompts, args.seed, checkpoint.path if checkpoint else None)
    rule = spread_rule.make_rule(recipe.max_resample_times, original=is_original(recipe.compat))
    return ResamplingGRPOTrainer(rule=rule, sampling_state=state, **arguments)


def make_drafter(
    recipe: GRPORecipe, args: GRPOConfig, model: Any, tokenizer: Any, examples: Sequence[Example]
) -> Drafter | None:
    """Where the drafts of a run's rollouts come from, with what its references say; None without our loop."""
    if recipe.sampling == rollout_settings.LIBRARY or args.use_vllm:
        return None
    texts = (example.explanation for example in examples)
    most_drafts, slots = recipe.draft_tokens, recipe.draft_slots
    return fed_drafter(tokenizer, texts, model.device.type, most_drafts=most_drafts, slots=slots)


def reward_functions(
    recipe: GRPORecipe, extractor: Extractor, end: int | list[int], args: GRPOConfig | None = None
) -> list[Any]:
    """The callables that a recipe names, in its order, or combined as one; `args` gets their weights."""
    rewards = by_name.open_rewards(
        recipe,
        extractor,
        end_token_ids=[end] if isinstance(end, int) else end,
        max_completion_length=args.max_completion_length if args else None,
    )
    functions, weights = by_name.trainer_rewards(recipe, rewards, args.reward_weights if args else None)
    if args is not None:
        args.reward_weights = weights
    return functions
