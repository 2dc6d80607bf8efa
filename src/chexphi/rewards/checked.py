"""A check around every reward: one that fails or returns nonsense stops the run with one sentence."""

from __future__ import annotations

import asyncio
import inspect
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chexphi.number_text import counted
from chexphi.rewards.combine import Scheme
from chexphi.schema import InputError, NotFiniteError


class RewardError(RuntimeError):
    """A reward raised an error. The message says for which row, and at which lines of the code.

    The reward's own message may hold the completion or the reference. So neither that message nor a traceback
    with it is printed or logged.
    """


STOPPED_TRAINING = (RewardError, NotFiniteError)
"""Errors that stop training with one sentence, which holds no text of the data: the terminal and `train.log`
have it. The second is for a loss, reward or weight that is not finite."""


class CheckedReward:
    """A reward under its public name. Each value is a finite number, or None where None is allowed.

    None says that the *reference* cannot be scored, so it holds for all completions of a row or for none of
    them. TRL counts None as 0 where another reward has a value, which would change the pay of its group.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.__name__ = name
        self.function = function

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The rewards of a batch, one a row.

        Raises:
            RewardError: If the reward raises; it names the row.
            InputError: If it returns another number of values, a value that is not a finite number, or None
                for some completions of a row only.
        """
        try:
            values = self._call(completions, columns)
        except InputError:
            raise
        except Exception as error:
            row = self._culprit(completions, columns)
            raise RewardError(
                f"reward {self.__name__} raised {type(error).__name__} on {row} ({_lines(error)}): its "
                "message may hold patients' texts and is not shown, call the reward on that row to read it"
            ) from None
        return checked_values(self.__name__, values, len(completions), columns)

    def _call(self, completions: Sequence[Any], columns: Mapping[str, Any]) -> Any:
        values = self.function(completions=completions, **columns)
        return asyncio.run(values) if inspect.iscoroutine(values) else values

    def _culprit(self, completions: Sequence[Any], columns: Mapping[str, Any]) -> str:
        """The id of the row for which the reward raises when it is called with this row alone."""
        count = len(completions)
        for row in range(count):
            try:
                self._call(completions[row : row + 1], _one_row(columns, row, count))
            except Exception:
                return row_name(row, columns)
        return f"a batch of {count} rows, of which none raises alone"


def _lines(error: Exception) -> str:
    """The code lines that led to an error, beginning in the reward; of many lines the first and last two."""
    frames = traceback.extract_tb(error.__traceback__)
    steps = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename != __file__]
    short = steps if len(steps) <= 4 else [*steps[:2], "…", *steps[-2:]]
    return " > ".join(short) or "in its call"


def _one_row(columns: Mapping[str, Any], row: int, count: int) -> dict[str, Any]:
    row_columns: dict[str, Any] = {}
    for name, value in columns.items():
        if name in ("log_metric", "log_extra"):
            row_columns[name] = _silent
        else:
            row_columns[name] = (
                value[row : row + 1] if isinstance(value, list) and len(value) == count else value
            )
    return row_columns


def _silent(*args: Any) -> None:
    """Log nothing."""


def row_name(row: int, columns: Mapping[str, Any]) -> str:
    """A row's name in messages: its id, else its position in the batch."""
    ids = columns.get("id")
    return f"row {row + 1} of the batch" if ids is None or len(ids) <= row else f"row {ids[row]}"


def checked_values(name: str, returned: Any, count: int, columns: Mapping[str, Any]) -> list[float | None]:
    """The values that a reward returned, as one float or None a row.

    Raises:
        InputError: As in `CheckedReward.__call__`.
    """
    if not isinstance(returned, Iterable) or isinstance(returned, str | Mapping):
        raise InputError(
            f"reward {name} returned {type(returned).__name__}: let it return a list, one number a completion"
        )
    values = list(returned)
    if len(values) != count:
        raise InputError(
            f"reward {name} returned {counted(len(values), 'value')} for "
            f"{counted(count, 'completion')}: let it return one each"
        )
    numbers = [_number(name, value, row_name(row, columns)) for row, value in enumerate(values)]
    _check_none(name, numbers, columns)
    return numbers


def _number(name: str, value: Any, row_label: str) -> float | None:
    if value is None:
        return None
    if not hasattr(value, "__float__"):
        raise InputError(f"reward {name} is {type(value).__name__} for {row_label}: let it return numbers")
    number = float(value)
    if not math.isfinite(number):
        raise InputError(
            f"reward {name} is {number} for {row_label}: let it return a finite number, or None for every "
            "completion of a row whose reference cannot be scored"
        )
    return number


def _check_none(name: str, numbers: Sequence[float | None], columns: Mapping[str, Any]) -> None:
    references = columns.get("id") or columns.get("solution") or range(len(numbers))
    is_none_of: dict[Any, bool] = {}
    for row, (reference, number) in enumerate(zip(references, numbers, strict=True)):
        if is_none_of.setdefault(reference, number is None) != (number is None):
            raise InputError(
                f"reward {name} is None for some completions of {row_name(row, columns)} and a number for "
                "others: None may depend on the reference alone, give a malformed completion a number"
            )


class CombinedReward:
    """Several rewards as one callable that returns their total; `parts` gives each of them for the log.

    It is not used where the rewards are summed: TRL then takes them one by one.
    """

    def __init__(self, members: Sequence[CheckedReward], scheme: Scheme) -> None:
        self.__name__ = str(scheme.combine)
        self.members, self.scheme = members, scheme
        self._last_call: tuple[Sequence[Any], dict[str, list[float | None]]] = ((), {})

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The totals of a batch, one a row.

        Raises:
            InputError: As in `CheckedReward.__call__`, and for a reward that the scheme cannot combine.
        """
        values = {member.__name__: member(completions=completions, **columns) for member in self.members}
        self._last_call = completions, values
        return totals(self.scheme, values, len(completions), columns)

    def parts(self) -> list[RewardPart]:
        """The members as functions of weight 0, so that TRL and completions.jsonl have each one's value."""
        return [RewardPart(member.__name__, self) for member in self.members]

    def part(self, name: str, completions: Sequence[Any]) -> list[float | None]:
        """The values of a member for the batch whose totals were computed last."""
        completions_of_total, values = self._last_call
        assert completions_of_total is completions, (
            "a part of a combined reward needs the total to be computed first"
        )
        return values[name]


class RewardPart:
    """One member of a combined reward; it returns the values that were computed for the total."""

    def __init__(self, name: str, combined: CombinedReward) -> None:
        self.__name__ = name
        self.combined = combined

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        return self.combined.part(self.__name__, completions)


def totals(
    scheme: Scheme, values: Mapping[str, Sequence[float | None]], count: int, columns: Mapping[str, Any]
) -> list[float | None]:
    """The total of each row of a batch.

    Raises:
        InputError: For a reward that the scheme cannot combine. The message names the row.
    """
    row_totals = []
    for row in range(count):
        try:
            row_totals.append(scheme.total({name: column[row] for name, column in values.items()}))
        except ValueError as error:
            raise InputError(f"{row_name(row, columns)}: {error}") from None
    return row_totals
