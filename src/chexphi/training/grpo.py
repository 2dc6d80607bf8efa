"""Group-relative policy optimisation on an answer reward and a graph reward: `chexphi grpo`.

TRL's GRPOTrainer with the two rewards of CheXPO-v2 (arXiv 2512.17213), each a function of its own:
their names, weights and metrics stay TRL's. TRL 1.16 cuts no prompt (it has no `max_prompt_length`), and a
completion that `max_completion_length` ends is marked `truncated` in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from trl import GRPOConfig

from chexphi import config, ranges
from chexphi.compat import is_original
from chexphi.data.read import image_root_of, read_examples
from chexphi.graph.types import Extractor
from chexphi.models import policy, trainable
from chexphi.models.stage import LearningFields, begin, check_run
from chexphi.rewards import by_name, settings
from chexphi.rewards.combine import GRAPH
from chexphi.runs import jsonl, processes, run_folder
from chexphi.runs.stop import RESUME_HELP
from chexphi.schema import Example, InputError
from chexphi.training import vllm_engines
from chexphi.training.dataset import check_prompts, grpo_dataset, opens_think
from chexphi.training.diagnostics import Diagnostics
from chexphi.training.dynamic_sampling import spread_rule
from chexphi.training.dynamic_sampling.resampling_trainer import ResamplingGRPOTrainer
from chexphi.training.dynamic_sampling.sampling_state import SamplingState
from chexphi.training.grpo_trainer import LoggedGRPOTrainer
from chexphi.training.preflight import refused, unscorable
from chexphi.training.preflight.number_ranges import GRPO_RUN
from chexphi.training.progress import MetricsLog, quiet
from chexphi.training.recovery import load_weights
from chexphi.training.recovery.checkpoints import Checkpoint, Standing, standing
from chexphi.training.recovery.resume import cut_logs, finish

logger = logging.getLogger(__name__)

LOGS = ("completions.jsonl", "metrics.jsonl", "diagnostics.jsonl")


@dataclass(frozen=True)
class GRPORecipe(settings.RewardFields, LearningFields):
    """Train a policy on what its reasoning says, not only on its answer."""

    data: str = field(default="", metadata={"help": "examples with answers and reference reasoning"})
    pools: list[str] = field(
        default_factory=list,
        metadata={"help": "more files like --data, mixed with it; each may write its answer first or last"},
    )
    image_root: str | None = field(
        default=None, metadata={"help": "folder of the images (default: beside the data)"}
    )
    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_grpo)"})
    limit: int | None = field(default=None, metadata={"help": "use the first N examples of each file only"})
    dynamic_sample: bool = field(
        default=False,
        metadata={"help": "replace groups without a spread of rewards by groups of other prompts"},
    )
    max_resample_times: int = field(
        default=4, metadata={"help": "with dynamic_sample: most rounds of other prompts a batch"}
    )
    log_every: int = field(
        default=1,
        metadata={
            "help": "of the steps at which completions are generated, log the first and each N-th after"
        },
    )
    share_prefix: bool = field(
        default=True, metadata={"help": "read each distinct prompt once for its completions"}
    )
    unscorable: str = field(
        default="leave_out",
        metadata={"help": "examples that none of the rewards can score: leave_out (counted) or refuse"},
    )
    logp_difference: float = field(
        default=0.05,
        metadata={"help": "with use_vllm: most mean |log-probability of vLLM - trainer| in the first batch"},
    )
    logp_outliers: float = field(
        default=0.05, metadata={"help": f"and the largest share of tokens beyond {vllm_engines.OUTLIER}"}
    )
    resume: run_folder.Resume = field(default=False, metadata={"help": RESUME_HELP})


DEFAULTS: dict[str, Any] = {
    "log_completions": False,  # TRL would print patient text
    "log_multimodal": False,  # and gather films, on which a process without any does not join in
    "report_to": "none",
    "use_bias_correction_kl": False,  # on in TRL 1.16; changes gradients whenever beta != 0
    "gradient_checkpointing": False,
    "logging_steps": 1,
}


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
        vllm_engines.check(args, _limits(recipe))
        vllm_engines.check_policy(
            args, trainable.setting(recipe.trainable), policy.locate(Path(recipe.model))
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
    """The examples of every file, whose films lie in one folder; TRL shuffles them.

    Raises:
        InputError: If a file is bad, or an id stands in two of them.
    """
    root = image_root_of(Path(recipe.data), recipe.image_root)
    files = [Path(name) for name in (recipe.data, *recipe.pools)]
    pools = [read_examples(file, image_root=root, limit=recipe.limit) for file in files]
    seen: dict[str, Path] = {}
    for file, pool in zip(files, pools, strict=True):
        for example in pool:
            if (first := seen.setdefault(example.id, file)) is not file:
                raise InputError(f"grpo: id {example.id!r} stands in {first} and in {file}: make ids unique")
    return [example for pool in pools for example in pool]


def main(recipe: GRPORecipe, args: GRPOConfig) -> Path:
    """Run one GRPO stage; returns the run folder, whose `model/` is the trained policy.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    data, out = Path(recipe.data), Path(args.output_dir)
    with processes.fail_together():
        if not recipe.model or not recipe.data:
            raise InputError("grpo needs --model and --data: give both, in the config or as flags")
        examples, root = read_pools(recipe), image_root_of(data, recipe.image_root)
        check(recipe, args, examples)
        run = check_run(recipe, out, data=data, trainer=args, pools=recipe.pools)
        stands, going_on = (
            standing(out) if recipe.resume else Standing(),
            run_folder.resumes_run(out, recipe.resume),
        )
        if (checkpoint := stands.checkpoint) and args.sync_ref_model:
            raise InputError("grpo: sync_ref_model moves a reference that no checkpoint has: begin anew")
        extractor = by_name.extractor_of(recipe)
        examples = unscorable.leave_out(recipe, extractor, examples, run.facts)
        check_count(recipe, args, len(examples))
    if stands.finished:
        logger.warning("the run in %s is finished: nothing is left to do", out)
        return out

    def check_fit(model: Any, processor: Any) -> None:
        check_prompts(examples, root, model, processor, args.max_completion_length or 1)
        if checkpoint:
            load_weights.check(model, checkpoint.path)

    model, processor = begin(
        recipe, run, stage="grpo", seed=args.seed, examples=len(examples), check_fit=check_fit
    )
    explained = refused.explained(out, "grpo", resumed=going_on)
    with explained as made, opened_logs(out, stands, cut=bool(recipe.resume)) as (completions, callbacks):
        rewards = reward_functions(recipe, extractor, model.generation_config.eos_token_id, args)
        opened_think = opens_think(processor, **(args.chat_template_kwargs or {}))
        dataset = grpo_dataset(examples, root, processor.prepare_film, opened_think=opened_think)
        trainer = make_trainer(
            recipe, args, checkpoint, model=model, reward_funcs=rewards, train_dataset=dataset,
            processing_class=processor, completions=completions, callbacks=callbacks,
        )  # fmt: skip
        made.append(trainer)
        if left_out := run.facts.get("unscorable"):
            logger.warning(
                "%d examples that no reward can score are left out: manifest.json names them", len(left_out)
            )
        logger.info("grpo on %d examples with %s", len(examples), ", ".join(recipe.rewards))
        quiet(trainer)
        trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
        finish(trainer, out / "model")
    return out


@contextmanager
def opened_logs(
    out: Path, stands: Standing, *, cut: bool
) -> Iterator[tuple[jsonl.JsonLines, list[TrainerCallback]]]:
    """The run's completions, and what writes its metrics and diagnostics; `cut` back where a run goes on."""
    if cut:
        cut_logs(out, stands, LOGS)
    completions, metrics = (jsonl.JsonLines(jsonl.own_log(out / name)) for name in LOGS[:2])
    diagnostics = [Diagnostics(out)] if processes.is_main() else []
    try:
        yield completions, [MetricsLog(metrics), *diagnostics]
    finally:
        for lines in (completions, metrics, *(one.lines for one in diagnostics)):
            lines.close()


def make_trainer(
    recipe: GRPORecipe, args: GRPOConfig, checkpoint: Checkpoint | None, **parts: Any
) -> LoggedGRPOTrainer:
    """The trainer of these parts, with or without dynamic sampling."""
    parts |= {
        "args": args,
        "log_every": recipe.log_every,
        "limits": _limits(recipe),
        "share_prefix": recipe.share_prefix,
        "refuse_unscorable": recipe.unscorable == "refuse",
        "epochs_done": checkpoint.epochs if checkpoint else 0,
        "logs": [Path(args.output_dir) / name for name in LOGS],
    }
    if not recipe.dynamic_sample:
        return LoggedGRPOTrainer(**parts)
    prompts = len(parts["train_dataset"])
    state = SamplingState.begin(prompts, args.seed, checkpoint.path if checkpoint else None)
    rule = spread_rule.make_rule(recipe.max_resample_times, original=is_original(recipe.compat))
    return ResamplingGRPOTrainer(rule=rule, sampling_state=state, **parts)


def _limits(recipe: GRPORecipe) -> vllm_engines.Limits:
    return vllm_engines.Limits(recipe.logp_difference, recipe.logp_outliers)


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
