"""The chunks of a PNG file: whether each is as it was written, and what follows the pixels.

Pillow does not check the check sums of pixels, and stops reading once it has all rows.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

READ_BYTES = 1 << 20
"""Bytes that are read at a time."""
_SIGNATURE_BYTES = 8
_METADATA = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")


def check_chunks(file: BinaryIO) -> None:
    """Check the check sum of every chunk up to the end mark; the file's position does not change.

    Raises:
        ValueError: If one is wrong, or the file ends before the mark.
    """
    offset = file.tell()
    for name, start, length in _chunks(file):
        file.seek(start)
        value, remaining = zlib.crc32(name), length
        while remaining:
            data = file.read(min(remaining, READ_BYTES))
            if not data:
                raise ValueError("the file ends within a chunk")
            value, remaining = zlib.crc32(data, value), remaining - len(data)
        if file.read(4) != struct.pack(">I", value):
            raise ValueError("a check sum is wrong")
    file.seek(offset)


def has_late_metadata(file: BinaryIO) -> bool:
    """Whether there may be an orientation after the first pixels; the file's position does not change.

    Raises:
        ValueError: If the file ends before the end mark.
    """
    offset = file.tell()
    names = [name for name, _, _ in _chunks(file)]
    file.seek(offset)
    names_after_pixels = names[names.index(b"IDAT") :] if b"IDAT" in names else ()
    return any(name in _METADATA for name in names_after_pixels)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The name of each chunk, where its data starts, and their length."""
    end, name = _SIGNATURE_BYTES, b""
    size = file.seek(0, os.SEEK_END)
    while name != b"IEND":
        if end + 12 > size:
            raise ValueError("the file ends before its end mark")
        file.seek(end)
        length, name = struct.unpack(">I4s", file.read(8))
        yield name, end + 8, length
        end += 12 + length
