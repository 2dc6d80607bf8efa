"""Changes that DeepSpeed's ZeRO-3 needs: it shards the weights, and gathers a module's for its pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.integrations import is_deepspeed_zero3_enabled, unset_hf_deepspeed_config

from chexphi.models import adapter


@contextmanager
def whole_weights(trainer: Any) -> Iterator[None]:
    """A context in which loaded models have whole tensors; without it transformers shards them at once.

    Checks and adapters read shapes and values. DeepSpeed shards the model when the training begins.

    Args:
        trainer: TRL's config; None if nothing is trained.
    """
    plugin = trainer.deepspeed_plugin if trainer is not None else None
    if plugin is None:
        yield
        return
    unset_hf_deepspeed_config()
    try:
        yield
    finally:
        plugin.set_deepspeed_weakref()


def gather_together(model: Any) -> None:
    """Under ZeRO-3, gather the weights of the modules that read films once a pass.

    Phi-4 calls its projector once a film. A process with more films than the others would wait forever for
    weights that the others do not gather.

    Args:
        model: The policy, with or without PEFT around it.
    """
    causal = adapter.unwrapped(model)
    if is_deepspeed_zero3_enabled() and causal.gathered_together:
        from deepspeed.utils import set_z3_leaf_modules

        set_z3_leaf_modules(model, list(causal.gathered_together))
