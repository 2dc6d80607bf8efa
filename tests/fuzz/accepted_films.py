"""Films: one verdict of all readers, and an accepted one has the size that its header says."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.trial import RefusedError, WrongError
from PIL import Image

from chexphi.data.images import check_image, film_size, load_image
from chexphi.schema import InputError

PNG = b"\x89PNG\r\n\x1a\n"
START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that the size stands behind."""


@dataclass(frozen=True)
class Loaded:
    """What the readers made of a film."""

    size: tuple[int, int]
    mode: str
    said: tuple[int, int]
    """What `film_size` says."""
    digests: tuple[str, str]
    """Of its pixels, loaded twice."""


def prepare(folder: Path) -> None:
    """Load a good film of each common format."""
    for name in ("png", "jpeg", "tiff", "webp", "bmp", "gif", "jp2"):
        film = folder / f"good.{name}"
        Image.new("L", (8, 6), 80).save(film)
        judge(film, use(film))


def use(film: Path) -> Loaded:
    """Check, measure and load a film; the check's verdict, thorough or not, must be the loader's."""

    def ask(reader: Callable[..., Any], **words: Any) -> Any:
        try:
            return reader(film.name, film.parent, **words), None
        except InputError as error:
            return None, error

    image, refused = ask(load_image)
    for thorough in (True, False):
        verdict = ask(check_image, thorough=thorough)[1]
        if (verdict is None) != (refused is None):
            raise AssertionError(f"check_image(thorough={thorough}) says {verdict}, load_image {refused}")
    if refused is not None:
        raise RefusedError(str(refused))
    again = load_image(film.name, film.parent)
    digests = tuple(hashlib.sha256(one.tobytes()).hexdigest() for one in (image, again))
    return Loaded(image.size, image.mode, film_size(film.name, film.parent), digests)


def judge(film: Path, loaded: Loaded) -> None:
    """Compare with the header, read here byte by byte.

    Raises:
        WrongError: If the size, the kind or a checksum is another.
    """
    content = film.read_bytes()
    if loaded.mode != "RGB" or loaded.size != loaded.said or len(set(loaded.digests)) > 1:
        raise WrongError(
            f"{loaded.mode} of {loaded.size}, said {loaded.said}, {len(set(loaded.digests))} readings"
        )
    size = _header(content)
    if size is not None and sorted(size) != sorted(loaded.size):  # an EXIF block may turn it
        raise WrongError(f"its header says {size}, the film has {loaded.size}")
    if content.startswith(PNG) and (damaged := _first_damaged(content)):
        raise WrongError(f"a chunk {damaged} whose checksum is wrong was accepted")


def _header(content: bytes) -> tuple[int, int] | None:
    """Width and height; None for formats that are not read here."""
    if content.startswith(PNG):
        return struct.unpack(">II", content[16:24])
    if content[:2] == b"\xff\xd8":
        return _jpeg(content)
    if content[:4] == b"GIF8":
        return None  # the first frame's size counts
    if content[:2] == b"BM" and content[14:18] == struct.pack("<I", 40):
        width, height = struct.unpack("<ii", content[18:26])
        return width, abs(height)
    return None


def _jpeg(content: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(content):
        if content[place] != 0xFF or content[place + 1] == 0xFF:
            place += 1
            continue
        marker = content[place + 1]
        if marker in START_OF_FRAME:
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return width, height
        alone = marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8
        place += 2 if alone else 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return None


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Name, content and checksum of each chunk up to the end mark."""
    place = len(PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        name = content[place + 4 : place + 8]
        inside = content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", content[place + 8 + length : place + 12 + length].ljust(4, b"\0"))
        yield name, inside, checksum
        if name == b"IEND":
            return
        place += 12 + length


def _first_damaged(content: bytes) -> str:
    """The first chunk that pixels come from and whose checksum is wrong; empty if there is none."""
    for name, inside, checksum in _chunks(content):
        if name in (b"IHDR", b"PLTE", b"IDAT", b"tRNS") and zlib.crc32(name + inside) != checksum:
            return name.decode()
    return ""
