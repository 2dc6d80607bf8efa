"""The settings of `chexphi sft`: the flags of our own, and where TRL's defaults are replaced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chexphi.models.run_check import LearningFields
from chexphi.runs import run_folder
from chexphi.runs.stop import RESUME_HELP


@dataclass(frozen=True)
class SFTRecipe(LearningFields):
    """Teach a policy to write reasoning and answer by imitation."""

    data: str = field(default="", metadata={"help": "examples with explanations (.json, .jsonl or .parquet)"})
    image_root: str | None = field(
        default=None, metadata={"help": "folder of the images (default: beside the data)"}
    )
    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_sft)"})
    limit: int | None = field(default=None, metadata={"help": "use the first N examples only"})
    strip_tags: bool = field(
        default=False, metadata={"help": "imitate the words of the explanation without its tags"}
    )
    resume: run_folder.Resume = field(default=False, metadata={"help": RESUME_HELP})


DEFAULTS: dict[str, Any] = {
    "max_length": None,  # TRL's 1,024 would cut a large film's tokens and the answer after them
    "completion_only_loss": True,
    "remove_unused_columns": False,  # the rows are made when they are read
    "report_to": "none",
    "save_only_model": False,
    "logging_steps": 10,
}
