"""Rewards for GRPO: the answer, and the graph of the reasoning."""

from __future__ import annotations

from chexphi.rewards.score import Score, score
from chexphi.rewards.trl import AccuracyReward, GraphReward

__all__ = ["AccuracyReward", "GraphReward", "Score", "score"]
