"""What stands around every reward of a run: a reward that fails or returns nonsense stops it, in words."""

from __future__ import annotations

import asyncio
import inspect
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chexphi.rewards.combine import Scheme
from chexphi.schema import InputError


class RewardError(RuntimeError):
    """A reward raised; says which row, and where in the code. Its own error is the context, not shown.

    The message of a reward's error may hold the completion or the reference, so that neither the message nor
    a traceback with it is printed or logged.
    """


class Checked:
    """A reward under its public name, whose every value is a finite number or a None that may be one.

    None says that the *reference* cannot be scored, so it holds for all completions of a row or for none:
    TRL counts it as 0 where another reward has a value, which would pay the others of its group.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.__name__ = name
        self.function = function

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The rewards of a batch, one a row.

        Raises:
            RewardError: If the reward raises; it names the row.
            InputError: If it returns another number of values, one that is no finite number, or None for
                some completions of a row only.
        """
        try:
            found = self._call(completions, columns)
        except InputError:
            raise
        except Exception as error:
            row = self._culprit(completions, columns)
            raise RewardError(
                f"reward {self.__name__} raised {type(error).__name__} on {row} ({_lines(error)}): its "
                "message may hold patients' texts and is not shown, call the reward on that row to read it"
            ) from None
        return checked_values(self.__name__, found, len(completions), columns)

    def _call(self, completions: Sequence[Any], columns: Mapping[str, Any]) -> Any:
        found = self.function(completions=completions, **columns)
        return asyncio.run(found) if inspect.iscoroutine(found) else found

    def _culprit(self, completions: Sequence[Any], columns: Mapping[str, Any]) -> str:
        """The row that raises alone, by its id."""
        count = len(completions)
        for row in range(count):
            try:
                self._call(completions[row : row + 1], _one_row(columns, row, count))
            except Exception:
                return row_name(row, columns)
        return f"a batch of {count} rows, of which none raises alone"


def _lines(error: Exception) -> str:
    """The lines that led to an error, from the reward's own on; of a long way the first and the last."""
    frames = traceback.extract_tb(error.__traceback__)
    steps = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename != __file__]
    short = steps if len(steps) <= 4 else [*steps[:2], "…", *steps[-2:]]
    return " > ".join(short) or "in its call"


def _one_row(columns: Mapping[str, Any], row: int, count: int) -> dict[str, Any]:
    one: dict[str, Any] = {}
    for name, value in columns.items():
        if name in ("log_metric", "log_extra"):
            one[name] = _silent
        else:
            one[name] = value[row : row + 1] if isinstance(value, list) and len(value) == count else value
    return one


def _silent(*args: Any) -> None:
    """Logs nothing."""


def row_name(row: int, columns: Mapping[str, Any]) -> str:
    """How a row is named: by its id, else by its place in the batch."""
    ids = columns.get("id")
    return f"row {row + 1} of the batch" if ids is None or len(ids) <= row else f"row {ids[row]}"


def checked_values(name: str, found: Any, count: int, columns: Mapping[str, Any]) -> list[float | None]:
    """What a reward returned, as one float or None a row.

    Raises:
        InputError: As `Checked` says.
    """
    if not isinstance(found, Iterable) or isinstance(found, str | Mapping):
        raise InputError(
            f"reward {name} returned {type(found).__name__}: let it return a list of one number a completion"
        )
    values = list(found)
    if len(values) != count:
        raise InputError(
            f"reward {name} returned {len(values)} values for {count} completions: let it return one each"
        )
    numbers = [_number(name, value, row_name(row, columns)) for row, value in enumerate(values)]
    _check_none(name, numbers, columns)
    return numbers


def _number(name: str, value: Any, where: str) -> float | None:
    if value is None:
        return None
    if not hasattr(value, "__float__"):
        raise InputError(f"reward {name} is {type(value).__name__} for {where}: let it return numbers")
    number = float(value)
    if not math.isfinite(number):
        raise InputError(
            f"reward {name} is {number} for {where}: let it return a finite number, or None for every "
            "completion of a row whose reference cannot be scored"
        )
    return number


def _check_none(name: str, numbers: Sequence[float | None], columns: Mapping[str, Any]) -> None:
    references = columns.get("id") or columns.get("solution") or range(len(numbers))
    first: dict[Any, bool] = {}
    for row, (reference, number) in enumerate(zip(references, numbers, strict=True)):
        if first.setdefault(reference, number is None) != (number is None):
            raise InputError(
                f"reward {name} is None for some completions of {row_name(row, columns)} and a number for "
                "others: None may depend on the reference alone, give a malformed completion a number"
            )


class Combined:
    """Several rewards as one callable that returns their total; `parts` are its members beside it.

    Where the rewards are summed TRL takes them one by one instead.
    """

    def __init__(self, members: Sequence[Checked], scheme: Scheme) -> None:
        self.__name__ = str(scheme.combine)
        self.members, self.scheme = members, scheme
        self._last: tuple[Sequence[Any], dict[str, list[float | None]]] = ((), {})

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The totals of a batch, one a row.

        Raises:
            InputError: As `Checked`, and for a reward that the scheme cannot combine.
        """
        values = {member.__name__: member(completions=completions, **columns) for member in self.members}
        self._last = completions, values
        return totals(self.scheme, values, len(completions), columns)

    def parts(self) -> list[Part]:
        """The members as functions of weight 0, so that TRL and completions.jsonl have each one's value."""
        return [Part(member.__name__, self) for member in self.members]

    def part(self, name: str, completions: Sequence[Any]) -> list[float | None]:
        """What a member said of the batch that has just been combined."""
        last, values = self._last
        assert last is completions, "the parts of a combined reward are asked for after its total"
        return values[name]


class Part:
    """One member of a combined reward, as it was computed for the total."""

    def __init__(self, name: str, combined: Combined) -> None:
        self.__name__ = name
        self.combined = combined

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        return self.combined.part(self.__name__, completions)


def totals(
    scheme: Scheme, values: Mapping[str, Sequence[float | None]], count: int, columns: Mapping[str, Any]
) -> list[float | None]:
    """The total of each row of a batch.

    Raises:
        InputError: For a reward that the scheme cannot combine; it names the row.
    """
    found = []
    for row in range(count):
        try:
            found.append(scheme.total({name: column[row] for name, column in values.items()}))
        except ValueError as error:
            raise InputError(f"{row_name(row, columns)}: {error}") from None
    return found
