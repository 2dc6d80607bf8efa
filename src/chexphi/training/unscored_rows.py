"""Rows without any reward in training: skipped, or the run stops; TRL never gets one.

Where all rewards of a row are None, TRL prints the whole row: question, reference, answer and completion.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from trl import GRPOTrainer

from chexphi.rewards.checked import row_name
from chexphi.schema import InputError

logger = logging.getLogger(__name__)


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
