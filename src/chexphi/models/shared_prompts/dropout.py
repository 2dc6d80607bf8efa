"""Whether a model draws at random as it reads: then equal rows may not be read once."""

from __future__ import annotations

from typing import Any

from torch import nn


def has_dropout(module: Any) -> bool:
    """Whether two equal inputs may come out different in training mode."""
    return any(_rate(part) > 0 for part in module.modules())


def _rate(module: nn.Module) -> float:
    if isinstance(module, nn.Dropout):
        return module.p
    rates = (getattr(module, name, 0.0) for name in ("attention_dropout", "dropout"))
    return max((rate for rate in rates if isinstance(rate, int | float)), default=0.0)
