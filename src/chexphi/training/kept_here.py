"""What TRL's trainers send and write by themselves, and may not here."""

from __future__ import annotations

import os
from typing import Any

from transformers import Trainer

TELEMETRY = "HF_HUB_DISABLE_TELEMETRY"
_FALSE = ("0", "false", "no", "off")


class KeptHere(Trainer):
    """Mixed into a trainer before TRL's class: it sends nothing about itself, and writes no model card.

    It does not matter whether TRL was imported before this package: its own variable, which is read at that
    moment, is not needed.
    """

    def __init__(self, *arguments: Any, args: Any, **kwargs: Any) -> None:
        if getattr(args, "use_vllm", False):
            os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # read when its engine starts
        super().__init__(*arguments, args=args, **kwargs)

    def _send_telemetry(self) -> None:
        """Send what TRL would send to the hub only if the user turned that on (the variable is 0)."""
        if os.environ.get(TELEMETRY, "").lower() in _FALSE:
            super()._send_telemetry()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: TRL would write the card of a model without a name into every run's folder."""
