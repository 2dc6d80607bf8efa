"""Whether a model uses dropout: then equal rows come out different, and may not be read once."""

from __future__ import annotations

from typing import Any

from torch import nn


def has_dropout(model: Any) -> bool:
    """Whether two equal inputs may come out different in training mode."""
    return any(_dropout_rate(module) > 0 for module in model.modules())


def _dropout_rate(module: nn.Module) -> float:
    if isinstance(module, nn.Dropout):
        return module.p
    rates = (getattr(module, name, 0.0) for name in ("attention_dropout", "dropout"))
    return max((rate for rate in rates if isinstance(rate, int | float)), default=0.0)
