"""Rewards for GRPO: the answer, and the graph of the reasoning."""

from __future__ import annotations

from chexphi.rewards.combine import Scheme
from chexphi.rewards.rules import AnswerRule, GraphRule
from chexphi.rewards.score import Score, score
from chexphi.rewards.trl import AccuracyReward, FormatReward, GraphReward

__all__ = [
    "AccuracyReward", "AnswerRule", "FormatReward", "GraphReward", "GraphRule", "Scheme", "Score", "score",
]  # fmt: skip
