"""A curve in one line of text."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def thinned(values: Sequence[float], width: int) -> list[float]:
    """At most `width` values: means of neighbours, in their order.

    >>> thinned([1, 3, 5, 7], 2)
    [2.0, 6.0]
    """
    count = min(width, len(values))
    edges = [number * len(values) // count for number in range(count + 1)] if count else [0]
    return [statistics.fmean(values[a:b]) for a, b in itertools.pairwise(edges)]


def sparkline(values: Sequence[float], width: int) -> str:
    """A character a value, from the lowest to the highest of them; all the same are in the middle.

    >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8), sparkline([2, 2], 8)
    ('▁▂▃▄▅▆▇█', '▄▄')
    """
    points = thinned(values, width)
    if not points:
        return ""
    lowest, highest = min(points), max(points)
    if highest == lowest:
        return BLOCKS[3] * len(points)
    steps = len(BLOCKS) - 1
    return "".join(BLOCKS[round(steps * (point - lowest) / (highest - lowest))] for point in points)
