"""Decoded pixels as 8-bit RGB at the film's own size.

Films of more than 8 bits are stretched from the darkest to the brightest value of their window (`window.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chexphi.data.film_files import window
from chexphi.data.film_files.orientation import TRANSPOSE
from chexphi.data.film_files.window import find_window_of_chunks, level_converter

COLOUR_LEVELS = 64
"""A colour film of 16 bits must use a quarter of its range: Pillow keeps the upper 8 bits of a channel."""
MAX_COPIES = 32
"""Most smaller copies that may follow a film in its file; our choice, one for each halving would be 16."""
_DEEP = ("I", "I;16", "I;16L", "I;16B", "F")
_TRANSPARENT = ("RGBA", "LA", "PA")
_EIGHT_BIT = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "La", "RGBa")
_WHITE_IS_ZERO, _SIGNED = 0, 2
_SUBFILE, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 254, 258, 262, 339  # tags of TIFF


def _tag(film: Image.Image, tag: int) -> Any:
    value = getattr(film, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) and value else value


def reason_to_refuse(film: Image.Image) -> str:
    """Why a film that Pillow opens would be read wrongly, and what to do; empty if it is fine.

    If a film has several pages, those after the first must be marked as smaller copies of it.
    """
    if film.format == "TIFF" and _tag(film, _SAMPLE_FORMAT) == _SIGNED and _tag(film, _BITS) == 8:
        return "has signed samples of 8 bits, which Pillow reads as unsigned: save it as a PNG"
    if film.mode not in _DEEP + _EIGHT_BIT + _TRANSPARENT:
        return f"has pixels of the kind {film.mode}, which are not read: save it as a PNG"
    if film.format != "MPO" and getattr(film, "is_animated", False) and not _has_copies_only(film):
        return "holds more than one page: save each film in a file of its own"
    return ""


def _has_copies_only(film: Image.Image) -> bool:
    """Whether every page after the first is marked as a smaller copy, and there are at most `MAX_COPIES`."""
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
    decoder_args = [tile.args for tile in getattr(film, "tile", ())]
    raw_modes = [str(args if isinstance(args, str) else args[0]) for args in decoder_args if args]
    return film.mode not in _DEEP and any(";16" in mode for mode in raw_modes)


def reason_levels_are_lost(film: Image.Image, *, deep: bool) -> str:
    """Why a loaded film lost its grey levels, and what to do; empty if it did not.

    Args:
        film: Loaded.
        deep: What `deep_colour` said before the film was loaded.
    """
    if not deep:
        return ""
    colours = (film.getchannel(band) for band in film.getbands() if band != "A")
    if any(any(colour.histogram()[COLOUR_LEVELS:]) for colour in colours):
        return ""
    return (
        "has channels of 16 bits and uses less than a quarter of their range, of which Pillow would keep"
        f" under {COLOUR_LEVELS} grey levels: save it as a grey PNG of 16 bits"
    )


def to_rgb(film: Image.Image, orientation: int = 1) -> Image.Image:
    """Upright 8-bit RGB without metadata; transparency becomes black, deep films are stretched.

    In a TIFF whose zero is white (PhotometricInterpretation 0) Pillow inverts films of up to 8 bits. It
    leaves deeper ones as negatives, so these are inverted here.

    Args:
        film: Loaded.
        orientation: As EXIF numbers it; give 1 for a TIFF, which Pillow turns when it is loaded.
    """
    if film.mode in _DEEP:
        is_negative = film.format == "TIFF" and _tag(film, _PHOTOMETRIC) == _WHITE_IS_ZERO
        rgb = _stretched_film(_upright(film, orientation), is_negative=is_negative)
    elif film.mode in _TRANSPARENT or (film.mode == "P" and "transparency" in film.info):
        rgb = _upright(_in_strips(film, _on_black), orientation)
    else:
        rgb = _upright(film.convert("RGB"), orientation)
    rgb.info = {}  # a later reader must not turn it a second time
    return rgb


def _upright(film: Image.Image, orientation: int) -> Image.Image:
    return film if orientation == 1 else film.transpose(TRANSPOSE[orientation])


def _in_strips(film: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The film converted to RGB a few rows at a time, so that no second array of its size is in memory."""
    rgb = Image.new("RGB", film.size)
    for box in _strips(film):
        rgb.paste(convert(film.crop(box)), box)
    return rgb


def _strips(film: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) of a few rows each that cover the film."""
    rows = max(1, window.CHUNK_PIXELS // film.width)
    for top in range(0, film.height, rows):
        yield 0, top, film.width, min(top + rows, film.height)


def _on_black(strip: Image.Image) -> Image.Image:
    strip = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", strip.size, "black"), strip).convert("RGB")


def _stretched_film(film: Image.Image, *, is_negative: bool) -> Image.Image:
    chunks = _FilmChunks(film)
    to_levels = level_converter(chunks.dtype, *find_window_of_chunks(chunks))

    def convert(strip: Image.Image) -> Image.Image:
        grey = to_levels(np.asarray(strip))
        return Image.fromarray(255 - grey if is_negative else grey).convert("RGB")

    return _in_strips(film, convert)


class _FilmChunks:
    """The values of a film, a few rows at a time; can be iterated again."""

    def __init__(self, film: Image.Image) -> None:
        self._film = film
        self.dtype = np.asarray(film.crop((0, 0, 1, 1))).dtype

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (np.asarray(self._film.crop(box)).ravel() for box in _strips(self._film))
