"""The completions that a step samples in all its rounds, with their rewards, in groups of one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from chexphi.rewards.combine import weighted_sum
from chexphi.training.completions import sampled_row
from chexphi.training.dynamic_sampling import spread_rule


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion as TRL sampled it, with what TRL needs of its prompt."""

    id: str
    prompt: str
    opened_think: bool
    prompt_ids: list[int]
    completion_ids: list[int]
    completion: Any
    logps: list[float] | None
    """The engine's own, from vLLM."""


@dataclass(slots=True)
class SampledGroups:
    """Of all processes, group after group, the sampler's own prompts before those of later rounds."""

    group_size: int
    weights: Sequence[float]
    """One a reward."""
    per_reward: bool
    """Whether rewards are normalised one by one, before they are added."""
    samples: list[Sample] = field(default_factory=list)
    rewards: list[list[float]] = field(default_factory=list)
    """(samples, rewards), NaN where a reward does not apply."""

    @property
    def spreads(self) -> list[float]:
        """The spread of rewards in each group."""
        return [
            spread_rule.reward_spread(
                self.rewards[start : start + self.group_size], self.weights, per_reward=self.per_reward
            )
            for start in self._starts
        ]

    @property
    def mean_totals(self) -> list[float]:
        """The mean total reward of each group."""
        totals = [weighted_sum(rewards, self.weights) for rewards in self.rewards]
        return [sum(totals[start : start + self.group_size]) / self.group_size for start in self._starts]

    @property
    def ids(self) -> list[str]:
        """The id of each group's prompt."""
        return [self.samples[start].id for start in self._starts]

    def numbers(self, groups: Sequence[int]) -> list[int]:
        """The numbers of the samples of some groups."""
        return [group * self.group_size + i for group in groups for i in range(self.group_size)]

    def row(self, number: int, step: int, reward_names: Sequence[str]) -> dict[str, Any]:
        """A sample as a row for completions.jsonl; no advantage moves the policy."""
        sample = self.samples[number]
        return sampled_row(
            step,
            {"id": sample.id, "prompt": sample.prompt, "opened_think": sample.opened_think},
            sample.completion_ids,
            names=reward_names,
            rewards=self.rewards[number],
            weights=self.weights,
            advantage=0.0,
        )

    @property
    def _starts(self) -> range:
        return range(0, len(self.rewards), self.group_size)


@dataclass(frozen=True, slots=True)
class Replay:
    """The chosen batch, which TRL gets when it asks for completions and rewards."""

    samples: list[Sample]
    """Of this process."""
    rewards: Tensor
    """Of all processes, (samples, rewards), NaN throughout for a sample that is not trained on."""
    numbers: list[int]
    """Of this process's samples in `SampledGroups`."""
    trained: list[bool]
    """Whether each of them is trained on."""
