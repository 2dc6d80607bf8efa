"""Group-relative policy optimisation on an answer reward and a graph reward: `chexphi grpo`.

TRL's GRPOTrainer with the two rewards of CheXPO-v2 (arXiv 2512.17213), each a function of its own:
their names, weights and metrics stay TRL's. TRL 1.16 cuts no prompt (it has no `max_prompt_length`), and a
completion that `max_completion_length` ends is marked `truncated` in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trl import GRPOConfig

from chexphi import config, runs
from chexphi.answers import MATCHES
from chexphi.data.read import image_root_of, read_examples
from chexphi.graph.open import open_extractor
from chexphi.graph.types import Extractor
from chexphi.models import policy, trainable
from chexphi.models.stage import LearningFields, begin, save
from chexphi.rewards import AccuracyReward, GraphReward
from chexphi.schema import Example, InputError
from chexphi.training import dynamic, engines
from chexphi.training.dataset import check_prompts, grpo_dataset
from chexphi.training.diagnostics import Diagnostics
from chexphi.training.drawn import DrawnOn
from chexphi.training.progress import MetricsLog, quiet
from chexphi.training.resample import ResamplingGRPOTrainer
from chexphi.training.resume import last_checkpoint
from chexphi.training.trainer import LoggedGRPOTrainer

logger = logging.getLogger(__name__)

REWARDS = ("external_r1v_acc", "external_kg_jac")


@dataclass
class GRPORecipe(LearningFields):
    """Train a policy on what its reasoning says, not only on its answer."""

    data: str = field(default="", metadata={"help": "examples with answers and reference reasoning"})
    image_root: str | None = field(
        default=None, metadata={"help": "folder of the images (default: beside the data)"}
    )
    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_grpo)"})
    limit: int | None = field(default=None, metadata={"help": "use the first N examples only"})
    rewards: list[str] = field(
        default_factory=lambda: list(REWARDS),
        metadata={"help": f"any of {', '.join(REWARDS)}; weights: --reward_weights"},
    )
    match: str = field(
        default="exact", metadata={"help": "how answers are compared: exact, f1 or any (the original's)"}
    )
    measure: str = field(default="jaccard", metadata={"help": "how graphs are compared: jaccard or f1"})
    extractor: str = field(
        default="lexicon", metadata={"help": "what reads graphs: lexicon, rexkg:FOLDER or radgraph"}
    )
    dynamic_sample: bool = field(
        default=False,
        metadata={"help": "replace groups without a spread of rewards by groups of other prompts"},
    )
    max_resample_times: int = field(
        default=4, metadata={"help": "with dynamic_sample: most rounds of other prompts a batch"}
    )
    compat: str = field(
        default="default",
        metadata={"help": "seed: dynamic_sample as in the original (spread above 0.06, else the own batch)"},
    )
    share_prefix: bool = field(
        default=True, metadata={"help": "read each distinct prompt once for its completions"}
    )
    logp_difference: float = field(
        default=0.05,
        metadata={"help": "with use_vllm: most mean |log-probability of vLLM - trainer| in the first batch"},
    )
    logp_outliers: float = field(
        default=0.05, metadata={"help": f"and the largest share of tokens beyond {engines.OUTLIER}"}
    )
    resume: bool = field(default=False, metadata={"help": "go on with the run in --out"})
    overwrite: bool = field(default=False, metadata={"help": "replace the run in --out"})


DEFAULTS: dict[str, Any] = {
    "log_completions": False,  # TRL would print patient text
    "report_to": "none",
    "use_bias_correction_kl": False,  # on in TRL 1.16; changes gradients whenever beta != 0
    "gradient_checkpointing": False,
    "logging_steps": 1,
}


def parse(argv: Sequence[str]) -> tuple[GRPORecipe, GRPOConfig]:
    """Read the recipe and TRL's config from the command line."""
    recipe, args = config.parse_training(argv, GRPORecipe, GRPOConfig, verb="grpo", defaults=DEFAULTS)
    return recipe, args


def check(recipe: GRPORecipe, args: GRPOConfig, examples: Sequence[Example]) -> None:
    """Refuse what cannot train.

    Raises:
        InputError: For a setting or an example that the rewards cannot use.
    """
    for name, value, known in (
        *(("rewards", reward, REWARDS) for reward in recipe.rewards),
        ("match", recipe.match, MATCHES[:3]),
        ("measure", recipe.measure, ("jaccard", "f1")),
        ("compat", recipe.compat, ("default", "seed")),
    ):
        if value not in known:
            raise InputError(f"grpo: {name} is {value!r}: use {', '.join(known)}")
    if not recipe.rewards or len(set(recipe.rewards)) != len(recipe.rewards):
        raise InputError(f"grpo: rewards is {recipe.rewards}: name each reward once")
    if args.reward_weights is not None and len(args.reward_weights) != len(recipe.rewards):
        raise InputError(
            f"grpo: {len(args.reward_weights)} reward_weights for {len(recipe.rewards)} rewards: one each"
        )
    if len(examples) < (prompts := args.generation_batch_size // args.num_generations):
        raise InputError(
            f"grpo: {len(examples)} examples are fewer than the {prompts} prompts of a step: lower the batch"
        )
    if recipe.dynamic_sample:
        dynamic.check(args, recipe.max_resample_times, len(examples))
    if missing := next(
        (e.id for e in examples if "external_kg_jac" in recipe.rewards and not e.explanation), None
    ):
        raise InputError(
            f"grpo: example {missing} has no reasoning for external_kg_jac: add it or drop the reward"
        )


def main(recipe: GRPORecipe, args: GRPOConfig) -> Path:
    """Run one GRPO stage; returns the run folder, whose `model/` is the trained policy.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    if not recipe.model or not recipe.data:
        raise InputError("grpo needs --model and --data: give both, in the config or as flags")
    data = Path(recipe.data)
    examples = read_examples(data, image_root=recipe.image_root, limit=recipe.limit)
    check(recipe, args, examples)
    extractor = open_extractor(recipe.extractor)
    limits = engines.Limits(recipe.logp_difference, recipe.logp_outliers)
    if args.use_vllm:
        engines.check(args, limits)
        asked = trainable.setting(recipe.trainable)
        engines.check_policy(args, asked, policy.locate(Path(recipe.model)))
    out, root = Path(args.output_dir), image_root_of(data, recipe.image_root)

    def suits(model: Any, processor: Any) -> None:
        check_prompts(examples, root, model, processor, args.max_completion_length or 1)

    model, processor = begin(
        recipe, out, stage="grpo", data=data, seed=args.seed, examples=len(examples), trainer=args,
        suits=suits,
    )  # fmt: skip
    checkpoint = last_checkpoint(out) if recipe.resume else None
    if recipe.resume:
        for name in ("metrics.jsonl", "completions.jsonl", "diagnostics.jsonl"):
            runs.cut_after_step(out / name, checkpoint.step if checkpoint else 0)
    metrics, completions = runs.JsonLines(out / "metrics.jsonl"), runs.JsonLines(out / "completions.jsonl")
    diagnostics = Diagnostics(out)
    kind: type[LoggedGRPOTrainer] = LoggedGRPOTrainer
    sampling: dict[str, Any] = {}
    if recipe.dynamic_sample:
        drawn = DrawnOn.begin(len(examples), args.seed, checkpoint.path if checkpoint else None)
        rule = dynamic.rule(recipe.max_resample_times, seed=recipe.compat == "seed")
        kind, sampling = ResamplingGRPOTrainer, {"rule": rule, "drawn": drawn}
    trainer = kind(
        model=model,
        args=args,
        reward_funcs=reward_functions(recipe, extractor, model.generation_config.eos_token_id),
        train_dataset=grpo_dataset(examples, root, processor.prepare_film),
        processing_class=processor,
        callbacks=[MetricsLog(metrics), diagnostics],
        completions=completions,
        limits=limits,
        share_prefix=recipe.share_prefix,
        epochs_done=checkpoint.epochs if checkpoint else 0,
        **sampling,
    )
    logger.info("grpo on %d examples with %s", len(examples), ", ".join(recipe.rewards))
    quiet(trainer)
    trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
    save(trainer, out / "model")
    if recipe.dynamic_sample:
        drawn.write_never_spread(out)
    metrics.close()
    completions.close()
    diagnostics.lines.close()
    return out


def reward_functions(recipe: GRPORecipe, extractor: Extractor, end: int | list[int]) -> list[Any]:
    """The callables that a recipe names, in its order."""
    ends = [end] if isinstance(end, int) else end
    known: dict[str, Any] = {
        "external_r1v_acc": AccuracyReward(recipe.match, ends),  # type: ignore[arg-type]
        "external_kg_jac": GraphReward(extractor, recipe.measure, ends),  # type: ignore[arg-type]
    }
    return [known[name] for name in recipe.rewards]
