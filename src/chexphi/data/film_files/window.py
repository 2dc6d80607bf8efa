"""The window of films of more than 8 bits, and the 8-bit levels that their values get in it.

Values come in parts, so that what is worked on at a time is small however large the film is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

INNER = (1, 99)
"""Percentiles between which a film's values count as its own for certain; our choice."""
FAR, NEAR = 2, 1
"""In distances between them: beyond `FAR` lies what is not the film, and then `NEAR` ends it. Our choice: no
film of 904 public ones is cut. The edges of a marker's letters have values between the film's and its own."""
SAMPLED = 1 << 20
"""Pixels of which the percentiles are taken, evenly spread; our choice."""
MIN_INNER = 0.05
"""Share of pixels that must be neither the darkest nor the brightest value for a window to be sought."""
PART = 1 << 18
"""Pixels that are worked on at a time: what is made of them fits into a processor's cache."""


def _array_parts(values: NDArray[Any]) -> list[NDArray[Any]]:
    flat = values.ravel()
    return [flat[start : start + PART] for start in range(0, flat.size, PART)]


def stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values from the window's dark end (0) to its bright end (255); what lies outside is cut.

    Args:
        values: Height x width, of any number type; NaN becomes dark.
    """
    parts = _array_parts(values)
    to_levels = scaling(values.dtype, *window_of_parts(parts))
    return np.concatenate([to_levels(part) for part in parts]).reshape(values.shape)


def scaling(dtype: np.dtype[Any], low: float, high: float) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """What makes grey levels of values of this type."""
    span = high - low if high > low else 1.0

    def scale(values: NDArray[Any]) -> NDArray[np.uint8]:
        numbers = values.astype(np.float64)
        np.nan_to_num(numbers, copy=False, nan=low, posinf=high, neginf=low)
        numbers -= low
        numbers *= 255
        numbers /= span
        return np.round(numbers, out=numbers).clip(0, 255, out=numbers).astype(np.uint8)

    if dtype.itemsize == 2 and dtype.kind == "u":
        table = scale(np.arange(1 << 16))
        return table.take
    return scale


def window(values: NDArray[Any]) -> tuple[float, float]:
    """The darkest and the brightest value of the film itself.

    That is the whole range, unless markers, dead pixels or padding lie far outside: beyond the 1st or the
    99th percentile (of the pixels that are neither the very darkest nor the very brightest) by more than
    twice the distance between these two. There the window ends at the last value within that distance. So at
    least a fifth of the grey levels lies between the percentiles, and a hot pixel changes no other.

    Args:
        values: Of any shape and number type.
    """
    return window_of_parts(_array_parts(values))


def window_of_parts(parts: Iterable[NDArray[Any]]) -> tuple[float, float]:
    """The window of values that come in parts, which are gone through up to four times."""
    ranges = [(part.size, part.min(), part.max()) for part in map(_finite, parts) if part.size]
    if not ranges:
        return 0.0, 0.0
    sizes, darkest, brightest = zip(*ranges, strict=True)
    low, high = min(darkest), max(brightest)
    sample = _sample(parts, sum(sizes))
    inner = sample[(sample > low) & (sample < high)]
    if inner.size < MIN_INNER * sample.size:
        return float(low), float(high)
    first, last = np.percentile(inner, INNER)
    reach = last - first
    if reach > 0 and low < first - FAR * reach:
        low = min(inside.min() for part in parts if (inside := _above(part, first - NEAR * reach)).size)
    if reach > 0 and high > last + FAR * reach:
        high = max(inside.max() for part in parts if (inside := _below(part, last + NEAR * reach)).size)
    return float(low), float(high)


def _finite(part: NDArray[Any]) -> NDArray[Any]:
    if part.dtype.kind != "f":
        return part
    is_finite = np.isfinite(part)
    return part if is_finite.all() else part[is_finite]


def _above(part: NDArray[Any], least: float) -> NDArray[Any]:
    part = _finite(part)
    return part[part >= least]


def _below(part: NDArray[Any], most: float) -> NDArray[Any]:
    part = _finite(part)
    return part[part <= most]


def _sample(parts: Iterable[NDArray[Any]], size: int) -> NDArray[Any]:
    """About `SAMPLED` of the `size` finite values, evenly spread."""
    step = max(1, size // SAMPLED) | 1
    sample, place = [], 0
    for part in map(_finite, parts):
        sample.append(part[-place % step :: step].copy())
        place += part.size
    return np.concatenate(sample)
