"""The settings of `chexphi sft`: the flags of our own, and where TRL's defaults are replaced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from chexphi.models.run_check import LearningFields


@dataclass(frozen=True)
class SFTRecipe(LearningFields):
    """Teach a policy to write reasoning and answer by imitation."""

    HEADING: ClassVar[str] = "Imitation"
    data: str = field(
        default="",
        metadata={"help": "examples with explanations (.json, .jsonl or .parquet)", "required": True},
    )
    strip_tags: bool = field(
        default=False, metadata={"help": "imitate the words of the explanation without its tags"}
    )


DEFAULTS: dict[str, Any] = {
    "max_length": None,  # TRL's 1,024 would cut a large film's tokens and the answer after them
    "completion_only_loss": True,
    "remove_unused_columns": False,  # the rows are made when they are read
    "report_to": "none",
    "save_only_model": False,
    "logging_steps": 10,
}
