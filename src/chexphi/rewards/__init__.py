"""Rewards for GRPO: the answer, and the graph of the reasoning."""

from __future__ import annotations

from chexphi.rewards.callables import AccuracyReward, FormatReward, GraphReward
from chexphi.rewards.combine import Scheme
from chexphi.rewards.consistency_reward import ConsistencyReward
from chexphi.rewards.rules import AnswerRule, GraphRule
from chexphi.rewards.score import score
from chexphi.rewards.scored import Score

__all__ = [
    "AccuracyReward", "AnswerRule", "ConsistencyReward", "FormatReward", "GraphReward", "GraphRule", "Scheme",
    "Score", "score",
]  # fmt: skip
