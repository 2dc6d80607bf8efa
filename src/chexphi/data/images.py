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

from PIL import ExifTags, Image, ImageFile

from chexphi.data import file_kinds, pixels
from chexphi.schema import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Tried in this order for a reference without one of them, as in `image_ids`."""
MAX_URI_CHARACTERS = 32_000_000
"""Longest `data:` URI, about 24 MB of image; our choice, a full-size film has 1 to 3 MB as JPEG."""
MAX_SHOWN = 200
"""Characters of a reference that a message shows; our choice, the paths of MIMIC-CXR have about 90."""
MAX_BLANKS = 6
"""Blanks in a reference that is shown: with more it is a sentence."""
SMALL_BYTES = 32_768
"""Files up to this size are always checked to the last pixel, which takes them less than a millisecond."""
_URI = re.compile(r"data:image/(png|jpe?g);base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs|hf)://", re.IGNORECASE)
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
    return ref if known or ref.lower().endswith(file_kinds.SUFFIXES) else ref + SUFFIXES[0]


def is_film(ref: str, root: Path) -> bool:
    """Whether a reference is a `data:` URI or a file, wherever it lies."""
    return is_uri(ref) or os.path.isfile(os.path.join(root, with_suffix(ref, root)))


def locate(ref: str, root: Path) -> Path:
    """The path of a reference inside its root, links resolved; the file need not exist.

    Raises:
        InputError: If the path leaves the root: by `..`, as an absolute path or through a link.
    """
    try:
        inside = os.path.realpath(root)
        path = os.path.realpath(os.path.join(inside, with_suffix(ref, root)))
    except ValueError:
        raise InputError(
            f"image {_shown(ref)} is no path: remove the character that no file name holds"
        ) from None
    if path != inside and not path.startswith(inside.rstrip(os.sep) + os.sep):
        raise InputError(
            f"image {_shown(ref)} lies outside the image root {root}: move it there or give another image"
            " root"
        )
    return Path(path)


def _shown(ref: str) -> str:
    """A reference as messages show it: never an image, nor a long text that was taken for a path."""
    if is_uri(ref):
        return f"a data: URI of {len(ref)} characters"
    if len(ref) > MAX_SHOWN or ref.count(" ") > MAX_BLANKS:
        return f"a text of {len(ref)} characters"
    return repr(ref)


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
    raise InputError(f"image {_shown(ref)} {what} under the image root {root}: {_remedy(ref, path)}")


def _remedy(ref: str, path: Path) -> str:
    """What to do about a film that is not there."""
    if _ADDRESS.match(ref):
        return "it is a web address, and nothing is downloaded: fetch the film and name its file"
    beside = (path.with_suffix(suffix) for suffix in (".dcm", ".dicom", ".nii.gz", ".npy"))
    for other in beside:
        if os.path.isfile(other):
            kind, advice = file_kinds.kind_of(b"\1", other.name)
            return f"{other.name} lies there, {kind}: {advice}"
    return "add it or give another image root"


def _open(file: BinaryIO, ref: str) -> Image.Image:
    try:
        film = Image.open(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(ref) from None
    except _DAMAGE:
        raise _no_image(file, ref) from None
    if isinstance(film, ImageFile.StubImageFile):  # HDF5, GRIB and others, which Pillow only names
        raise _no_image(file, ref)
    try:
        reason = pixels.unfit(film)
    except _DAMAGE:
        raise _truncated(ref) from None
    if reason:
        raise InputError(f"image {_shown(ref)} {reason}")
    if Image.MAX_IMAGE_PIXELS and film.width * film.height > Image.MAX_IMAGE_PIXELS:
        raise _too_large(ref)
    return film


def _no_image(file: BinaryIO, ref: str) -> InputError:
    file.seek(0)
    kind, advice = file_kinds.kind_of(file.read(file_kinds.HEAD_BYTES), "" if is_uri(ref) else ref)
    return InputError(f"image {_shown(ref)} is not an image, it is {kind}: {advice}")


def _too_large(ref: str) -> InputError:
    return InputError(f"image {_shown(ref)} has more than {Image.MAX_IMAGE_PIXELS} pixels: scale it down")


def _truncated(ref: str) -> InputError:
    return InputError(f"image {_shown(ref)} is truncated or damaged: copy it again from its source")


def _decode(film: Image.Image, ref: str) -> None:
    deep = pixels.deep_colour(film)
    try:
        film.load()
    except _DAMAGE:
        raise _truncated(ref) from None
    if reason := pixels.too_dark(film, deep=deep):
        raise InputError(f"image {_shown(ref)} {reason}")


def load_image(ref: str, root: Path) -> Image.Image:
    """Open a film as 8-bit RGB at its own size; grey is repeated, transparency becomes black.

    Raises:
        InputError: If the film is missing, outside the root, truncated, no image, or larger than
            `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    with _file(ref, root) as file:
        film = _open(file, ref)
        _decode(film, ref)
        try:
            return pixels.to_rgb(film)
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
        except _DAMAGE:
            raise _truncated(ref) from None
        if thorough or not ended or size <= SMALL_BYTES:
            _decode(film, ref)


def _ending(file: BinaryIO, form: str | None) -> tuple[bool, int]:
    """Whether a file closes with the end mark of its format, and its size; it is left where it was."""
    place = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 64))
    ended = form in _ENDS and file.read().rstrip(b"\0").endswith(_ENDS[form])
    file.seek(place)
    return ended, size
