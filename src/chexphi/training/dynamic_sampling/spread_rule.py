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
from typing import Any

from chexphi.number_text import counted
from chexphi.rewards.combine import weighted_sum
from chexphi.schema import InputError

ORIGINAL_THRESHOLD = 0.06
"""A group's spread must exceed this in the original."""
THRESHOLD = 1e-6
"""And this here: any spread that is not rounding."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How many rounds are sampled, what counts as spread, and what to do with a batch that stays short."""

    rounds: int = 4
    """Most rounds of other prompts a batch (the original: 4)."""
    threshold: float = THRESHOLD
    original: bool = False
    """Whether a batch that stays short is the sampler's own, unchanged; else its spread groups alone."""

    def spreads(self, reward_spread: float) -> bool:
        """Whether a group with this spread of rewards is worth training on."""
        return reward_spread > self.threshold


def make_rule(rounds: int, *, original: bool) -> Rule:
    """The default rule, or the original's."""
    return Rule(rounds, ORIGINAL_THRESHOLD, original=True) if original else Rule(rounds)


@dataclass(frozen=True, slots=True)
class Batch:
    """The groups of a batch, numbered in the order they were sampled."""

    groups: tuple[int, ...]
    trained: tuple[bool, ...]
    """Whether each group moves the policy; the others only give the batch its shape."""


def reward_spread(
    rewards: Sequence[Sequence[float]], weights: Sequence[float], *, per_reward: bool = False
) -> float:
    """How much the rewards of one group differ: sample standard deviation of the weighted totals.

    Args:
        rewards: (completions, rewards), NaN where a reward does not apply; a completion without any is
            left out.
        weights: One a reward.
        per_reward: Whether rewards are normalised one by one (`normalize_then_sum`): then the reward that
            differs most counts.
    """
    rows = [row for row in rewards if not all(map(math.isnan, row))]
    if per_reward:
        columns = [[w * row[i] for row in rows if not math.isnan(row[i])] for i, w in enumerate(weights)]
    else:
        columns = [[weighted_sum(row, weights) for row in rows]]
    return max((statistics.stdev(values) for values in columns if len(values) > 1), default=0.0)


def choose_batch(spreads: Sequence[float], size: int, rule: Rule) -> Batch:
    """The batch of `size` groups among those sampled, of which the first `size` are the sampler's own.

    The first groups that spread; where they are fewer, the batch is filled with groups that do not, which
    are not trained on.
    """
    spread_groups = [group for group, group_spread in enumerate(spreads) if rule.spreads(group_spread)][:size]
    if len(spread_groups) < size and rule.original:
        return Batch(tuple(range(size)), (True,) * size)
    flat_groups = [group for group, group_spread in enumerate(spreads) if not rule.spreads(group_spread)]
    groups = spread_groups + flat_groups[: size - len(spread_groups)]
    return Batch(tuple(groups), tuple(i < len(spread_groups) for i in range(size)))


def groups_to_sample(spreads: Sequence[float], size: int, rule: Rule) -> int:
    """How many groups of other prompts the next round samples; 0 once a batch of `size` spreads.

    As many as should fill the batch if they spread as often as those before, at most a whole batch, which
    is what the original draws each time.
    """
    count = sum(map(rule.spreads, spreads))
    if count >= size:
        return 0
    if rule.original or not count:
        return size
    return min(size, math.ceil((size - count) * len(spreads) / count))


@dataclass(slots=True)
class PromptDraws:
    """Draws prompts in shuffled passes over the data; each step continues where the one before stopped.

    A checkpoint needs `draws_taken` alone, the number of draws so far.
    """

    prompts: int
    seed: int
    draws_taken: int = 0
    _order: tuple[int, list[int]] = field(default=(-1, []), repr=False)
    """The number of the current pass over the data, and its order."""

    def take(self, number: int, excluded: Set[int]) -> list[int]:
        """Up to `number` prompts outside of `excluded`, none twice; fewer if there are no more."""
        drawn_prompts: list[int] = []
        while len(drawn_prompts) < number and len({*excluded, *drawn_prompts}) < self.prompts:
            prompt = self._draw(self.draws_taken)
            self.draws_taken += 1
            if prompt not in excluded and prompt not in drawn_prompts:
                drawn_prompts.append(prompt)
        return drawn_prompts

    def _draw(self, number: int) -> int:
        pass_number, index = divmod(number, self.prompts)
        if self._order[0] != pass_number:
            order = list(range(self.prompts))
            random.Random(f"{self.seed}/{pass_number}").shuffle(order)
            self._order = pass_number, order
        return self._order[1][index]


@dataclass(slots=True)
class PromptOutcomes:
    """What became of each prompt's groups: id -> groups, groups that spread, sum of their mean rewards."""

    counts: dict[str, list[float]] = field(default_factory=dict)

    def add(self, id: str, is_spread: bool, reward: float) -> None:
        groups, spread_groups, rewards = self.counts.get(id, (0, 0, 0.0))
        self.counts[id] = [groups + 1, spread_groups + is_spread, rewards + reward]

    def never_spread(self) -> list[dict[str, Any]]:
        """The prompts none of whose groups spread, with their groups and mean reward, lowest first."""
        rows = [
            {"id": id, "groups": groups, "mean_reward": round(rewards / groups, 6)}
            for id, (groups, spread_groups, rewards) in self.counts.items()
            if not spread_groups
        ]
        return sorted(rows, key=lambda row: (row["mean_reward"], row["id"]))


def check(prompts: int, rounds: int, examples: int) -> None:
    """Refuse settings with which dynamic sampling would do nothing.

    Args:
        prompts: Of a batch.
        rounds: Most rounds of other prompts.
        examples: How many there are.

    Raises:
        InputError: For these.
    """
    if rounds < 1:
        raise InputError(
            f"grpo: max_resample_times is {rounds}: use 1 or more, or set dynamic_sample to false"
        )
    if examples <= prompts:
        raise InputError(
            f"grpo: dynamic_sample needs other prompts than the {prompts} of a batch, and the data "
            f"have {counted(examples, 'example')}: lower the batch or give more"
        )
