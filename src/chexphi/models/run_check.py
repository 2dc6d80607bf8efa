"""What is checked before a stage imports torch and loads its model: settings, run folder, model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi.models import policy_folder
from chexphi.ranges import COUNT
from chexphi.runs import processes, run_folder, run_settings


@dataclass(frozen=True)
class ModelFields:
    """The fields of every recipe that runs a model."""

    model: str = field(default="", metadata={"help": "folder of the policy"})
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
    resume: run_folder.Resume = field(default=False, metadata={"help": run_folder.RESUME_HELP})
    overwrite: bool = field(default=False, metadata={"help": "replace the run in --out"})

    @property
    def attention(self) -> str:
        """The attention to load the model with; the original's flag comes first."""
        return "flash_attention_2" if self.use_flash_attention else self.attn_implementation


MODEL_RANGES = {"limit": COUNT}
"""Allowed values of the numbers that all of these recipes have."""


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
    recipe: ModelFields, out: Path, *, data: Path, trainer: Any = None, pools: Sequence[str] = ()
) -> CheckedRun:
    """Refuse a run that cannot begin: by its folder, its settings or its model's files. Nothing is changed.

    Args:
        recipe: The stage's settings.
        out: The run folder.
        data: The dataset, for its hash.
        trainer: TRL's config, if the stage trains.
        pools: More datasets, for their hashes.

    Returns:
        The run, for `begin`.

    Raises:
        InputError: If the folder is in use or cannot be written, its run has other settings, or the model's
            folder cannot be a policy.
    """
    if processes.is_main():
        run_folder.check_folder(out, resume=recipe.resume, overwrite=recipe.overwrite)
    config = run_folder.yaml_values(recipe) | (
        {"trainer": run_folder.yaml_values(trainer)} if trainer is not None else {}
    )
    facts: dict[str, Any] = (
        {"pools_sha256": {file: run_folder.sha256(Path(file)) for file in pools}} if pools else {}
    )
    if recipe.resume and processes.is_main():
        resume_facts = facts | {"data_sha256": run_folder.sha256_of(data)}
        if trainer is not None:  # other stages may resume with any number of processes
            resume_facts["processes"] = processes.count()
        run_settings.check(out, config, resume_facts)
    policy_folder.check(
        Path(recipe.model),
        dtype=recipe.dtype,
        attn_implementation=recipe.attention,
        dynamic_hd=recipe.dynamic_hd,
    )
    return CheckedRun(out, data, trainer, config, facts)
