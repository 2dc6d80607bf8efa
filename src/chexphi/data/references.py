"""References to films: found inside their root, opened as files, shown in messages.

A reference is a path relative to the image root or a `data:` URI; nothing outside the root is opened.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
from pathlib import Path
from typing import BinaryIO

from chexphi.data.film_files import decoders, file_kinds
from chexphi.schema import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Suffixes that are tried in this order for a reference without one, as in `image_ids`."""
MAX_URI_CHARACTERS = 32_000_000
"""Longest `data:` URI, about 24 MB of image; our choice, a full-size film has 1 to 3 MB as JPEG."""
MAX_FILE_BYTES = 1 << 30
"""Largest file; our choice: `decoders.MAX_PIXELS` with four channels of 16 bits take 0.7 GB."""
MAX_SHOWN = 200
"""Characters of a reference that a message shows; our choice, the paths of MIMIC-CXR have about 90."""
MAX_BLANKS = 6
"""Most blanks in a reference that is shown: a text with more is a sentence."""
_URI = re.compile(r"data:image/(png|jpe?g);base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs|hf)://", re.IGNORECASE)
_SIBLING_SUFFIXES = (".dcm", ".dicom", ".nii.gz", ".npy")
"""Suffixes of files that may be there in place of a missing film."""


def is_uri(ref: str) -> bool:
    """Whether the film is in the reference itself."""
    return ref[:5].lower() == "data:"


def with_suffix(ref: str, root: Path) -> str:
    """The reference with its file's suffix: the first of `SUFFIXES` with a file, else `.png`."""
    if is_uri(ref) or ref.lower().endswith(SUFFIXES):
        return ref
    for suffix in ("", *SUFFIXES):
        if os.path.isfile(os.path.join(root, ref + suffix)):
            return ref + suffix
    has_image_suffix = ref.lower().endswith((*decoders.SUFFIXES, *file_kinds.SUFFIXES))
    return ref if has_image_suffix else ref + SUFFIXES[0]


def is_film(ref: str, root: Path) -> bool:
    """Whether a reference is a `data:` URI or a file, inside the root or not."""
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
            f"image {shown_reference(ref)} is not a path: remove the character that no file name holds"
        ) from None
    if path != inside and not path.startswith(inside.rstrip(os.sep) + os.sep):
        raise InputError(
            f"image {shown_reference(ref)} lies outside the image root {root}: move it there or give"
            " another image root"
        )
    return Path(path)


def shown_reference(ref: str) -> str:
    """A reference as messages show it: never an image, nor a long text that is in the place of a path."""
    if is_uri(ref):
        return f"a data: URI of {len(ref)} characters"
    if len(ref) > MAX_SHOWN or ref.count(" ") > MAX_BLANKS:
        return f"a text of {len(ref)} characters"
    return repr(ref)


def _from_uri(ref: str) -> io.BytesIO:
    head = _URI.match(ref)
    if head is None:
        raise InputError(
            f"image {shown_reference(ref)} is not a base64 PNG or JPEG: write data:image/png;base64,…"
        )
    if len(ref) > MAX_URI_CHARACTERS:
        raise InputError(
            f"image {shown_reference(ref)} is longer than {MAX_URI_CHARACTERS}: put it in a file of its own"
        )
    try:
        return io.BytesIO(base64.b64decode(ref[head.end() :], validate=True))
    except (binascii.Error, ValueError):
        raise InputError(f"image {shown_reference(ref)} holds broken base64: encode it again") from None


def open_file(ref: str, root: Path) -> BinaryIO:
    """Open the file of a reference, or the bytes in a `data:` URI.

    Raises:
        InputError: If it is missing, outside the root, not a regular file or too large.
    """
    if is_uri(ref):
        return _from_uri(ref)
    path = locate(ref, root)
    try:
        # Only a regular file is opened: reading a pipe would block.
        if path.is_file():
            if path.stat().st_size <= MAX_FILE_BYTES:
                return path.open("rb")
            raise InputError(
                f"image {shown_reference(ref)} has more than {MAX_FILE_BYTES} bytes: save it as a PNG"
            )
        problem = "is a folder" if path.is_dir() else "is missing"
    except OSError as error:
        problem = f"cannot be opened ({error.strerror})"
    raise InputError(
        f"image {shown_reference(ref)} {problem} under the image root {root}: {_remedy(ref, path)}"
    )


def _remedy(ref: str, path: Path) -> str:
    """What to do about a missing film."""
    if _ADDRESS.match(ref):
        return "it is a web address, and nothing is downloaded: fetch the film and name its file"
    for suffix in _SIBLING_SUFFIXES:
        sibling = f"{os.path.splitext(path)[0]}{suffix}"
        if os.path.isfile(sibling):
            kind, advice = file_kinds.kind_of(b"\1", sibling)
            return f"{os.path.basename(sibling)} is beside it, {kind}: {advice}"
    return "add it or give another image root"
