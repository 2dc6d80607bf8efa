"""Rows that no reward can score: left out before training, or refused.

Whether our own rewards and RadEval's can score a row depends on its reference alone, so it is known before
training. A reward of the user's own has to be called: then `training.unscored_rows` skips the row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

from chexphi.compat import is_original
from chexphi.graph.types import Extractor
from chexphi.rewards import by_name
from chexphi.rewards.combine import ACCURACY, FORMAT, GRAPH, PENALTIES
from chexphi.rewards.settings import RewardFields
from chexphi.schema import Example, InputError

CHOICES = ("leave_out", "refuse")
ALWAYS = {FORMAT, "think_format_reward", *PENALTIES}
"""Rewards that have a value for every row."""


class Fields(Protocol):
    """The fields of a recipe that are read here."""

    @property
    def rewards(self) -> list[str]: ...

    @property
    def compat(self) -> str: ...

    @property
    def unscorable(self) -> str: ...


def check(fields: Fields) -> None:
    """Refuse a value that is not a choice.

    Raises:
        InputError: For it.
    """
    if fields.unscorable not in CHOICES:
        raise InputError(f"grpo: unscorable is {fields.unscorable!r}: use {' or '.join(CHOICES)}")


def find(fields: RewardFields, extractor: Extractor, examples: Sequence[Example]) -> list[Example]:
    """The examples that none of the rewards can score, where that is known without a completion.

    Each reward scores an empty completion: None means that the reference cannot be scored. The reward of the
    answer comes first, because it is the cheapest; an example that it can score is not given to the others.
    """
    library = [name for name in fields.rewards if name.startswith("radeval:")]
    ours = [name for name in (ACCURACY, *library, GRAPH) if name in fields.rewards]
    if is_original(fields.compat) or len(ours) < len(fields.rewards):  # always a number, or a user's own
        return []
    unscored = list(examples)
    for reward in by_name.open_rewards(dataclasses.replace(fields, rewards=ours), extractor):
        values = reward(
            completions=[""] * len(unscored),
            solution=[example.explanation for example in unscored],
            answer=[list(example.answer) for example in unscored],
            id=[example.id for example in unscored],
        )
        unscored = [example for example, value in zip(unscored, values, strict=True) if value is None]
    return unscored


def leave_out(
    fields: Any, extractor: Extractor, examples: Sequence[Example], facts: dict[str, Any]
) -> list[Example]:
    """The examples to train on; the ids of the others go into `facts`, for the manifest.

    Raises:
        InputError: If some cannot be scored and `unscorable` is `refuse`, or if none can be scored.
    """
    left_out = find(fields, extractor, examples)
    if left_out and (fields.unscorable == "refuse" or len(left_out) == len(examples)):
        raise InputError(
            f"grpo: {len(left_out)} of {len(examples)} examples can be scored by none of the rewards "
            f"({', '.join(fields.rewards)}), the first is {left_out[0].id}: their references have no answer "
            "or no graph; add a reward that they have, remove them, or use --unscorable leave_out"
        )
    if not left_out:
        return list(examples)
    facts["unscorable"] = [example.id for example in left_out]
    ids = set(facts["unscorable"])
    return [example for example in examples if example.id not in ids]
