"""The setting `trainable`: what learns in a policy. `trainable` carries it out; no torch is needed here."""

from __future__ import annotations

import os
from collections.abc import Mapping

from chexphi.schema import InputError, shown

SETTINGS = ("vision_lora", "vision_lora+lm_head", "all")
DEFAULT = "vision_lora+lm_head"


def setting(what_learns: str, environment: Mapping[str, str] = os.environ) -> str:
    """The setting itself, checked against the original's environment variable.

    Raises:
        InputError: If it is empty, or `FREEZE_NON_VISION_PARAMS=1` is set and contradicts it.
    """
    if not what_learns.strip():
        raise InputError(f"trainable is empty: use {', '.join(SETTINGS)} or a pattern of parameter names")
    if environment.get("FREEZE_NON_VISION_PARAMS") == "1" and what_learns not in SETTINGS[:2]:
        raise InputError(
            f"trainable is {shown(what_learns)} and FREEZE_NON_VISION_PARAMS=1 freezes all but the vision "
            "LoRA and lm_head: unset the variable or choose vision_lora+lm_head"
        )
    return what_learns


def trains_head(what_learns: str) -> bool:
    """Whether a setting trains an `lm_head` of the adapter's own."""
    return what_learns == "vision_lora+lm_head"


def by_adapter(what_learns: str) -> bool:
    """Whether a setting trains an adapter, and no tensor of the base."""
    return what_learns in SETTINGS[:2]
