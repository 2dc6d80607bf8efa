"""Rewards for GRPO: the answer, and the graph of the reasoning."""

from __future__ import annotations

from chexphi.rewards.combine import Scheme
from chexphi.rewards.score import Score, score
from chexphi.rewards.trl import AccuracyReward, FormatReward, GraphReward

__all__ = ["AccuracyReward", "FormatReward", "GraphReward", "Scheme", "Score", "score"]
