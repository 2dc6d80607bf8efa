"""The settings of samples from vLLM, checked before anything is loaded; `vllm_engines` carries them out."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from chexphi.files import read_object
from chexphi.installation import install_line
from chexphi.models.adapter_settings import CONFIG, HEAD
from chexphi.models.policy_folder import PolicyFolders
from chexphi.schema import InputError

OUTLIER = 0.5
"""A token whose log-probabilities differ by more than this counts as an outlier."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest disagreement with vLLM that still counts as the same policy."""

    difference: float = 0.05
    """Mean of |difference| over the sampled tokens, in nats; rounding to bf16 alone gives about 0.01."""
    outliers: float = 0.05
    """Share of tokens that are outliers."""


def check(args: Any) -> None:
    """Refuse settings with which vLLM cannot run or cannot be compared.

    Raises:
        InputError: For these, and if vLLM is not installed.
    """
    if not installed():
        raise InputError(f"use_vllm needs the package vllm: {install_line('vllm')}")
    if (args.top_p, args.top_k or 0, args.min_p or 0.0, args.repetition_penalty) != (1.0, 0, 0.0, 1.0):
        raise InputError(
            "with use_vllm the log-probabilities of the whole vocabulary are compared: set top_p to 1, top_k "
            "to 0, min_p to null and repetition_penalty to 1"
        )


def installed() -> bool:
    """Whether vLLM is installed."""
    return importlib.util.find_spec("vllm") is not None


def check_policy(args: Any, what_learns: str, folders: PolicyFolders) -> None:
    """Refuse, before the model is loaded, a policy that vLLM would refuse later or get wrong silently.

    Args:
        args: TRL's config.
        what_learns: The setting `trainable`, as `models.trainable.prepare` takes it.
        folders: Of the policy.

    Raises:
        InputError: If vLLM cannot hold this policy.
    """
    if folders.kind == "phi4_multimodal" and args.vllm_mode == "colocate":
        raise InputError(
            "vLLM reads Phi-4-multimodal in its original layout only, so it cannot run in the trainer's "
            "process on native weights: use vllm_mode server (configs/vllm/server.yaml)"
        )
    config = read_object(folders.adapter / CONFIG) if folders.adapter else {}
    saved = config.get("modules_to_save")
    trains_head = what_learns not in ("vision_lora", "all") or HEAD in (saved or ())
    if trains_head and read_object(folders.base / "config.json").get("tie_word_embeddings", True):
        raise InputError(
            f"vLLM keeps lm_head and the input embedding of {folders.base} as one tensor (its config.json "
            "ties them) and would not take a trained lm_head: set trainable to vision_lora, and fold in an "
            "adapter that has an lm_head with chexphi checkpoint merge"
        )
