"""What is checked before a stage imports torch and loads its model: settings, run folder, model folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from chexphi.models import policy_folder, what_learns
from chexphi.ranges import COUNT, Range
from chexphi.runs import processes, run_folder, run_settings
from chexphi.runs.stop import RESUME_HELP


@dataclass(frozen=True)
class PolicyFields:
    """Which model, and how it is loaded."""

    HEADING: ClassVar[str] = "Policy"
    """Of these fields in `--help`."""
    model: str = field(default="", metadata={"help": "folder of the policy", "required": True})
    dtype: str = field(default="auto", metadata={"help": "auto (as saved), float32 or bfloat16"})
    attn_implementation: str = field(default="sdpa", metadata={"help": "sdpa, eager or flash_attention_2"})
    use_flash_attention: bool = field(
        default=False, metadata={"help": "the original's flag: flash_attention_2"}
    )
    dynamic_hd: int | None = field(default=None, metadata={"help": "most crops a film is cut into"})
    cache_vision: bool = field(
        default=False,
        metadata={"help": "keep films' features in the run folder (Phi-4 in bf16: 0.6 MB a distinct crop)"},
    )

    @property
    def attention(self) -> str:
        """The attention to load the model with; the original's flag comes first."""
        return "flash_attention_2" if self.use_flash_attention else self.attn_implementation


@dataclass(frozen=True)
class DataFields:
    """Which examples, and where their films are."""

    HEADING: ClassVar[str] = "Data"
    data: str = field(
        default="", metadata={"help": "file of examples: .json, .jsonl or .parquet", "required": True}
    )
    image_root: str | None = field(
        default=None, metadata={"help": "folder of the images (default: beside the data)"}
    )
    limit: int | None = field(default=None, metadata={"help": "use the first N examples of each file only"})


@dataclass(frozen=True)
class RunFields:
    """Which run folder, and what becomes of a run that is in it."""

    HEADING: ClassVar[str] = "Run folder"
    out: str | None = field(
        default=None, metadata={"help": "run folder (default: a new one, runs/<timestamp>_<verb>)"}
    )
    resume: run_folder.Resume = field(default=False, metadata={"help": run_folder.RESUME_HELP})
    overwrite: bool = field(default=False, metadata={"help": "replace the run in --out"})


@dataclass(frozen=True)
class ModelFields(RunFields, DataFields, PolicyFields):
    """The fields of every recipe that runs a model."""


@dataclass(frozen=True)
class LearningFields(ModelFields):
    """The fields of every recipe that trains a model."""

    HEADING: ClassVar[str] = PolicyFields.HEADING
    resume: run_folder.Resume = field(default=False, metadata={"help": RESUME_HELP})
    trainable: str = field(
        default=what_learns.DEFAULT,
        metadata={"help": f"{', '.join(what_learns.SETTINGS)}, or a pattern of parameter names"},
    )
    lora_rank: int = field(default=256, metadata={"help": "rank of the LoRA where the model has none"})
    lora_alpha: int = field(default=512, metadata={"help": "alpha of the LoRA where the model has none"})


MODEL_RANGES = {"limit": COUNT}
"""Allowed values of the numbers that all of these recipes have."""


LEARNING_RANGES = MODEL_RANGES | {"lora_rank": Range(1, 2**16), "lora_alpha": Range(1, 2**24)}
"""A LoRA of a larger rank is larger than any matrix that it changes."""


@dataclass(frozen=True, slots=True)
class CheckedRun:
    """A run that may write into its folder."""

    out: Path
    data: Path
    trainer: Any
    config: dict[str, Any]
    """The settings in the form of `config.yaml`."""
    facts: dict[str, Any]
    """Entries of the manifest about the data."""


def check_run(
    recipe: ModelFields, out: Path, *, data: Path, pools: Sequence[str] = (), trainer: Any = None
) -> CheckedRun:
    """Refuse a run that cannot begin: by its folder, its settings or its model's files. Nothing is changed.

    Args:
        recipe: The stage's settings.
        out: The run folder.
        data: The dataset, for its hash.
        pools: More datasets, for their hashes.
        trainer: TRL's settings as they were given, if the stage trains. Their numbers are compared with those
            of a run that is resumed; the rest is compared once TRL's config is made (`with_trainer`).

    Returns:
        The run, for `begin`.

    Raises:
        InputError: If the folder is in use or cannot be written, its run has other settings, or the model's
            folder cannot be a policy.
    """
    if processes.is_main():
        run_folder.check_folder(out, resume=recipe.resume, overwrite=recipe.overwrite)
    config = run_folder.yaml_values(recipe)
    facts: dict[str, Any] = (
        {"pools_sha256": {file: run_folder.sha256(Path(file)) for file in pools}} if pools else {}
    )
    if recipe.resume and processes.is_main():
        resume_facts = facts | {"data_sha256": run_folder.sha256_of(data)}
        if isinstance(recipe, LearningFields):  # other stages may resume with any number of processes
            resume_facts["processes"] = processes.count()
        run_settings.check(out, config | {"trainer": _numbers(trainer)}, resume_facts)
    policy_folder.check(
        Path(recipe.model),
        dtype=recipe.dtype,
        attn_implementation=recipe.attention,
        dynamic_hd=recipe.dynamic_hd,
    )
    return CheckedRun(out, data, None, config, facts)


def _numbers(settings: Any) -> dict[str, float]:
    """The settings that are numbers, which TRL leaves as they are."""
    values = vars(settings) if settings is not None else {}
    return {name: value for name, value in values.items() if type(value) in (int, float)}


def with_trainer(run: CheckedRun, recipe: ModelFields, trainer: Any) -> CheckedRun:
    """The run with TRL's config, which is made once all else is checked.

    Raises:
        InputError: If a run that is resumed had another one.
    """
    config = run.config | {"trainer": run_folder.yaml_values(trainer)}
    if recipe.resume and processes.is_main():
        run_settings.check(run.out, config, {})
    return dataclasses.replace(run, trainer=trainer, config=config)
