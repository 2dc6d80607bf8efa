"""Films on disk: found inside their root, checked, opened as RGB.

A reference is a path relative to the image root or a `data:` URI; nothing outside the root is opened.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from chexphi.schema import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Tried in this order for a reference without one of them, as in `image_ids`."""
MAX_URI_CHARACTERS = 32_000_000
"""Longest `data:` URI, about 24 MB of image; our choice, a full-size film has 1 to 3 MB as JPEG."""
SMALL_BYTES = 32_768
"""Files up to this size are always checked to the last pixel, which takes them less than a millisecond."""
_URI = re.compile(r"data:image/(png|jpe?g);base64,", re.IGNORECASE)
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
# What Pillow and its decoders raise for damaged files; its bomb errors are no subclasses of OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    IndexError,
    TypeError,
)


def is_uri(ref: str) -> bool:
    """Whether the film stands in the reference itself."""
    return ref[:5].lower() == "data:"


def with_suffix(ref: str, root: Path) -> str:
    """The reference with its file's suffix: the first of `SUFFIXES` that exists, `.png` if none does."""
    if is_uri(ref) or ref.lower().endswith(SUFFIXES):
        return ref
    for suffix in ("", *SUFFIXES):
        if os.path.isfile(os.path.join(root, ref + suffix)):
            return ref + suffix
    known = os.path.splitext(ref)[1].lower() in Image.registered_extensions()
    return ref if known else ref + SUFFIXES[0]


def locate(ref: str, root: Path) -> Path:
    """The path of a reference inside its root, links resolved; the file need not exist.

    Raises:
        InputError: If the path leaves the root: by `..`, as an absolute path or through a link.
    """
    try:
        inside = os.path.realpath(root)
        path = os.path.realpath(os.path.join(inside, with_suffix(ref, root)))
    except ValueError:
        raise InputError(f"image {ref!r} is no path: remove the character that no file name holds") from None
    if path != inside and not path.startswith(inside.rstrip(os.sep) + os.sep):
        raise InputError(
            f"image {ref!r} lies outside the image root {root}: move it there or give another image root"
        )
    return Path(path)


def _shown(ref: str) -> str:
    return f"a data: URI of {len(ref)} characters" if is_uri(ref) else repr(ref)


def _from_uri(ref: str) -> io.BytesIO:
    head = _URI.match(ref)
    if head is None:
        raise InputError(f"image {_shown(ref)} is no base64 PNG or JPEG: write data:image/png;base64,…")
    if len(ref) > MAX_URI_CHARACTERS:
        raise InputError(
            f"image {_shown(ref)} is longer than {MAX_URI_CHARACTERS}: put it in a file of its own"
        )
    try:
        return io.BytesIO(base64.b64decode(ref[head.end() :], validate=True))
    except (binascii.Error, ValueError):
        raise InputError(f"image {_shown(ref)} holds broken base64: encode it again") from None


def _file(ref: str, root: Path) -> BinaryIO:
    if is_uri(ref):
        return _from_uri(ref)
    path = locate(ref, root)
    try:
        # Anything but a plain file is refused: a pipe would be waited for.
        if path.is_file():
            return path.open("rb")
        what = "is a folder" if path.is_dir() else "is missing"
    except OSError as error:
        what = f"cannot be opened ({error.strerror})"
    raise InputError(f"image {ref!r} {what} under the image root {root}: add it or give another image root")


def _open(file: BinaryIO, ref: str) -> Image.Image:
    try:
        film = Image.open(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(ref) from None
    except _DAMAGE:
        raise InputError(f"image {_shown(ref)} is not an image: replace it by a PNG or JPEG") from None
    if Image.MAX_IMAGE_PIXELS and film.width * film.height > Image.MAX_IMAGE_PIXELS:
        raise _too_large(ref)
    return film


def _too_large(ref: str) -> InputError:
    return InputError(f"image {_shown(ref)} has more than {Image.MAX_IMAGE_PIXELS} pixels: scale it down")


def _truncated(ref: str) -> InputError:
    return InputError(f"image {_shown(ref)} is truncated or damaged: copy it again from its source")


def _to_rgb(film: Image.Image) -> Image.Image:
    """8-bit RGB; films of more than 8 bits are stretched from their own darkest to their brightest pixel.

    12-bit films in 16-bit files would be black if the whole 16-bit range were mapped.
    """
    film = ImageOps.exif_transpose(film)
    if film.mode in ("RGBA", "LA", "PA") or (film.mode == "P" and "transparency" in film.info):
        film = film.convert("RGBA")
        film = Image.alpha_composite(Image.new("RGBA", film.size, "black"), film)
    if film.mode == "F" or film.mode.startswith("I"):
        values = np.nan_to_num(np.asarray(film, dtype=np.float64))
        low, high = values.min(), values.max()
        film = Image.fromarray(np.round(255 * (values - low) / max(high - low, 1)).astype(np.uint8))
    return film.convert("RGB")


def load_image(ref: str, root: Path) -> Image.Image:
    """Open a film as 8-bit RGB at its own size; grey is repeated, transparency becomes black.

    Raises:
        InputError: If the film is missing, outside the root, truncated, no image, or larger than
            `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    with _file(ref, root) as file:
        film = _open(file, ref)
        try:
            return _to_rgb(film)
        except _DAMAGE:
            raise _truncated(ref) from None


def film_size(ref: str, root: Path) -> tuple[int, int]:
    """Width and height in pixels of what `load_image` returns, from the file's header.

    Raises:
        InputError: As `load_image`, except for damage behind the header.
    """
    with _file(ref, root) as file:
        film = _open(file, ref)
        try:
            turned = film.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
        except _DAMAGE:
            raise _truncated(ref) from None
        return (film.height, film.width) if turned else film.size


def check_image(ref: str, root: Path, *, thorough: bool = True) -> None:
    """Check a film without keeping it.

    Args:
        ref: The reference.
        root: The image root.
        thorough: Decode every pixel. Otherwise that is done for files up to `SMALL_BYTES` only; of
            larger ones the header and the end mark are read, which finds missing, foreign and truncated
            files, but no damage in the middle.

    Raises:
        InputError: As `load_image`.
    """
    with _file(ref, root) as file:
        film = _open(file, ref)
        try:
            ended, size = _ending(file, film.format)
            if not ended and film.format == "PNG":
                # Pillow is content once it has all pixels; `verify` reads on to the end mark.
                film.verify()
                film = _open(file, ref)
            if thorough or not ended or size <= SMALL_BYTES:
                film.load()
        except _DAMAGE:
            raise _truncated(ref) from None


def _ending(file: BinaryIO, form: str | None) -> tuple[bool, int]:
    """Whether a file closes with the end mark of its format, and its size; it is left where it was."""
    place = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 64))
    ended = form in _ENDS and file.read().rstrip(b"\0").endswith(_ENDS[form])
    file.seek(place)
    return ended, size
