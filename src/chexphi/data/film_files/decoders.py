"""Image files as Pillow opens them here: a fixed list of formats, and no output on the terminal.

Pillow by itself tries every format it knows, whatever the file's name, and those that other libraries add.
One of them (EPS) hands the file to an external program.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import warnings
from typing import BinaryIO

from PIL import Image, ImageFile, _imaging

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000")
"""Formats that films are read from. MPO, a JPEG with several pictures as cameras write it, opens as JPEG."""
SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".webp", ".bmp", ".gif",
    ".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c",
)  # fmt: skip
"""Endings of the names of such files."""
MAX_PIXELS = 89_478_485
"""Pixels of the largest film, 9459 x 9459. It is Pillow's own bound, which any library can lift; chest films
have up to 20 million."""
_PILLOW = r"PIL\."


def open_film(file: BinaryIO) -> ImageFile.ImageFile:
    """Open an image of one of `FORMATS`; its pixels are decoded when it is loaded.

    Raises:
        Exception: Any type, from Pillow's code on a damaged file; `Image.DecompressionBombError` for more
            pixels than `max_pixels()`.
    """
    _silence()
    film = Image.open(file, formats=FORMATS)
    if film.width * film.height > max_pixels():
        raise Image.DecompressionBombError
    return film


def max_pixels() -> int:
    """Pixels of the largest film that is read: `MAX_PIXELS`, or Pillow's own bound where it is lower."""
    return min(MAX_PIXELS, Image.MAX_IMAGE_PIXELS or MAX_PIXELS)


def _silence() -> None:
    """Keep what Pillow and libtiff write about damaged files off the terminal: our own error says it.

    This holds for the whole process, since threads share all of it. Silenced are the warnings and log lines
    of Pillow's own modules, and the error lines that libtiff itself writes to file descriptor 2 (Pillow turns
    off libtiff's warnings only). Other output is not touched. It is checked again for every film, since a
    caller may have reset the warning filters.
    """
    if not any(_is_our_filter(entry) for entry in warnings.filters):
        warnings.filterwarnings("ignore", module=_PILLOW)
    _silence_libraries()


def _is_our_filter(entry: tuple[object, ...]) -> bool:
    action, message, category, module, _ = entry
    return (action, message, category) == ("ignore", None, Warning) and getattr(
        module, "pattern", None
    ) == _PILLOW


@functools.cache
def _silence_libraries() -> None:
    logger = logging.getLogger("PIL")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
    try:
        # Searched in Pillow's own module and the libraries linked to it, wherever they are.
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):  # a Pillow without libtiff, or one that hides it
        return
    set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    set_handler(None)
