"""Dynamic sampling: which groups a step trains on, and which prompts are drawn beyond the sampler's own.

A group whose completions all earn the same teaches nothing: its advantages are zero. DAPO (arXiv 2503.14476,
section 3.2) and the original (`grpo_trainer.py:948`) draw other prompts for such groups. Nothing here
needs torch: `resampling_trainer` carries it out.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chexphi.rewards.combine import weighted_sum
from chexphi.schema import InputError

if TYPE_CHECKING:
    from trl import GRPOConfig

SEED_THRESHOLD = 0.06
"""A group's spread must exceed this in the original."""
THRESHOLD = 1e-6
"""And this here: any spread but that of rounding."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How long is drawn, what counts as spread, and what a batch is that stays short of it."""

    rounds: int = 4
    """Most rounds of other prompts a batch (the original: 4)."""
    threshold: float = THRESHOLD
    original: bool = False
    """Whether a batch that stays short is the sampler's own, as it came; else its spread groups alone."""


def rule(rounds: int, *, seed: bool) -> Rule:
    """The default, or the original's."""
    return Rule(rounds, SEED_THRESHOLD, original=True) if seed else Rule(rounds)


@dataclass(frozen=True, slots=True)
class Batch:
    """The groups of a batch, numbered in the order they were sampled."""

    groups: tuple[int, ...]
    trained: tuple[bool, ...]
    """Whether each of them moves the policy; the others only keep the batch's shape."""


def spread(rewards: Sequence[Sequence[float]], weights: Sequence[float], *, apart: bool = False) -> float:
    """How far the rewards of one group are apart: sample standard deviation of the weighted totals.

    Args:
        rewards: (completions, rewards), NaN where a reward does not apply; a completion without any is
            left out.
        weights: One a reward.
        apart: Whether rewards are normalised one by one (`normalize_then_sum`): then the greatest counts.
    """
    rows = [row for row in rewards if not all(map(math.isnan, row))]
    if apart:
        columns = [[w * row[i] for row in rows if not math.isnan(row[i])] for i, w in enumerate(weights)]
    else:
        columns = [[weighted_sum(row, weights) for row in rows]]
    return max((statistics.stdev(values) for values in columns if len(values) > 1), default=0.0)


def choose(spreads: Sequence[float], size: int, rule: Rule) -> Batch:
    """The batch of `size` groups out of those sampled, of which the first `size` are the sampler's own.

    The first groups that spread; where they are fewer, the batch is filled with groups that do not, which
    are not trained on.
    """
    good = [group for group, value in enumerate(spreads) if value > rule.threshold][:size]
    if len(good) < size and rule.original:
        return Batch(tuple(range(size)), (True,) * size)
    rest = [group for group, value in enumerate(spreads) if not value > rule.threshold]
    groups = good + rest[: size - len(good)]
    return Batch(tuple(groups), tuple(place < len(good) for place in range(size)))


def wanted(spreads: Sequence[float], size: int, rule: Rule) -> int:
    """How many groups of other prompts the next round samples; 0 once a batch of `size` spreads.

    As many as should fill the batch if they spread as often as those before, at most a whole batch, which
    is what the original draws each time.
    """
    good = sum(value > rule.threshold for value in spreads)
    if good >= size:
        return 0
    if rule.original or not good:
        return size
    return min(size, math.ceil((size - good) * len(spreads) / good))


@dataclass(slots=True)
class Draws:
    """Prompts in shuffled passes over the data; each step goes on where the one before stopped.

    `taken`, which counts the places passed, is all there is to know of it in a checkpoint.
    """

    prompts: int
    seed: int
    taken: int = 0
    _order: tuple[int, list[int]] = field(default=(-1, []), repr=False)

    def take(self, number: int, tried: Set[int]) -> list[int]:
        """Up to `number` prompts outside of `tried`, none twice; fewer if there are no more."""
        found: list[int] = []
        while len(found) < number and len({*tried, *found}) < self.prompts:
            prompt = self._at(self.taken)
            self.taken += 1
            if prompt not in tried and prompt not in found:
                found.append(prompt)
        return found

    def _at(self, place: int) -> int:
        number, index = divmod(place, self.prompts)
        if self._order[0] != number:
            order = list(range(self.prompts))
            random.Random(f"{self.seed}/{number}").shuffle(order)
            self._order = number, order
        return self._order[1][index]


@dataclass(slots=True)
class Outcomes:
    """What became of each prompt's groups: id -> groups, those that spread, sum of their mean rewards."""

    counts: dict[str, list[float]] = field(default_factory=dict)

    def add(self, id: str, spread: bool, reward: float) -> None:
        groups, good, rewards = self.counts.get(id, (0, 0, 0.0))
        self.counts[id] = [groups + 1, good + spread, rewards + reward]

    def never_spread(self) -> list[dict[str, Any]]:
        """The prompts none of whose groups spread, with their groups and mean reward, lowest first."""
        rows = [
            {"id": id, "groups": groups, "mean_reward": round(rewards / groups, 6)}
            for id, (groups, good, rewards) in self.counts.items()
            if not good
        ]
        return sorted(rows, key=lambda row: (row["mean_reward"], row["id"]))


def check(args: GRPOConfig, rounds: int, examples: int) -> None:
    """Refuse settings with which dynamic sampling would do nothing.

    Raises:
        InputError: For these.
    """
    prompts = args.generation_batch_size // args.num_generations
    if rounds < 1:
        raise InputError(
            f"grpo: max_resample_times is {rounds}: use 1 or more, or set dynamic_sample to false"
        )
    if examples <= prompts:
        raise InputError(
            f"grpo: dynamic_sample needs other prompts than the {prompts} of a batch, and there are "
            f"{examples} examples: lower the batch or give more"
        )
