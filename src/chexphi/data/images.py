"""Films: checked, measured and opened as 8-bit RGB.

A film that one of these functions refuses, all of them refuse with the same words. The docstrings name the
exceptions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile

from chexphi.data.film_files import decoders, file_kinds, orientation, pixels, png_chunks
from chexphi.data.references import is_uri, open_file, shown_reference
from chexphi.schema import InputError

SMALL_BYTES = 32_768
"""Files up to this size are always checked to the last pixel, which takes less than a millisecond."""
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}


def load_image(ref: str, root: Path) -> Image.Image:
    """Open a film as 8-bit RGB at its own size; grey is repeated, transparency becomes black.

    It is upright and has no metadata. Damage is refused: of the header, the pixels, a check sum of a PNG, or
    an EXIF block whose orientation cannot be read (left and right could be exchanged). An orientation that
    can be read counts, even if the rest of the block is damaged.

    Raises:
        InputError: If the film is missing, outside the root, damaged, of none of `decoders.FORMATS`, of a
            kind that would be read wrongly (`pixels.reason_to_refuse`), or larger than
            `decoders.max_pixels()` or `references.MAX_FILE_BYTES`.
    """
    with open_file(ref, root) as file:
        film, turn = _open_film(file, ref)
        return _decode_film(film, turn, file, ref)


def film_size(ref: str, root: Path) -> tuple[int, int]:
    """Width and height in pixels of what `load_image` returns, without decoding it where possible.

    Raises:
        InputError: As `load_image`, except for damage after the header.
    """
    with open_file(ref, root) as file:
        film, turn = _open_film(file, ref)
        with _report_damage(ref):
            width, height = orientation.stored_size(film)
            if turn is None and png_chunks.has_late_metadata(file):
                film.load()
        turn = turn or _orientation(film, ref)
        return (height, width) if turn in orientation.SIDEWAYS else (width, height)


def check_image(ref: str, root: Path, *, thorough: bool = True) -> None:
    """Check a film without keeping it.

    Args:
        ref: The reference.
        root: The image root.
        thorough: Decode every pixel. Otherwise that is done for files up to `SMALL_BYTES` only; of
            larger ones the header and the end mark are read, which finds missing, foreign and truncated
            files and orientations that cannot be read, but no damage after the header.

    Raises:
        InputError: As `load_image`.
    """
    with open_file(ref, root) as file:
        film, turn = _open_film(file, ref)
        ended, size = _read_ending(file, film.format)
        if thorough or not ended or size <= SMALL_BYTES:
            _decode_film(film, turn, file, ref)


def _open_film(file: BinaryIO, ref: str) -> tuple[ImageFile.ImageFile, int | None]:
    """The film with its header read, ready to be loaded, and its orientation.

    The orientation is None for a PNG, where it may follow the pixels.
    """
    try:
        film = decoders.open_film(file)
    except Image.DecompressionBombError:
        raise _too_large(ref) from None
    except Exception:
        raise _not_an_image(file, ref) from None
    with _report_damage(ref):
        reason = pixels.reason_to_refuse(film)
    if reason:
        raise InputError(f"image {shown_reference(ref)} {reason}")
    if film.format == "PNG":
        return film, None
    turn = _orientation(film, ref)
    if film.format == "TIFF":
        orientation.leave_turning_to_pillow(film, turn)
    return film, turn


def _decode_film(film: ImageFile.ImageFile, turn: int | None, file: BinaryIO, ref: str) -> Image.Image:
    """The film as `load_image` returns it."""
    with _report_damage(ref):
        if film.format == "PNG":
            png_chunks.check_chunks(file)
        deep_colour = pixels.deep_colour(film)
        film.load()
    if reason := pixels.reason_levels_are_lost(film, deep=deep_colour):
        raise InputError(f"image {shown_reference(ref)} {reason}")
    turn = 1 if film.format == "TIFF" else turn or _orientation(film, ref)
    with _report_damage(ref):
        return pixels.to_rgb(film, turn)


@contextmanager
def _report_damage(ref: str) -> Iterator[None]:
    """Say that a film is damaged where Pillow fails.

    Pillow raises no fixed set of types: its readers trust what they read, and a wrong byte becomes a KeyError
    in one of them and an AttributeError in another.
    """
    try:
        yield
    except Image.DecompressionBombError:
        raise _too_large(ref) from None
    except Exception:
        raise InputError(
            f"image {shown_reference(ref)} is truncated or damaged: copy it again from its source"
        ) from None


def _orientation(film: Image.Image, ref: str) -> int:
    try:
        return orientation.read_orientation(film)
    except ValueError:
        raise InputError(
            f"image {shown_reference(ref)} has a damaged EXIF block, so it is not known whether the film is"
            " stored upright: copy it again from its source, or save it upright as a PNG"
        ) from None


def _not_an_image(file: BinaryIO, ref: str) -> InputError:
    file.seek(0)
    kind, advice = file_kinds.kind_of(file.read(file_kinds.HEAD_BYTES), "" if is_uri(ref) else ref)
    return InputError(
        f"image {shown_reference(ref)} is not an image that can be read, it is {kind}: {advice}"
    )


def _too_large(ref: str) -> InputError:
    return InputError(
        f"image {shown_reference(ref)} has more than {decoders.max_pixels()} pixels: scale it down"
    )


def _read_ending(file: BinaryIO, image_format: str | None) -> tuple[bool, int]:
    """Whether a file ends with the end mark of its format, and its size; its position does not change."""
    offset = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 64))
    ended = image_format in _ENDS and file.read().rstrip(b"\0").endswith(_ENDS[image_format])
    file.seek(offset)
    return ended, size
