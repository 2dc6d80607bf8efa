"""The settings of `chexphi kg train`."""

from __future__ import annotations

from dataclasses import dataclass

from chexphi.graph.rexkg.options import Markers
from chexphi.ranges import COUNT, NOT_NEGATIVE, SEED, SHARE


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of both networks. Rates and epochs are our choice for small encoders: see docs/log.md."""

    epochs: int = 6
    batch_tokens: int = 512
    encoder_rate: float = 1e-4
    head_rate: float = 1e-3
    """The published span model used 1e-5 and 5e-4, the relation model 5e-5, on far more data."""
    warmup: float = 0.1
    exact_share: float = 0.25
    """Share of the rows with a single pair that each epoch of the relation network draws and adds. The other
    rows have all pairs of a sentence, which takes an eighth of the work."""
    markers: Markers = "unused"
    seed: int = 0


DEFAULTS = TrainSettings()
RANGES = {
    "epochs": COUNT,
    "batch_tokens": COUNT,
    "encoder_rate": NOT_NEGATIVE,
    "head_rate": NOT_NEGATIVE,
    "warmup": SHARE,
    "exact_share": SHARE,
    "seed": SEED,
}
