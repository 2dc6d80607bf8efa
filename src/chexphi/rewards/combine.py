"""Several rewards as one number: their sum, their product, or one that opens the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chexphi.schema import InputError, shown

ACCURACY, GRAPH, FORMAT = "external_r1v_acc", "external_kg_jac", "format"
PENALTIES = ("soft_overlong", "repetition")
"""Rewards in [-1, 0]: added to whatever the others make, never multiplied and never behind a gate."""

Combine = Literal["sum", "product", "gated"]
COMBINES: tuple[Combine, ...] = ("sum", "product", "gated")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the rewards of one completion make its total.

    | combine | total of the rewards v with weights w |
    |---|---|
    | `sum` | sum of w v (the original's; TRL adds its reward functions in the same way) |
    | `product` | product of v ** w: nothing where one of them is 0 |
    | `gated` | w v of the gate, and where its v reaches `gate_at` the w v of all others too |

    A reward that is None (its reference cannot be scored) is left out; a gate that is None is open.
    """

    rewards: tuple[str, ...] = (ACCURACY, GRAPH)
    weights: tuple[float, ...] = ()
    """One a reward; empty: all 1."""
    combine: Combine = "sum"
    gate: str = ""
    """Name of the reward that opens the others; empty: the first that is no penalty."""
    gate_at: float = 1.0

    def __post_init__(self) -> None:
        if self.combine not in COMBINES:
            raise InputError(f"rewards: combine is {shown(self.combine)}: use {', '.join(COMBINES)}")
        if self.weights and len(self.weights) != len(self.rewards):
            raise InputError(
                f"rewards: {len(self.weights)} reward_weights for {len(self.rewards)} rewards: one each"
            )
        if self.gate and self.gate not in self.rewards:
            raise InputError(f"rewards: gate is {shown(self.gate)}: use one of {', '.join(self.rewards)}")

    def weight(self) -> dict[str, float]:
        """The weight of each reward by its name."""
        return dict(zip(self.rewards, self.weights or (1.0,) * len(self.rewards), strict=True))

    def total(self, values: Mapping[str, float | None]) -> float | None:
        """The total of one completion; None where no reward is scorable.

        Raises:
            ValueError: For a negative factor of a product.
        """
        weights = self.weight()
        given = {name: value for name in self.rewards if (value := values[name]) is not None}
        if not given:
            return None
        added = sum(weights[name] * value for name, value in given.items() if name in PENALTIES)
        rest = {name: value for name, value in given.items() if name not in PENALTIES}
        if self.combine == "product":
            return added + (math.prod(_power(n, v, weights[n]) for n, v in rest.items()) if rest else 0.0)
        gate = self.gate or next((name for name in self.rewards if name not in PENALTIES), "")
        if self.combine == "gated" and rest.get(gate, math.inf) < self.gate_at:
            rest = {gate: rest[gate]}
        return added + sum(weights[name] * value for name, value in rest.items())


def _power(name: str, value: float, weight: float) -> float:
    if value < 0:
        raise ValueError(f"reward {name} is {value:g}: a product needs rewards of at least 0")
    return float(value**weight)


def weighted_sum(rewards: Sequence[float], weights: Sequence[float]) -> float:
    """The weighted sum of one completion's rewards, as TRL's: what does not apply counts nothing."""
    pairs = zip(rewards, weights, strict=True)
    return math.fsum(weight * value for value, weight in pairs if not math.isnan(value))
