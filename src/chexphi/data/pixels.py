"""What decoded pixels become: 8-bit RGB, at the film's own size, bright where the film is.

Films of more than 8 bits are stretched from the darkest to the brightest value of their *window*; see there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

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
_DEEP = ("I", "I;16", "I;16L", "I;16B", "F")
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
    pages = 1 if film.format == "MPO" else getattr(film, "n_frames", 1)
    if pages > 1 and not _smaller_copies(film, pages):
        return f"holds {pages} pages: save each film in a file of its own"
    return ""


def _smaller_copies(film: Image.Image, pages: int) -> bool:
    if film.format != "TIFF":
        return False
    reduced = []
    for page in range(1, pages):
        film.seek(page)
        reduced.append(bool((_tag(film, _SUBFILE) or 0) & 1))
    film.seek(0)
    return all(reduced)


def deep_colour(film: Image.Image) -> bool:
    """Whether a film that is not loaded yet has colour channels, or transparency, of 16 bits."""
    parts = [part.args for part in getattr(film, "tile", ())]
    raw_modes = [str(args if isinstance(args, str) else args[0]) for args in parts if args]
    return film.mode not in _DEEP and any(";16" in mode for mode in raw_modes)


def too_dark(film: Image.Image, *, deep: bool) -> str:
    """Why a loaded film lost its grey levels, and what to do; empty if it did not. `deep`: `deep_colour`."""
    if not deep:
        return ""
    colours = [film.getchannel(band) for band in film.getbands() if band != "A"]
    if max(np.asarray(colour).max() for colour in colours) >= COLOUR_LEVELS:
        return ""
    return (
        "has channels of 16 bits and uses less than a quarter of them, of which Pillow would leave"
        f" under {COLOUR_LEVELS} levels: save it as a grey PNG of 16 bits"
    )


def to_rgb(film: Image.Image) -> Image.Image:
    """8-bit RGB; transparency becomes black, deep films are stretched over their `window`.

    In a TIFF whose zero is white (PhotometricInterpretation 0) Pillow turns films of up to 8 bits round, and
    leaves deeper ones as negatives: these are turned here.
    """
    negative = film.format == "TIFF" and _tag(film, _PHOTOMETRIC) == _WHITE_IS_ZERO
    film = ImageOps.exif_transpose(film)
    if film.mode in ("RGBA", "LA", "PA") or (film.mode == "P" and "transparency" in film.info):
        film = film.convert("RGBA")
        film = Image.alpha_composite(Image.new("RGBA", film.size, "black"), film)
    if film.mode in _DEEP:
        grey = stretched(np.asarray(film))
        film = Image.fromarray(255 - grey if negative else grey)
    return film.convert("RGB")


def stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values from the window's dark end (0) to its bright end (255); what lies outside is cut.

    Args:
        values: Height x width, of any number type; NaN becomes dark.
    """
    low, high = window(values)
    span = high - low if high > low else 1.0
    if values.dtype.itemsize == 2 and values.dtype.kind == "u":
        levels = np.arange(1 << 16, dtype=np.float64)
        table = np.round(255 * (levels - low) / span).clip(0, 255).astype(np.uint8)
        return table[values]
    finite = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.round(255 * (finite - low) / span).clip(0, 255).astype(np.uint8)


def window(values: NDArray[Any]) -> tuple[float, float]:
    """The darkest and the brightest value of the film itself.

    That is the whole range, unless markers, dead pixels or padding lie far outside: beyond the 1st or the
    99th percentile (of the pixels that are neither the very darkest nor the very brightest) by more than
    twice the distance between these two. There the window ends at the last value within that distance. So at
    least a fifth of the grey levels lies between the percentiles, and a hot pixel changes no other.

    Args:
        values: Of any shape and number type.
    """
    flat = values.ravel()
    if values.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    if not flat.size:
        return 0.0, 0.0
    low, high = flat.min(), flat.max()
    sample = flat[:: max(1, flat.size // SAMPLED) | 1]
    inner = sample[(sample > low) & (sample < high)]
    if inner.size < MIN_INNER * sample.size:
        return float(low), float(high)
    first, last = np.percentile(inner, INNER)
    reach = last - first
    if reach > 0 and low < first - FAR * reach:
        low = flat[flat >= first - NEAR * reach].min()
    if reach > 0 and high > last + FAR * reach:
        high = flat[flat <= last + NEAR * reach].max()
    return float(low), float(high)
