"""What `chexphi grpo` checks before torch and TRL are imported: settings, folders and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi import config, ranges
from chexphi.data.read import image_root_of, read_examples
from chexphi.graph.open import check_extractor
from chexphi.graph.types import Extractor
from chexphi.models import policy_folder, what_learns
from chexphi.models.rollout import settings as rollout_settings
from chexphi.models.run_check import CheckedRun, check_run
from chexphi.number_text import counted
from chexphi.rewards import by_name, settings
from chexphi.rewards.combine import GRAPH
from chexphi.runs import processes, run_folder, terminal
from chexphi.schema import Example, InputError
from chexphi.training import generation_batch, vllm_settings
from chexphi.training.dynamic_sampling import spread_rule
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.preflight import refused, unscorable
from chexphi.training.preflight.number_ranges import GRPO_RUN
from chexphi.training.recovery.checkpoints import RunProgress, progress_of


def check_examples(recipe: GRPORecipe, args: Any, examples: Sequence[Example]) -> None:
    """Refuse examples that cannot train with these settings, which `check_settings` has seen.

    Raises:
        InputError: If they are too few, or the rewards cannot use one.
    """
    check_count(recipe, args, len(examples))
    if missing := next((e.id for e in examples if GRAPH in recipe.rewards and not e.explanation), None):
        raise InputError(f"grpo: example {missing} has no reasoning for {GRAPH}: add it or drop the reward")


def check_settings(recipe: GRPORecipe, args: Any) -> None:
    """Refuse settings that cannot train, whatever the data are.

    Args:
        recipe: Ours.
        args: TRL's settings as they were given.

    Raises:
        InputError: For the first of them.
    """
    config.check_required("grpo", recipe)
    ranges.check(vars(recipe), GRPO_RUN, "grpo")
    settings.check_settings(recipe, args.reward_weights, source="grpo")
    rollout_settings.check(recipe, "grpo", use_vllm=bool(args.use_vllm))
    refused.check_values(args, "grpo")
    generation_batch.check(args, processes.count())
    unscorable.check(recipe)
    check_extractor(recipe.extractor)
    what_learns.setting(recipe.trainable)
    if args.use_vllm:
        vllm_settings.check(args)
        vllm_settings.check_policy(
            args, what_learns.setting(recipe.trainable), policy_folder.locate(Path(recipe.model))
        )
    by_name.check_functions(recipe.rewards)


def check_count(recipe: GRPORecipe, args: Any, count: int) -> None:
    """Refuse fewer examples than a step takes.

    Raises:
        InputError: If there are.
    """
    prompts = generation_batch.size(args, processes.count()) // args.num_generations
    if count < prompts:
        raise InputError(
            f"grpo: a step takes {counted(prompts, 'prompt')}, and the data have "
            f"{counted(count, 'example')}: lower the batch"
        )
    if recipe.dynamic_sample:
        spread_rule.check(prompts, recipe.max_resample_times, count)


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
    """What is known of a stage before torch and TRL are imported."""

    run: CheckedRun
    examples: list[Example]
    """Those that a reward can score."""
    image_root: Path
    extractor: Extractor
    progress: RunProgress
    resumes: bool
    """Whether the folder has a run that is resumed."""


def check_stage(recipe: GRPORecipe, args: Any) -> CheckedStage:
    """Check settings, folders and data; nothing is written.

    Args:
        recipe: Ours.
        args: TRL's settings as they were given.

    Raises:
        InputError: For what cannot be used.
    """
    data, out = Path(recipe.data), Path(args.output_dir)
    check_settings(recipe, args)
    run = check_run(recipe, out, data=data, pools=recipe.pools, trainer=args)
    progress = progress_of(out) if recipe.resume else RunProgress()
    if progress.checkpoint and args.sync_ref_model:
        raise InputError(
            "grpo: sync_ref_model moves a reference that no checkpoint has: start from the beginning"
        )
    examples = read_pools(recipe)
    check_examples(recipe, args, examples)
    with terminal.loading_extractor(recipe.extractor):
        extractor = by_name.extractor_of(recipe)
    examples = unscorable.leave_out(recipe, extractor, examples, run.facts)
    check_count(recipe, args, len(examples))
    resumes = run_folder.resumes_run(out, recipe.resume)
    return CheckedStage(run, examples, image_root_of(data, recipe.image_root), extractor, progress, resumes)
