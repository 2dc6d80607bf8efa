"""Settings of TRL's configs with a fixed list of values, and settings that need something else.

`check` needs the values alone; `check_library` knows what only an import of the libraries tells.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi.files import parse_json
from chexphi.schema import InputError, shown

CHOICES: dict[str, tuple[str, ...]] = {
    # torch.compile
    "torch_compile_mode": ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
    # torch.utils.data.DataLoader
    "dataloader_multiprocessing_context": ("fork", "forkserver", "spawn"),
}
"""Of transformers.TrainingArguments, where it does not say so itself."""
SFT_CHOICES = CHOICES | {
    "loss_type": ("nll", "dft", "chunked_nll"),
    "truncation_mode": ("keep_start", "keep_end"),
    "packing_strategy": ("bfd", "bfd_split", "wrapped"),
}
"""Of trl.SFTConfig 1.16: sft_trainer.py, data_utils.pack_dataset."""
GRPO_CHOICES = CHOICES | {
    "loss_type": ("grpo", "dr_grpo", "bnpo", "dapo", "cispo", "sapo", "luspo", "vespo"),
    "importance_sampling_level": ("token", "sequence"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "scale_rewards": ("group", "batch", "none"),
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
PATHS = ("accelerator_config", "fsdp_config", "deepspeed")
"""Settings that are a mapping, or a JSON file with one."""


def check(args: Any, verb: str) -> None:
    """Refuse an unknown value, and a setting that needs another one.

    Args:
        args: TRL's config, or its values as they were given.
        verb: Of the stage, for the message.

    Raises:
        InputError: For the first such setting.
    """
    _check_listed(args, GRPO_CHOICES if verb == "grpo" else SFT_CHOICES, verb)
    for name in (*MAPPINGS, *PATHS):
        if isinstance(value := getattr(args, name, None), str):
            _check_mapping(name, value, verb)
    template = getattr(args, "chat_template_path", None)
    if template is not None and not (template and Path(template).exists()):
        raise InputError(
            f"{verb}: chat_template_path {shown(template)} does not exist: correct it, or leave it out"
        )
    _check_requirements(args, verb)


def _check_listed(args: Any, choices_of: Mapping[str, Sequence[str]], verb: str) -> None:
    for name, choices in choices_of.items():
        if (value := getattr(args, name, None)) is not None and value not in choices:
            raise InputError(f"{verb}: {name} is {shown(value)}: use one of {', '.join(choices)}")


def _check_mapping(name: str, text: str, verb: str) -> None:
    """Refuse a text that is neither JSON of a mapping nor, where that is allowed, the path of a file."""
    if text.startswith("{"):
        parse_json(text, f"{verb}: {name}", advice="correct it")
    elif name in MAPPINGS:
        raise InputError(f"{verb}: {name} is {shown(text)}: give a mapping")


def check_library(args: Any, verb: str) -> None:
    """Refuse a value that the installed libraries do not know, and what needs a GPU that is not there.

    Args:
        args: TRL's config.
        verb: Of the stage, for the message.

    Raises:
        InputError: For the first such setting.
    """
    import torch
    from accelerate.utils import DynamoBackend
    from transformers.generation.configuration_utils import ALL_CACHE_IMPLEMENTATIONS

    backends = [kind.value.lower() for kind in DynamoBackend if kind.value != "NO"]
    listed = {"torch_compile_backend": backends, "cache_implementation": ALL_CACHE_IMPLEMENTATIONS}
    _check_listed(args, listed, verb)
    if getattr(args, "activation_offloading", False) and not torch.cuda.is_available():
        raise InputError(
            f"{verb}: activation_offloading moves activations off a GPU, and there is none: leave it out"
        )


def _check_requirements(args: Any, verb: str) -> None:
    """Refuse what needs a library or another setting that is not there."""
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
