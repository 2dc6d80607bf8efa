"""The beginning of a stage that runs a model: model, run folder, manifest. `run_check` comes before it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers.integrations import is_deepspeed_zero3_enabled

from chexphi.models import identity, openmp, policy, trainable, what_learns, zero
from chexphi.models.families.film_features import FeatureCache, Tower, weights_digest
from chexphi.models.run_check import CheckedRun, LearningFields, ModelFields
from chexphi.models.shared_prompts.dropout import has_dropout
from chexphi.runs import manifest, processes, run_folder, terminal
from chexphi.runs.library_records import ON_TERMINAL
from chexphi.schema import InputError

logger = logging.getLogger(__name__)


@processes.fail_together()
def begin(
    recipe: ModelFields,
    run: CheckedRun,
    *,
    stage: str,
    seed: int,
    examples: int,
    check_fit: Callable[[Any, Any], None] | None = None,
    from_step: int | None = None,
) -> tuple[Any, Any]:
    """Load the model, then make the run folder with its settings; a bad model leaves no folder.

    Of several processes, the main one makes the folder, and all go on when it exists.

    Args:
        recipe: The stage's settings.
        run: From `check_run`.
        stage: Name of the stage in the manifest.
        seed: Seed of the stage, for the manifest.
        examples: How many examples are used.
        check_fit: Takes model and processor, and raises if the data or a checkpoint do not fit them. It is
            called before a folder is made or changed.
        from_step: Optimiser step that the run goes on from; None in stages without steps.

    Returns:
        The model and its processor.

    Raises:
        InputError: If the folder is in use by now, the model cannot be loaded, or films' features cannot be
            kept.
    """
    out, extra = run.out, dict(run.facts)
    with terminal.waiting("loading the model"):
        model, processor = _loaded(recipe, trainer=run.trainer, seed=seed)
    learning = isinstance(recipe, LearningFields)
    films = processor.image_processor.to_dict()
    extra |= {name: films[name] for name in processor.film_settings}
    if learning:
        extra["trainable"] = trainable.summary(model)
    if processes.is_main():
        extra["policy"] = identity.describe(Path(recipe.model), with_base=learning)
    if recipe.cache_vision and (reason := why_not_kept(model.tower, run.trainer)):
        raise InputError(f"cache_vision is true and {reason}: leave cache_vision out")
    if check_fit is not None:
        check_fit(model, processor)
    if processes.is_main():
        run_folder.open_run(out, resume=recipe.resume, overwrite=recipe.overwrite, keep_replaced=learning)
        run_folder.log_to(out)
        manifest.write(
            out,
            config=run.config,
            data=run.data,
            seed=seed,
            stage=stage,
            from_step=from_step,
            examples=examples,
            **extra,
        )
    if recipe.cache_vision:
        folder = out / "features" / weights_digest(model.tower.vision)
        model.tower.features = FeatureCache(folder)
    elif not learning:  # the next batches have questions about the same films
        model.tower.features = FeatureCache()
    if learning:
        size, *names = trainable.summary_lines(extra["trainable"])
        logger.info(size, extra=ON_TERMINAL)
        for line in names:
            logger.info(line)
    openmp.share_cpus()
    return model, processor


def _loaded(recipe: ModelFields, *, trainer: Any, seed: int) -> tuple[Any, Any]:
    """The model and its processor; the model is ready to train if the stage trains.

    Raises:
        InputError: If it cannot be loaded or trained with these settings, or one process sees several GPUs.
    """
    if trainer is not None and trainer.n_gpu > 1:
        raise InputError(
            f"this one process sees {trainer.n_gpu} GPUs and trains on one: start it with torchrun "
            f"--nproc_per_node {trainer.n_gpu} -m chexphi, or show it one GPU (CUDA_VISIBLE_DEVICES=0)"
        )
    learning = recipe if isinstance(recipe, LearningFields) else None
    setting = what_learns.setting(learning.trainable) if learning else None
    with zero.whole_weights(trainer):
        model, processor = policy.load(
            recipe.model,
            dtype=recipe.dtype,
            attn_implementation=recipe.attention,
            dynamic_hd=recipe.dynamic_hd,
            with_head=setting is not None and what_learns.trains_head(setting),
            learning=learning is not None,
        )
    if learning and setting:
        rank, alpha = learning.lora_rank, learning.lora_alpha
        with torch.random.fork_rng():  # a new LoRA is drawn: the same one for the same seed
            torch.manual_seed(seed)
            model = trainable.prepare(model, setting, targets=model.lora_targets, rank=rank, alpha=alpha)
        zero.gather_together(model)
    return model, processor


def why_not_kept(tower: Tower, trainer: Any = None) -> str | None:
    """The reason why films' features cannot be kept for a run; None if they can.

    Args:
        tower: Of the model, which is ready to train if the stage trains.
        trainer: TRL's config, if the stage trains.
    """
    if tower.learns:
        return "the vision tower learns, so that a film's features change with every step"
    if trainer is None:
        return None
    if has_dropout(tower.vision):
        return "the vision tower uses dropout in training"
    if trainer.fsdp or processes.fsdp() or is_deepspeed_zero3_enabled():
        return "the weights are split between processes, which have to read films together"
    return None
