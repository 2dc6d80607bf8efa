"""What decoded pixels become: 8-bit RGB, at the film's own size, bright where the film is.

Films of more than 8 bits are stretched from the darkest to the brightest value of their *window*; see there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chexphi.data.orientation import TRANSPOSE

INNER = (1, 99)
"""Percentiles between which a film's values count as its own for certain; our choice."""
FAR, NEAR = 2, 1
"""In distances between them: beyond `FAR` lies what is not the film, and then `NEAR` ends it. Our choice: no
film of 904 public ones is cut. The edges of a marker's letters have values between the film's and its own."""
SAMPLED = 1 << 20
"""Pixels of which the percentiles are taken, evenly spread; our choice."""
MIN_INNER = 0.05
"""Share of pixels that must be neither the darkest nor the brightest value for a window to be sought."""
COLOUR_LEVELS = 64
"""A colour film of 16 bits must use a quarter of them: of a channel Pillow keeps the upper 8 bits."""
MAX_COPIES = 32
"""Smaller copies behind a film; our choice, one for each halving would be 16."""
PART = 1 << 18
"""Pixels that are worked on at a time: what is made of them fits into a processor's cache."""
_DEEP = ("I", "I;16", "I;16L", "I;16B", "F")
_TRANSPARENT = ("RGBA", "LA", "PA")
_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "La", "RGBa")
_WHITE_IS_ZERO, _SIGNED = 0, 2
_SUBFILE, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 254, 258, 262, 339  # tags of TIFF


def _tag(film: Image.Image, tag: int) -> Any:
    value = getattr(film, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) and value else value


def unfit(film: Image.Image) -> str:
    """Why a film that Pillow opens would be read wrongly, and what to do; empty if it is fine.

    Of a film with several pages only pages that are marked as smaller copies may follow the first.
    """
    if film.format == "TIFF" and _tag(film, _SAMPLE_FORMAT) == _SIGNED and _tag(film, _BITS) == 8:
        return "has signed samples of 8 bits, which Pillow reads as unsigned: save it as a PNG"
    if film.mode not in _DEEP + _PLAIN + _TRANSPARENT:
        return f"has pixels of the kind {film.mode}, which are not read: save it as a PNG"
    if film.format != "MPO" and getattr(film, "is_animated", False) and not _has_copies_only(film):
        return "holds more than one page: save each film in a file of its own"
    return ""


def _has_copies_only(film: Image.Image) -> bool:
    """Whether every page behind the first is marked as a smaller copy, of which there are at most MAX_COPIES."""
    if film.format != "TIFF":
        return False
    for page in range(1, MAX_COPIES + 1):
        try:
            film.seek(page)
        except EOFError:
            film.seek(0)
            return True
        if not (_tag(film, _SUBFILE) or 0) & 1:
            return False
    return False


def deep_colour(film: Image.Image) -> bool:
    """Whether a film that is not loaded yet has colour channels, or transparency, of 16 bits."""
    parts = [part.args for part in getattr(film, "tile", ())]
    raw_modes = [str(args if isinstance(args, str) else args[0]) for args in parts if args]
    return film.mode not in _DEEP and any(";16" in mode for mode in raw_modes)


def too_dark(film: Image.Image, *, deep: bool) -> str:
    """Why a loaded film lost its grey levels, and what to do; empty if it did not. `deep`: `deep_colour`."""
    if not deep:
        return ""
    ranges = [film.getchannel(band).getextrema() for band in film.getbands() if band != "A"]
    if max(brightest for _, brightest in ranges) >= COLOUR_LEVELS:
        return ""
    return (
        "has channels of 16 bits and uses less than a quarter of them, of which Pillow would leave"
        f" under {COLOUR_LEVELS} levels: save it as a grey PNG of 16 bits"
    )


def to_rgb(film: Image.Image, orientation: int = 1) -> Image.Image:
    """Upright 8-bit RGB without metadata; transparency becomes black, deep films are stretched over their `window`.

    In a TIFF whose zero is white (PhotometricInterpretation 0) Pillow turns films of up to 8 bits round, and
    leaves deeper ones as negatives: these are turned here.

    Args:
        film: Loaded.
        orientation: As EXIF numbers it; a TIFF has been turned when it was loaded.
    """
    if film.mode in _DEEP:
        is_negative = film.format == "TIFF" and _tag(film, _PHOTOMETRIC) == _WHITE_IS_ZERO
        rgb = _stretched_film(_upright(film, orientation), is_negative=is_negative)
    elif film.mode in _TRANSPARENT or (film.mode == "P" and "transparency" in film.info):
        rgb = _upright(_in_strips(film, _on_black), orientation)
    else:
        rgb = _upright(film.convert("RGB"), orientation)
    rgb.info = {}  # whoever reads it next must not turn it once more
    return rgb


def _upright(film: Image.Image, orientation: int) -> Image.Image:
    return film if orientation == 1 else film.transpose(TRANSPOSE[orientation])


def _in_strips(film: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """A film converted to RGB some rows at a time, so that nothing else of its size is in memory."""
    rgb = Image.new("RGB", film.size)
    for box in _strips(film):
        rgb.paste(convert(film.crop(box)), box)
    return rgb


def _strips(film: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    rows = max(1, PART // film.width)
    for top in range(0, film.height, rows):
        yield 0, top, film.width, min(top + rows, film.height)


def _on_black(strip: Image.Image) -> Image.Image:
    strip = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", strip.size, "black"), strip).convert("RGB")


def _stretched_film(film: Image.Image, *, is_negative: bool) -> Image.Image:
    parts = _FilmParts(film)
    to_levels = _scaling(parts.dtype, *_window(parts))

    def convert(strip: Image.Image) -> Image.Image:
        grey = to_levels(np.asarray(strip))
        return Image.fromarray(255 - grey if is_negative else grey).convert("RGB")

    return _in_strips(film, convert)


class _FilmParts:
    """The values of a film, some rows at a time."""

    def __init__(self, film: Image.Image) -> None:
        self._film = film
        self.dtype = np.asarray(film.crop((0, 0, 1, 1))).dtype

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (np.asarray(self._film.crop(box)).ravel() for box in _strips(self._film))


def _array_parts(values: NDArray[Any]) -> list[NDArray[Any]]:
    flat = values.ravel()
    return [flat[start : start + PART] for start in range(0, flat.size, PART)]


def stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values from the window's dark end (0) to its bright end (255); what lies outside is cut.

    Args:
        values: Height x width, of any number type; NaN becomes dark.
    """
    parts = _array_parts(values)
    to_levels = _scaling(values.dtype, *_window(parts))
    return np.concatenate([to_levels(part) for part in parts]).reshape(values.shape)


def _scaling(dtype: np.dtype[Any], low: float, high: float) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
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
    return _window(_array_parts(values))


def _window(parts: Iterable[NDArray[Any]]) -> tuple[float, float]:
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
