"""Rows that no reward can score: left out before training, or refused, and never passed to TRL.

Where all rewards of a row are None, TRL prints the whole row: question, reference, answer and completion.
Whether our own rewards and RadEval's can score a row depends on its reference alone, so it is known before
training. A reward of the user's own has to be called: then the row is skipped, or the run stops.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from trl import GRPOTrainer

from chexphi.compat import is_original
from chexphi.graph.types import Extractor
from chexphi.rewards import by_name
from chexphi.rewards.checked import row_name
from chexphi.rewards.combine import ACCURACY, FORMAT, GRAPH, PENALTIES
from chexphi.rewards.settings import RewardFields
from chexphi.schema import Example, InputError

logger = logging.getLogger(__name__)

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


class RewardWatch:
    """The rewards of a run. TRL never gets a row without any: there it gets 0 instead of the last None.

    Args:
        functions: The rewards, as TRL takes them.
        refuse: Whether such a row stops the run. Otherwise the caller puts None back, and TRL skips the row.
    """

    def __init__(self, functions: Sequence[Callable[..., Any]], *, refuse: bool = False) -> None:
        self.refuse = refuse
        self.functions = [_Watched(self, function) for function in functions]
        self.unscored: list[bool] = []
        """Of each row of the last batch: whether no reward has a value for it."""
        self._has_warned = False

    def checked(
        self, function: _Watched, values: list[float | None], columns: Mapping[str, Any]
    ) -> list[float | None]:
        """The values of a reward that TRL gets."""
        missing = [value is None for value in values]
        if function is self.functions[0]:
            self.unscored = missing
        else:
            self.unscored = [
                unscored and is_missing for unscored, is_missing in zip(self.unscored, missing, strict=True)
            ]
        if function is not self.functions[-1] or not any(self.unscored):
            return values
        self._warn(row_name(self.unscored.index(True), columns))
        return [0.0 if unscored else value for value, unscored in zip(values, self.unscored, strict=True)]

    def _warn(self, row: str) -> None:
        if self.refuse:
            raise InputError(
                f"grpo: no reward has a value for {row}: remove it from the data, or use "
                "--unscorable leave_out"
            )
        if not self._has_warned:
            logger.warning("no reward has a value for %s: it and others like it are not trained on", row)
        self._has_warned = True


class _Watched:
    """A reward under its own name, whose values the watch checks."""

    def __init__(self, watch: RewardWatch, function: Callable[..., Any]) -> None:
        self.__name__ = function.__name__
        self._watch, self._function = watch, function

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        return self._watch.checked(self, self._function(completions=completions, **columns), columns)


class SkipsUnscorable(GRPOTrainer):
    """Mixed into a trainer before TRL's class: rows without any reward are skipped, and not printed.

    Args:
        reward_funcs: The rewards, or the only one.
        refuse_unscorable: Whether such a row stops the run instead.
        args: As for `trl.GRPOTrainer`, like all other arguments.
    """

    def __init__(self, *args: Any, reward_funcs: Any, refuse_unscorable: bool = False, **kwargs: Any) -> None:
        functions = reward_funcs if isinstance(reward_funcs, list) else [reward_funcs]
        self._watch = RewardWatch(functions, refuse=refuse_unscorable)
        super().__init__(*args, reward_funcs=self._watch.functions, **kwargs)

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> torch.Tensor:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        unscored = torch.tensor(self._watch.unscored, device=rewards.device)
        rewards[self.accelerator.gather(unscored)] = torch.nan  # for TRL, a reward that does not apply
        return rewards
