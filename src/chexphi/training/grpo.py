"""Group-relative policy optimisation on an answer reward and a graph reward: `chexphi grpo`.

TRL's GRPOTrainer with the two rewards of CheXPO-v2 (arXiv 2512.17213) as two functions, so that their names,
weights and metrics are TRL's. TRL 1.16 cuts no prompt (it has no `max_prompt_length`), and a completion that
`max_completion_length` ends is marked `truncated` in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from trl import GRPOConfig

from chexphi import config, ranges
from chexphi.compat import is_original
from chexphi.data.read import image_root_of, read_examples
from chexphi.graph.types import Extractor
from chexphi.models import policy_folder, trainable
from chexphi.models.run_check import CheckedRun, check_run
from chexphi.models.stage import begin
from chexphi.rewards import by_name, settings
from chexphi.rewards.combine import GRAPH
from chexphi.runs import jsonl, processes, run_folder
from chexphi.runs.library_records import ON_TERMINAL
from chexphi.schema import Example, InputError
from chexphi.training import vllm_engines
from chexphi.training.dataset import check_prompts, grpo_dataset, opens_think
from chexphi.training.diagnostics import Diagnostics
from chexphi.training.dynamic_sampling import spread_rule
from chexphi.training.dynamic_sampling.resampling_trainer import ResamplingGRPOTrainer
from chexphi.training.dynamic_sampling.sampling_state import SamplingState
from chexphi.training.grpo_recipe import DEFAULTS, GRPORecipe
from chexphi.training.grpo_trainer import LoggedGRPOTrainer
from chexphi.training.preflight import refused, unscorable
from chexphi.training.preflight.number_ranges import GRPO_RUN
from chexphi.training.progress import MetricsLog, length_of, shown_progress
from chexphi.training.recovery import load_weights
from chexphi.training.recovery.checkpoints import Checkpoint, RunProgress, progress_of
from chexphi.training.recovery.resume import cut_logs, finish

logger = logging.getLogger(__name__)

LOGS = ("completions.jsonl", "metrics.jsonl", "diagnostics.jsonl")


def parse(argv: Sequence[str]) -> tuple[GRPORecipe, GRPOConfig]:
    """Read the recipe and TRL's config from the command line."""
    recipe, args = config.parse_training(
        argv, GRPORecipe, GRPOConfig, verb="grpo", defaults=DEFAULTS, number_ranges=GRPO_RUN
    )
    return recipe, args


def check(recipe: GRPORecipe, args: GRPOConfig, examples: Sequence[Example]) -> None:
    """Refuse what cannot train.

    Raises:
        InputError: For a setting or an example that the rewards cannot use.
    """
    ranges.check(vars(recipe), GRPO_RUN, "grpo")
    settings.check_settings(recipe, args.reward_weights, source="grpo")
    refused.check(args, "grpo")
    unscorable.check(recipe)
    by_name.check_functions(recipe.rewards)
    check_count(recipe, args, len(examples))
    if missing := next((e.id for e in examples if GRAPH in recipe.rewards and not e.explanation), None):
        raise InputError(f"grpo: example {missing} has no reasoning for {GRAPH}: add it or drop the reward")
    if args.use_vllm:
        vllm_engines.check(args, recipe.vllm_limits)
        vllm_engines.check_policy(
            args, trainable.setting(recipe.trainable), policy_folder.locate(Path(recipe.model))
        )


def check_count(recipe: GRPORecipe, args: GRPOConfig, count: int) -> None:
    """Refuse fewer examples than a step takes.

    Raises:
        InputError: If there are.
    """
    if count < (prompts := args.generation_batch_size // args.num_generations):
        raise InputError(
            f"grpo: {count} examples are fewer than the {prompts} prompts of a step: lower the batch"
        )
    if recipe.dynamic_sample:
        spread_rule.check(args, recipe.max_resample_times, count)


def read_pools(recipe: GRPORecipe) -> list[Example]:
    """The examples of every file, whose films are in one folder; TRL shuffles them.

    Raises:
        InputError: If a file is bad, or an id is in two of them.
    """
    root = image_root_of(Path(recipe.data), recipe.image_root)
    files = [Path(name) for name in (recipe.data, *recipe.pools)]
    pools = [read_examples(file, image_root=root, limit=recipe.limit) for file in files]
    file_of_id: dict[str, Path] = {}
    for file, pool in zip(files, pools, strict=True):
        for example in pool:
            if (first_file := file_of_id.setdefault(example.id, file)) is not file:
                raise InputError(f"grpo: id {example.id!r} is in {first_file} and in {file}: make ids unique")
    return [example for pool in pools for example in pool]


@dataclass(frozen=True, slots=True)
class CheckedStage:
    """What is known of a stage before its model is loaded."""

    run: CheckedRun
    examples: list[Example]
    """Those that a reward can score."""
    image_root: Path
    extractor: Extractor
    progress: RunProgress
    resumes: bool
    """Whether the folder has a run that is resumed."""


def check_stage(recipe: GRPORecipe, args: GRPOConfig) -> CheckedStage:
    """Check settings, data and folders; nothing is written.

    Raises:
        InputError: For what cannot be used.
    """
    data, out = Path(recipe.data), Path(args.output_dir)
    if not recipe.model or not recipe.data:
        raise InputError("grpo needs --model and --data: give both, in the config or as flags")
    examples = read_pools(recipe)
    check(recipe, args, examples)
    run = check_run(recipe, out, data=data, trainer=args, pools=recipe.pools)
    progress = progress_of(out) if recipe.resume else RunProgress()
    if progress.checkpoint and args.sync_ref_model:
        raise InputError(
            "grpo: sync_ref_model moves a reference that no checkpoint has: start from the beginning"
        )
    extractor = by_name.extractor_of(recipe)
    examples = unscorable.leave_out(recipe, extractor, examples, run.facts)
    check_count(recipe, args, len(examples))
    resumes = run_folder.resumes_run(out, recipe.resume)
    return CheckedStage(run, examples, image_root_of(data, recipe.image_root), extractor, progress, resumes)


def main(recipe: GRPORecipe, args: GRPOConfig) -> Path:
    """Run one GRPO stage; returns the run folder, whose `model/` is the trained policy.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    out = Path(args.output_dir)
    with processes.fail_together():
        stage = check_stage(recipe, args)
    examples, checkpoint = stage.examples, stage.progress.checkpoint
    if stage.progress.finished:
        logger.warning("the run in %s is finished: nothing is left to do", out)
        return out

    def check_fit(model: Any, processor: Any) -> None:
        check_prompts(examples, stage.image_root, model, processor, args.max_completion_length or 1)
        if checkpoint:
            load_weights.check(model, checkpoint.path)

    model, processor = begin(
        recipe, stage.run, stage="grpo", seed=args.seed, examples=len(examples),
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
        )  # fmt: skip
        trainers.append(trainer)
        if left_out := stage.run.facts.get("unscorable"):
            logger.warning(
                "%d examples that no reward can score are left out: manifest.json names them", len(left_out)
            )
        names = ", ".join(recipe.rewards)
        logger.info(
            "grpo on %d examples, %s, with %s", len(examples), length_of(args), names, extra=ON_TERMINAL
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
