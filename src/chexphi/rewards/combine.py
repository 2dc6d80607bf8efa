"""Several rewards as one number: their sum, their product, or one reward as the gate of the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chexphi.number_text import counted
from chexphi.schema import InputError, shown

ACCURACY, GRAPH, FORMAT = "external_r1v_acc", "external_kg_jac", "format"
CONSISTENCY = "consistency"
PENALTIES = ("soft_overlong", "repetition")
"""Rewards in [-1, 0]. They are always added: never a factor of a product, never subject to a gate."""

Combine = Literal["sum", "product", "gated"]
COMBINES: tuple[Combine, ...] = ("sum", "product", "gated")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the rewards of one completion make its total.

    | combine | total of the rewards v with weights w |
    |---|---|
    | `sum` | sum of w v (the original's; TRL adds its reward functions in the same way) |
    | `product` | product of v ** w: 0 where one of them is 0 |
    | `gated` | w v of the gate, and where its v reaches `gate_at` also the w v of those that it gates |

    A reward that is None (its reference cannot be scored) is left out. A gate that is None is open.
    """

    rewards: tuple[str, ...] = (ACCURACY, GRAPH)
    weights: tuple[float, ...] = ()
    """One for each reward; empty: all 1."""
    combine: Combine = "sum"
    gate: str = ""
    """Name of the gate; empty: the first reward that is not a penalty."""
    gate_at: float = 1.0
    gated: tuple[str, ...] = ()
    """The rewards that the gate closes; empty: all others."""

    def __post_init__(self) -> None:
        if self.combine not in COMBINES:
            raise InputError(f"rewards: combine is {shown(self.combine)}: use {', '.join(COMBINES)}")
        if self.weights and len(self.weights) != len(self.rewards):
            raise InputError(
                f"rewards: reward_weights has {counted(len(self.weights), 'value')} for "
                f"{counted(len(self.rewards), 'reward')}: give one each"
            )
        if self.gate and self.gate not in self.rewards:
            raise InputError(f"rewards: gate is {shown(self.gate)}: use one of {', '.join(self.rewards)}")

    @property
    def gate_name(self) -> str:
        """The gate, also where it is the default; empty where every reward is a penalty."""
        return self.gate or next((name for name in self.rewards if name not in PENALTIES), "")

    def closed(self, values: Mapping[str, float | None]) -> frozenset[str]:
        """The rewards that the gate keeps from being paid; none where it is open, or not scorable."""
        value = values.get(self.gate_name)
        if self.combine != "gated" or value is None or value >= self.gate_at:
            return frozenset()
        return frozenset(self.gated or self.rewards) - {self.gate_name, *PENALTIES}

    def weight(self) -> dict[str, float]:
        """The weight of each reward by its name."""
        return dict(zip(self.rewards, self.weights or (1.0,) * len(self.rewards), strict=True))

    def total(self, values: Mapping[str, float | None]) -> float | None:
        """The total of one completion; None where no reward is scorable.

        Raises:
            ValueError: For a negative factor of a product.
        """
        scored = [name for name in self.rewards if values[name] is not None]
        if not scored:
            return None
        if self.combine == "product":
            return self._product(values)
        closed_names, weights = self.closed(values), self.weight()
        scored = [name for name in scored if name not in closed_names]
        return weighted_sum([values[name] for name in scored], [weights[name] for name in scored])

    def _product(self, values: Mapping[str, float | None]) -> float:
        weights = self.weight()
        factors = [
            _power(name, value, weights[name])
            for name in self.rewards
            if name not in PENALTIES and (value := values[name]) is not None
        ]
        penalties = [name for name in self.rewards if name in PENALTIES]
        return weighted_sum(
            [math.prod(factors) if factors else 0.0, *(values[name] for name in penalties)],
            [1.0, *(weights[name] for name in penalties)],
        )


def _power(name: str, value: float, weight: float) -> float:
    if value < 0:
        raise ValueError(f"reward {name} is {value:g}: a product needs rewards of at least 0")
    return float(value**weight)


def weighted_sum(rewards: Sequence[float | None], weights: Sequence[float]) -> float:
    """The total of one completion as a sum, as TRL has it: a reward that is None or NaN counts nothing."""
    pairs = zip(rewards, weights, strict=True)
    return math.fsum(weight * value for value, weight in pairs if value is not None and not math.isnan(value))
