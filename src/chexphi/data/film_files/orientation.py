"""Which way up a film is stored: read from its EXIF block, with an error where that cannot be read.

A film that is shown turned or mirrored has its left and right exchanged. So a block that is damaged before
its orientation is an error here, not a block without an orientation. Pillow does the latter: it stops at the
damage and uses the tags read so far. Damage after the orientation, or in other tags, does not matter.
"""

from __future__ import annotations

import io
import re
import struct
import sys
from typing import Any, BinaryIO

from PIL import ExifTags, Image

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a film upright, by its orientation; 1 is upright."""
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange width and height."""
_TAG = ExifTags.Base.Orientation
_BYTE, _SHORT, _LONG = 1, 3, 4
_INTEGERS = {_BYTE: "B", _SHORT: "H", _LONG: "L"}
_WIDTH, _LENGTH = ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength
_CLASSIC, _BIG = 42, 43
_ORDERS = {b"II": "<", b"MM": ">"}
_IN_XMP = re.compile(r'tiff:Orientation(?:="|>)([0-9])')


def read_orientation(film: Image.Image) -> int:
    """The orientation of a film, 1 to 8: from its EXIF block or its TIFF tags, or else from its XMP text.

    1 where there is none, and for 0, which some programs write for "not known".

    Args:
        film: As opened; in a PNG the block may follow the pixels, and is known once they are loaded.

    Raises:
        ValueError: If the block is damaged before its orientation, or the value is not an orientation.
    """
    orientation = None
    if block := _exif_block(film):
        orientation = _orientation_of_tags(io.BytesIO(block))
    elif film.format == "TIFF":
        orientation = _orientation_of_tags(film.fp)  # type: ignore[attr-defined]
    if orientation is None:
        orientation = _orientation_of_xmp(film)
    if not 0 <= orientation <= 8:
        raise ValueError("an orientation is a number from 1 to 8")
    return orientation or 1


def leave_turning_to_pillow(film: Image.Image, orientation: int) -> None:
    """Leave only the orientation in a TIFF's tags: Pillow turns a TIFF when it is loaded.

    With all tags there it would read them again, and fail if one is damaged.
    """
    tags = Image.Exif()
    tags[_TAG] = orientation
    film.getexif = lambda: tags  # type: ignore[method-assign]
    film.info.pop("xmp", None)


def stored_size(film: Image.Image) -> tuple[int, int]:
    """Width and height of a film as stored, before it is loaded; Pillow gives a TIFF's after turning."""
    tags = getattr(film, "tag_v2", None)
    return (tags[_WIDTH], tags[_LENGTH]) if tags else film.size


def _exif_block(film: Image.Image) -> bytes:
    """The EXIF block without its name; empty if there is none."""
    block = film.info.get("exif")
    if block is None and (text := film.info.get("Raw profile type exif")) is not None:
        block = bytes.fromhex("".join(str(text).split("\n")[3:]))  # as ImageMagick writes it into a PNG
    return re.sub(rb"\A(?:Exif\0\0){1,2}", b"", block or b"")


def _orientation_of_tags(file: BinaryIO) -> int | None:
    """The orientation in the first directory of a TIFF file, or of an EXIF block: a TIFF without pixels.

    None if the directory is complete and has no orientation.
    """
    offset = file.tell()
    file.seek(0)
    head = _read_exactly(file, 8)
    order = _ORDERS.get(head[:2])
    if order is None or not {_CLASSIC, _BIG} & set(head[2:4]):
        raise ValueError("this is not a TIFF header")
    is_big = _BIG in head[2:4]
    count_form, entry_form = ("Q", "HHQ8s") if is_big else ("H", "HHL4s")
    start = _read_struct(file, order + "Q")[0] if is_big else struct.unpack(order + "L", head[4:])[0]
    file.seek(min(start, sys.maxsize))
    (count,) = _read_struct(file, order + count_form)
    for _ in range(count):
        tag, kind, number, data = _read_struct(file, order + entry_form)
        if tag == _TAG:
            file.seek(offset)
            return _integer_value(order, kind, number, data)
    file.seek(offset)
    return None


def _integer_value(order: str, kind: int, count: int, data: bytes) -> int:
    if count != 1 or kind not in _INTEGERS:
        raise ValueError("the orientation is not one integer")
    form = order + _INTEGERS[kind]
    return int(struct.unpack(form, data[: struct.calcsize(form)])[0])


def _read_struct(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, _read_exactly(file, struct.calcsize(form)))


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ValueError("the tags end too early")
    return data


def _orientation_of_xmp(film: Image.Image) -> int:
    text = film.info.get("XML:com.adobe.xmp") or film.info.get("xmp") or ""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    orientation = _IN_XMP.search(text) if isinstance(text, str) else None
    return int(orientation[1]) if orientation else 1
