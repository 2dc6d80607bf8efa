"""Whether rows of a batch that have a prompt in common read it once, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from chexphi.models.shared_prompts import packed_rows
from chexphi.models.shared_prompts.dropout import has_dropout


@dataclass(frozen=True, slots=True)
class SharedPrompts:
    """Whether a policy shares prompts, or why not; made once, and asked by all that reads prompts.

    The model has it as `prompt_sharing`, because the library's `generate` passes nothing of ours on. Whether
    sharing is exact and worth it for one batch is decided where that batch is read.
    """

    why_not: str | None = None
    """Why no prompt is shared; None where prompts are."""
    why_not_in_training: str | None = None
    """Why the passes of a training step read the prompt of every row, though generation may share it."""

    @classmethod
    def for_training(cls, models: Iterable[Any], *, share_prefix: bool, sharded: bool) -> Self:
        """For a policy that learns; the attention of the models is made ready for packed rows.

        Args:
            models: The policy and a whole model as reference, without PEFT around them.
            share_prefix: The setting of that name: whether prompts may be shared.
            sharded: Whether weights are split between processes.
        """
        if not share_prefix:
            return cls(why_not="prompts are not shared: share_prefix is false")
        reasons = [_why_not_packed(model, sharded=sharded) for model in models]
        return cls(why_not_in_training=next(filter(None, reasons), None))

    @property
    def in_training(self) -> bool:
        """Whether the passes of a training step share prompts."""
        return self.why_not is None and self.why_not_in_training is None

    def reads_once(self, model: Any) -> bool:
        """Whether this model, as it is now, may read equal prompts once: dropout would make them differ."""
        return self.why_not is None and not (model.training and has_dropout(model))

    def holds_once(self, model: Any) -> bool:
        """Whether this model can decode on keys and values of a prompt that are held once for its rows."""
        return self.why_not is None and packed_rows.enable(model)


def _why_not_packed(causal: Any, *, sharded: bool) -> str | None:
    """Why a model cannot read a prompt and its completions as one row; None if it can, and is now ready."""
    if has_dropout(causal):
        return "prompts are not shared: the model uses dropout"
    if sharded:
        return "prompts are not shared in training: the weights are split between processes"
    if not packed_rows.enable(causal):
        attention = causal.config.get_text_config()._attn_implementation
        return f"prompts are not shared in training: {attention} attention cannot read packed rows, sdpa can"
    return None
