"""The numbers and choices that a setting can have, and a message for any other. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chexphi.schema import InputError, shown


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `minimum` to `maximum`, less those that are `excluded`; never NaN or infinity."""

    minimum: float = -math.inf
    maximum: float = math.inf
    excluded: str = ""
    """`minimum`, `maximum`, or both with a space between: the ends that are outside themselves."""
    note: str = ""
    """What a number at an end means, for the message."""

    def __contains__(self, number: float) -> bool:
        if not math.isfinite(number) or not self.minimum <= number <= self.maximum:
            return False
        is_excluded_minimum = "minimum" in self.excluded and number == self.minimum
        is_excluded_maximum = "maximum" in self.excluded and number == self.maximum
        return not (is_excluded_minimum or is_excluded_maximum)

    def advice(self, number: float) -> str:
        """What to use instead of a number that is outside."""
        if number > self.maximum or ("maximum" in self.excluded and number == self.maximum):
            text = f"use {'less than' if 'maximum' in self.excluded else 'at most'} {self.maximum:.12g}"
        elif math.isfinite(self.minimum) and number != math.inf:
            text = f"use {'more than' if 'minimum' in self.excluded else 'at least'} {self.minimum:.12g}"
        else:
            text = "use a finite number"
        return f"{text} ({self.note})" if self.note else text


MAX_INTEGER = 2**31 - 1
"""The largest `int` of C, in which libraries keep some of their counts."""
COUNT = Range(1, MAX_INTEGER)
COUNT_OR_NONE = Range(0, MAX_INTEGER)
PROCESSES = Range(1, 1024)
SEED = Range(0, 2**32 - 1)
"""NumPy takes these."""
POSITIVE = Range(0, excluded="minimum")
NOT_NEGATIVE = Range(0)
TEMPERATURE = Range(1e-6, 1e6)
"""Of sampling. Outside, a logit divided by it does not fit into fp32, or all tokens become equally likely."""
SHARE = Range(0, 1)
FINITE = Range()


def check(settings: Mapping[str, Any], ranges: Mapping[str, Range], source: str) -> None:
    """Refuse a number outside of its setting's range, and NaN and infinity in every setting.

    Args:
        settings: Values by name, also lists and mappings of numbers; other values are ignored.
        ranges: The ranges of some of them; a setting without a range can have every finite number.
        source: The verb or file, for the message.

    Raises:
        InputError: For the first such setting.
    """
    for name, value in settings.items():
        range_ = ranges.get(name, FINITE)
        for number in _numbers(value):
            if number not in range_:
                raise InputError(f"{source}: {name} is {shown(value)}: {range_.advice(number)}")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield (
            value
            if isinstance(value, float) or value.bit_length() < 1000
            else math.inf * (1 if value > 0 else -1)
        )
    elif isinstance(value, Mapping | list | tuple):
        for entry in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(entry)


def check_choices(source: str, settings: Mapping[str, Any], choices: Mapping[str, Sequence[str]]) -> None:
    """Refuse a value that is not among the choices of its setting.

    Raises:
        InputError: For the first such setting; `source` is the beginning of the message.
    """
    for name, allowed in choices.items():
        if name in settings and settings[name] not in allowed:
            raise InputError(f"{source}: {name} is {shown(settings[name])}: use {', '.join(allowed)}")
