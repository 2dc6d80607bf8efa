"""What DeepSpeed's ZeRO-3 needs of a model: weights lie in parts, a module's are gathered for its pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.integrations import is_deepspeed_zero3_enabled, unset_hf_deepspeed_config

from chexphi.models import adapter


@contextmanager
def whole(trainer: Any) -> Iterator[None]:
    """Models that are loaded inside have whole tensors; transformers would part them at once.

    Checks and adapters read shapes and values. DeepSpeed parts the model when the training begins.

    Args:
        trainer: TRL's config; None where nothing is trained.
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
    """Let the weights of what reads films be gathered once a pass, under ZeRO-3.

    Phi-4 calls its projector once a film. Processes with other numbers of films, or with none, would wait for
    weights that the others do not ask for.

    Args:
        model: The policy, with or without PEFT around it.
    """
    causal = adapter.unwrapped(model)
    if is_deepspeed_zero3_enabled() and causal.gathered_together:
        from deepspeed.utils import set_z3_leaf_modules

        set_z3_leaf_modules(model, list(causal.gathered_together))
