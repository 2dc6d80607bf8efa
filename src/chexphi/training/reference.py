"""The reference policy of a run that trains a whole model: a frozen copy of the policy."""

from __future__ import annotations

import logging
from typing import Any

from trl import GRPOTrainer
from trl.models import prepare_deepspeed
from trl.trainer.callbacks import SyncRefModelCallback
from trl.trainer.utils import add_fused_lm_head

logger = logging.getLogger(__name__)

LARGE = 1e9
"""Bytes from which a second model is worth a warning."""


def prepare(reference: Any, trainer: GRPOTrainer) -> Any:
    """The copy, frozen and made ready for the trainer's passes without gradients.

    With `sync_ref_model` it follows the policy, as TRL's own reference would.
    """
    size = sum(parameter.nbytes for parameter in reference.parameters())
    logger.log(
        logging.WARNING if size >= LARGE else logging.INFO,
        "beta is %g: the reference policy is a second model of %s",
        trainer.beta,
        f"{size / 1e9:.1f} GB" if size >= LARGE else f"{max(1, round(size / 1e6)):,} MB",
    )
    reference.requires_grad_(False)
    add_fused_lm_head(
        reference,
        temperature=trainer.temperature,
        cast_lm_head_to_fp32=trainer.args.cast_lm_head_to_fp32,
    )
    if trainer.is_deepspeed_enabled:
        prepared = prepare_deepspeed(reference, trainer.accelerator)
    else:
        prepared = trainer.accelerator.prepare_model(reference, evaluation_mode=True)
    if trainer.args.sync_ref_model:
        trainer.add_callback(SyncRefModelCallback(ref_model=prepared, accelerator=trainer.accelerator))
    return prepared
