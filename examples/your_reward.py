"""A reward of your own: does the reasoning name the sides that the reference names?

From this folder: `chexphi grpo --rewards external_r1v_acc your_reward:same_sides ...`
"""

import re
from typing import Any

from chexphi import prompts


def sides_in(text: str) -> set[str]:
    """The sides that a text names.

    >>> sorted(sides_in("Left effusion, no right pneumothorax."))
    ['left', 'right']
    """
    return set(re.findall(r"\b(left|right)\b", text.lower()))


def same_sides(completions: list[Any], solution: list[str], **columns: Any) -> list[float | None]:
    """1 for the same sides, else 0; None where the reference names none: such a row is not scored."""
    rewards: list[float | None] = []
    for completion, reference in zip(completions, solution, strict=True):
        expected = sides_in(prompts.reference_reasoning(reference))
        reasoning = prompts.parse(prompts.text_of(completion)).think or ""
        rewards.append(float(sides_in(reasoning) == expected) if expected else None)
    return rewards
