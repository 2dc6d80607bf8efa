"""Settings of TRL's configs with a fixed list of values, and settings that need something else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DynamoBackend
from transformers.generation.configuration_utils import ALL_CACHE_IMPLEMENTATIONS

from chexphi.schema import InputError, shown

CHOICES: dict[str, tuple[str, ...]] = {
    "torch_compile_backend": tuple(kind.value.lower() for kind in DynamoBackend if kind.value != "NO"),
    # torch.compile
    "torch_compile_mode": ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
    # torch.utils.data.DataLoader
    "dataloader_multiprocessing_context": ("fork", "forkserver", "spawn"),
}
"""Of transformers.TrainingArguments, where it does not say so itself."""
SFT_CHOICES = CHOICES | {
    "loss_type": ("nll", "dft"),
    "truncation_mode": ("keep_start", "keep_end"),
    "packing_strategy": ("bfd", "bfd_split", "wrapped"),
}
"""Of trl.SFTConfig 1.16: sft_trainer.py, data_utils.pack_dataset."""
GRPO_CHOICES = CHOICES | {
    "loss_type": ("grpo", "dr_grpo", "bnpo", "dapo", "cispo", "sapo", "luspo", "vespo"),
    "importance_sampling_level": ("token", "sequence"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "scale_rewards": ("group", "batch", "none"),
    "cache_implementation": ALL_CACHE_IMPLEMENTATIONS,
    "vllm_mode": ("colocate", "server"),
    "vllm_model_impl": ("vllm", "transformers"),
    "vllm_importance_sampling_mode": (
        "token_truncate", "token_mask", "sequence_truncate", "sequence_mask",
    ),
}  # fmt: skip
"""Of trl.GRPOConfig 1.16: grpo_trainer.py, vllm_generation.py."""
MAPPINGS = (
    "lr_scheduler_kwargs", "activation_checkpointing_kwargs", "gradient_checkpointing_kwargs",
    "model_init_kwargs", "dataset_kwargs", "generation_kwargs", "chat_template_kwargs",
    "transformers_continuous_batching_config",
)  # fmt: skip
"""Settings that are a mapping; on the command line JSON, which TRL reads where it begins with a brace."""


def check(args: Any, verb: str) -> None:
    """Refuse an unknown value, and a setting that needs what this machine lacks.

    Args:
        args: TRL's config.
        verb: Of the stage, for the message.

    Raises:
        InputError: For the first such setting.
    """
    for name, choices in (GRPO_CHOICES if verb == "grpo" else SFT_CHOICES).items():
        if (value := getattr(args, name, None)) is not None and value not in choices:
            raise InputError(f"{verb}: {name} is {shown(value)}: use one of {', '.join(choices)}")
    for name in MAPPINGS:
        if isinstance(value := getattr(args, name, None), str):
            raise InputError(f"{verb}: {name} is {shown(value)}: give a mapping")
    template = getattr(args, "chat_template_path", None)
    if template is not None and not (template and Path(template).exists()):
        raise InputError(
            f"{verb}: chat_template_path {shown(template)} does not exist: correct it, or leave it out"
        )
    _check_requirements(args, verb)


def _check_requirements(args: Any, verb: str) -> None:
    """Refuse what needs a library, a GPU or another setting that is not there."""
    if getattr(args, "activation_offloading", False) and not torch.cuda.is_available():
        raise InputError(
            f"{verb}: activation_offloading moves activations off a GPU, and there is none: leave it out"
        )
    if args.remove_unused_columns:
        raise InputError(
            f"{verb}: remove_unused_columns is true, and rows are made of columns that TRL does not know: "
            "leave it out"
        )
    if args.dataloader_persistent_workers and not args.dataloader_num_workers:
        raise InputError(
            f"{verb}: dataloader_persistent_workers needs dataloader_num_workers of at least 1: set it, or "
            "leave both out"
        )
    if args.use_liger_kernel and importlib.util.find_spec("liger_kernel") is None:
        raise InputError(
            f"{verb}: use_liger_kernel needs a library that is not installed: pip install liger-kernel, or "
            "leave it out"
        )
