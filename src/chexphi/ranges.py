"""Which numbers a setting can have, as data; a sentence for one that is outside. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chexphi.schema import InputError, shown


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `least` to `most`, without the ends that are `open`; never NaN and never infinite."""

    least: float = -math.inf
    most: float = math.inf
    open: str = ""
    """`least`, `most` or both with a space between: this end itself is outside."""
    note: str = ""
    """What a number at an end means, for the message."""

    def holds(self, number: float) -> bool:
        """Whether a number is inside."""
        if not math.isfinite(number) or not self.least <= number <= self.most:
            return False
        return not (
            ("least" in self.open and number == self.least) or ("most" in self.open and number == self.most)
        )

    def advice(self, number: float) -> str:
        """What to give in place of a number that is outside."""
        if number > self.most or ("most" in self.open and number == self.most):
            text = f"use {'less than' if 'most' in self.open else 'at most'} {self.most:.12g}"
        elif math.isfinite(self.least) and number != math.inf:
            text = f"use {'more than' if 'least' in self.open else 'at least'} {self.least:.12g}"
        else:
            text = "use a finite number"
        return f"{text} ({self.note})" if self.note else text


MOST_INTEGER = 2**31 - 1
"""Of a count: what C's `int` holds, in which libraries keep some of them."""
COUNT = Range(1, MOST_INTEGER)
COUNT_OR_NONE = Range(0, MOST_INTEGER)
PROCESSES = Range(1, 1024)
SEED = Range(0, 2**32 - 1)
"""What NumPy takes."""
POSITIVE = Range(0, open="least")
NOT_NEGATIVE = Range(0)
TEMPERATURE = Range(1e-6, 1e6)
"""Of sampling: beyond it a logit divided by it leaves what fp32 holds, or all tokens are the same."""
SHARE = Range(0, 1)
FINITE = Range()


def check(settings: Mapping[str, Any], ranges: Mapping[str, Range], where: str) -> None:
    """Refuse a number outside of its setting's range, and NaN and infinity in every setting.

    Args:
        settings: Values by name, also lists and mappings of numbers; what is not a number is passed over.
        ranges: The ranges of some of them; an absent one takes every finite number.
        where: The verb or file, for the message.

    Raises:
        InputError: For the first such setting.
    """
    for name, value in settings.items():
        allowed = ranges.get(name, FINITE)
        for number in _numbers(value):
            if not allowed.holds(number):
                raise InputError(f"{where}: {name} is {shown(value)}: {allowed.advice(number)}")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield (
            value
            if isinstance(value, float) or value.bit_length() < 1000
            else math.inf * (1 if value > 0 else -1)
        )
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(part)
