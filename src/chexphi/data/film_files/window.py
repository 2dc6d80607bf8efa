"""The window of films of more than 8 bits, and the 8-bit grey levels that their values get in it.

Values come in chunks of pixels, so that the memory in use at a time is small however large the film is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILM_PERCENTILES = (1, 99)
"""Percentiles between which values certainly belong to the film; our choice."""
OUTLIER_DISTANCE, WINDOW_MARGIN = 2, 1
"""In distances between the two percentiles. Values beyond `OUTLIER_DISTANCE` do not belong to the film; the
window then ends within `WINDOW_MARGIN`. Our choice: none of 904 public films is cut. The edges of a marker's
letters have values between the film's and the marker's."""
SAMPLE_PIXELS = 1 << 20
"""Pixels from which the percentiles are computed, evenly spread; our choice."""
MIN_MIDTONE_SHARE = 0.05
"""Share of pixels that must have neither the darkest nor the brightest value; with fewer, the window is the
whole range."""
CHUNK_PIXELS = 1 << 18
"""Pixels that are converted at a time: their intermediate values fit into a processor's cache."""


def _array_chunks(values: NDArray[Any]) -> list[NDArray[Any]]:
    flat = values.ravel()
    return [flat[start : start + CHUNK_PIXELS] for start in range(0, flat.size, CHUNK_PIXELS)]


def stretch(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey levels from the window's dark end (0) to its bright end (255); values outside are clipped.

    Args:
        values: (height, width), of any number type; NaN becomes dark.

    Returns:
        (height, width) grey levels.
    """
    chunks = _array_chunks(values)
    to_levels = level_converter(values.dtype, *find_window_of_chunks(chunks))
    return np.concatenate([to_levels(chunk) for chunk in chunks]).reshape(values.shape)


def level_converter(
    dtype: np.dtype[Any], low: float, high: float
) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """A function from values of this type to grey levels of the same shape; the window is `low` to `high`."""
    span = high - low if high > low else 1.0

    def scale(values: NDArray[Any]) -> NDArray[np.uint8]:
        numbers = values.astype(np.float64)
        np.nan_to_num(numbers, copy=False, nan=low, posinf=high, neginf=low)
        numbers -= low
        numbers *= 255
        numbers /= span
        return np.round(numbers, out=numbers).clip(0, 255, out=numbers).astype(np.uint8)

    if dtype.itemsize == 2 and dtype.kind == "u":
        level_table = scale(np.arange(1 << 16))
        return level_table.take
    return scale


def find_window(values: NDArray[Any]) -> tuple[float, float]:
    """The darkest and the brightest value of the film itself.

    This is the whole range, unless markers, dead pixels or padding lie far outside. The percentiles are taken
    of the pixels that are neither the very darkest nor the very brightest. Values are outliers if they lie
    beyond the 1st or the 99th percentile by more than twice the distance between these two. The window then
    ends at the outermost value within that distance. So at least a fifth of the grey levels lies between the
    percentiles, and a hot pixel does not change the others.

    Args:
        values: Of any shape and number type.
    """
    return find_window_of_chunks(_array_chunks(values))


def find_window_of_chunks(chunks: Iterable[NDArray[Any]]) -> tuple[float, float]:
    """The window of values that come in chunks of one axis each; they are iterated up to four times."""
    ranges = [(chunk.size, chunk.min(), chunk.max()) for chunk in map(_finite, chunks) if chunk.size]
    if not ranges:
        return 0.0, 0.0
    sizes, minima, maxima = zip(*ranges, strict=True)
    low, high = min(minima), max(maxima)
    sample = _sample(chunks, sum(sizes))
    midtones = sample[(sample > low) & (sample < high)]
    if midtones.size < MIN_MIDTONE_SHARE * sample.size:
        return float(low), float(high)
    dark, bright = np.percentile(midtones, FILM_PERCENTILES)
    distance = bright - dark
    if distance > 0 and low < dark - OUTLIER_DISTANCE * distance:
        floor = dark - WINDOW_MARGIN * distance
        low = min(film_values.min() for chunk in chunks if (film_values := _at_least(chunk, floor)).size)
    if distance > 0 and high > bright + OUTLIER_DISTANCE * distance:
        ceiling = bright + WINDOW_MARGIN * distance
        high = max(film_values.max() for chunk in chunks if (film_values := _at_most(chunk, ceiling)).size)
    return float(low), float(high)


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind != "f":
        return values
    is_finite = np.isfinite(values)
    return values if is_finite.all() else values[is_finite]


def _at_least(values: NDArray[Any], floor: float) -> NDArray[Any]:
    values = _finite(values)
    return values[values >= floor]


def _at_most(values: NDArray[Any], ceiling: float) -> NDArray[Any]:
    values = _finite(values)
    return values[values <= ceiling]


def _sample(chunks: Iterable[NDArray[Any]], size: int) -> NDArray[Any]:
    """About `SAMPLE_PIXELS` of the `size` finite values, evenly spread."""
    step = max(1, size // SAMPLE_PIXELS) | 1
    samples, offset = [], 0
    for chunk in map(_finite, chunks):
        samples.append(chunk[-offset % step :: step].copy())
        offset += chunk.size
    return np.concatenate(samples)
