"""Films on disk: found inside their root, checked, opened as RGB.

A reference is a path relative to the image root or a `data:` URI; nothing outside the root is opened.
"""

from __future__ import annotations

import base64
import binascii
import functools
import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from chexphi.schema import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Tried in this order for a reference without one of them, as in `image_ids`."""
MAX_URI_CHARACTERS = 32_000_000
"""Longest `data:` URI, about 24 MB of image; our choice, a full-size film has 1 to 3 MB as JPEG."""
CACHED_FILMS = 4096
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


def _source(ref: str, root: Path) -> Path | io.BytesIO:
    if is_uri(ref):
        return _from_uri(ref)
    path = locate(ref, root)
    if path.is_file():
        return path
    what = "is a folder" if path.is_dir() else "is missing"
    raise InputError(
        f"image {ref!r} {what} under the image root {root}: add the file or give another image root"
    )


def _open(ref: str, root: Path) -> Image.Image:
    source = _source(ref, root)
    try:
        film = Image.open(source)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(ref) from None
    except _DAMAGE:
        raise InputError(
            f"image {_shown(ref)} is not an image that can be read: replace it by a PNG or JPEG"
        ) from None
    if Image.MAX_IMAGE_PIXELS and film.width * film.height > Image.MAX_IMAGE_PIXELS:
        film.close()
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
    with _open(ref, root) as film:
        try:
            return _to_rgb(film)
        except _DAMAGE:
            raise _truncated(ref) from None


def check_image(ref: str, root: Path, *, decode: bool = True) -> None:
    """Check a film without keeping it.

    Args:
        ref: The reference.
        root: The image root.
        decode: Decode every pixel. Otherwise the header is read and the file's end mark looked for,
            which finds missing, foreign and truncated files, but not a damaged middle.

    Raises:
        InputError: As `load_image`.
    """
    with _open(ref, root) as film:
        if decode or is_uri(ref) or not _has_end(film, locate(ref, root)):
            try:
                film.load()
            except _DAMAGE:
                raise _truncated(ref) from None


def _has_end(film: Image.Image, path: Path) -> bool:
    """Whether the file closes with its format's end mark; padding after it needs a full decode to tell."""
    mark = _ENDS.get(film.format or "")
    if mark is None:
        return False
    with path.open("rb") as file:
        file.seek(-min(64, os.fstat(file.fileno()).st_size), os.SEEK_END)
        return file.read().rstrip(b"\0").endswith(mark)


def film_loader(root: Path) -> Callable[[str], Image.Image]:
    """`load_image` for one root that keeps the films decoded last; do not draw on what it returns."""
    return functools.lru_cache(maxsize=CACHED_FILMS)(functools.partial(load_image, root=root))
