"""Image files as Pillow opens them here: a fixed list of formats, and not a word on the terminal.

Pillow by itself tries every format it knows, whatever a file is called, and those that other libraries add:
one of them (EPS) hands the file to an external program.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import warnings
from typing import BinaryIO

from PIL import Image, ImageFile, _imaging

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000")
"""What films are read from. Several pictures in a JPEG, as cameras write them (MPO), are opened as JPEG."""
SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".webp", ".bmp", ".gif",
    ".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c",
)  # fmt: skip
"""Of the names of such files."""
MAX_PIXELS = 89_478_485
"""Largest film, 9459 x 9459; Pillow's own bound, which any library can lift. Chest films have up to 20 M."""
_PILLOW = r"PIL\."


def open_film(file: BinaryIO) -> ImageFile.ImageFile:
    """Open an image of one of `FORMATS`; its pixels are decoded when it is loaded.

    Raises:
        Exception: Whatever Pillow's code met with in a damaged file, or `Image.DecompressionBombError` for
            more pixels than `max_pixels()`.
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
    """Keep what Pillow and libtiff write about damaged files off the terminal: we say it in one sentence.

    For the whole process, since its threads share all of these: the warnings and log lines of Pillow's own
    modules, and the error lines that libtiff writes to file descriptor 2 by itself (Pillow has turned off its
    warnings only). What others write is not touched. Looked at for every film, since whoever calls may have
    put back the warnings.
    """
    if not any(_is_ours(entry) for entry in warnings.filters):
        warnings.filterwarnings("ignore", module=_PILLOW)
    _silence_libraries()


def _is_ours(entry: tuple[object, ...]) -> bool:
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
        # Looked up in Pillow's own module and in what it was linked with, wherever that lies.
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):  # a Pillow without libtiff, or one that hides it
        return
    set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    set_handler(None)
