"""Damaged films for tests: sound ones of every format, then cut, flipped, and broken where it is meant."""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

SIZE = (40, 28)
TURNED = 6
"""The orientation of the films that have one."""
TIFF_COMPRESSIONS = (None, "tiff_lzw", "tiff_deflate", "packbits", "jpeg")


def mutated_films(rng: random.Random, count: int) -> Iterator[bytes]:
    """Bytes of films, most of them damaged: the same for the same seed; no two ways of damage are left out.

    >>> films = list(mutated_films(random.Random(0), 40))
    >>> films == list(mutated_films(random.Random(0), 40)), len(films)
    (True, 40)
    """
    sound = list(sound_films().values())
    odd = list(odd_films().values())
    for number in range(count):
        if number % 8 == 7:
            yield odd[number // 8 % len(odd)]
            continue
        film = sound[number % len(sound)]
        for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
            film = rng.choice(DAMAGES)(rng, film)
        yield film


def grey() -> Image.Image:
    """A smooth film with some noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return Image.fromarray((rows * 3 + columns * 2 + rng.integers(0, 40, rows.shape)).astype(np.uint8))


def saved(film: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    film.save(buffer, form, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@functools.cache
def exif() -> bytes:
    """A block with an orientation behind another tag."""
    tags = Image.Exif()
    tags[0x010F] = "A maker of cameras"
    tags[0x0112] = TURNED
    return tags.tobytes()


@functools.cache
def sound_films() -> dict[str, bytes]:
    """Films that are read, by what they are."""
    film = grey()
    deep = Image.fromarray(np.asarray(film).astype(np.uint16) * 16)
    wide = Image.fromarray(np.asarray(film).astype(np.int32) * 9 - 300)
    numbers = Image.fromarray(np.asarray(film).astype(np.float32) / 7)
    alpha = Image.merge("LA", (film, film.transpose(Image.Transpose.ROTATE_180)))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="3"/></x:xmpmeta>'
    films = {f"png {mode}": saved(film.convert(mode), "PNG") for mode in ("L", "1", "P", "RGB", "RGBA")}
    films |= {
        "png LA": saved(alpha, "PNG"),
        "png 16": saved(deep, "PNG"),
        "png turned": saved(film, "PNG", exif=exif()),
        "png deep turned": saved(deep, "PNG", exif=exif()),
        "png late": late_exif(saved(film, "PNG")),
        "jpeg": saved(film, "JPEG"),
        "jpeg progressive": saved(film.convert("RGB"), "JPEG", progressive=True),
        "jpeg CMYK": saved(film.convert("CMYK"), "JPEG"),
        "jpeg turned": saved(film, "JPEG", exif=exif(), icc_profile=b"profile" * 9),
        "jpeg xmp": saved(film, "JPEG", xmp=xmp),
        "mpo": saved(film, "MPO", save_all=True, append_images=[film], exif=exif()),
        "webp": saved(film.convert("RGB"), "WEBP", exif=exif()),
        "webp lossless": saved(film.convert("RGBA"), "WEBP", lossless=True),
        "bmp": saved(film, "BMP"),
        "gif": saved(film, "GIF", comment=b"words"),
        "jp2": saved(film, "JPEG2000"),
        "jp2 16": saved(deep, "JPEG2000"),
        "j2k RGBA": saved(film.convert("RGBA"), "JPEG2000", no_jp2=True),
        "tiff 16": saved(deep, "TIFF", compression="tiff_lzw"),
        "tiff I": saved(wide, "TIFF"),
        "tiff F": saved(numbers, "TIFF", compression="tiff_deflate"),
        "tiff 1": saved(film.convert("1"), "TIFF", compression="group4"),
        "tiff CMYK": saved(film.convert("CMYK"), "TIFF"),
        "tiff turned": saved(film, "TIFF", tiffinfo={0x0112: TURNED}),
        "tiff lzw turned": saved(film, "TIFF", compression="tiff_lzw", tiffinfo={0x0112: TURNED}),
        "tiff big": saved(film, "TIFF", big_tiff=True, tiffinfo={0x0112: TURNED}),
        "tiff tiles": tiles(film),
    }
    films |= {f"tiff {name}": saved(film, "TIFF", compression=name) for name in TIFF_COMPRESSIONS}
    return films


def late_exif(png: bytes) -> bytes:
    """The film with its orientation behind the pixels, where it may be."""
    end = png.rindex(b"IEND") - 4
    return png[:end] + chunk(b"eXIf", exif().removeprefix(b"Exif\0\0")) + png[end:]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int, *chunks: bytes, kind: int = 0, data: bytes = b"") -> bytes:
    """A PNG whose header says what is wanted."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(data or bytes(500)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def tiles(film: Image.Image) -> bytes:
    """A TIFF of tiles of 16 x 16, uncompressed."""
    width, height = film.size
    grid = [(x, y) for y in range(0, height, 16) for x in range(0, width, 16)]
    data = b"".join(film.crop((x, y, x + 16, y + 16)).tobytes() for x, y in grid)
    tags = [
        (256, width), (257, height), (258, 8), (259, 1), (262, 1), (277, 1), (322, 16), (323, 16),
    ]  # fmt: skip
    start = 8 + len(data)
    directory = struct.pack("<H", len(tags) + 2)
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    lists = start + len(directory) + 2 * 12 + 4
    directory += struct.pack("<HHII", 324, 4, len(grid), lists)
    directory += struct.pack("<HHII", 325, 4, len(grid), lists + 4 * len(grid)) + bytes(4)
    places = [8 + 256 * number for number in range(len(grid))]
    counts = struct.pack(f"<{2 * len(grid)}I", *places, *[256] * len(grid))
    return b"II*\0" + struct.pack("<I", start) + data + directory + counts


@functools.cache
def odd_films() -> dict[str, bytes]:
    """Films that are odd as a whole: too large, empty, of several pages, with too much text."""
    film = grey()
    other = film.transpose(Image.Transpose.ROTATE_180)
    return {
        "a huge size": png_of(60_000, 60_000),
        "a size of nothing": png_of(0, 7),
        "a size beyond integers": png_of(0xFFFFFFFF, 0xFFFFFFFF),
        "few pixels for the size": png_of(4000, 4000),
        "a text that unpacks to 20 MB": png_of(
            9, 9, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(20_000_000), 9)), data=bytes(90)
        ),
        "a profile that unpacks to 20 MB": png_of(
            9, 9, chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(20_000_000), 9)), data=bytes(90)
        ),
        "two thousand texts": png_of(9, 9, *[chunk(b"tEXt", b"Comment\0words")] * 2000, data=bytes(90)),
        "no palette": png_of(9, 9, kind=3, data=bytes(90)),
        "animated PNG": saved(film, "PNG", save_all=True, append_images=[other]),
        "animated GIF": saved(film, "GIF", save_all=True, append_images=[other]),
        "animated WebP": saved(film.convert("RGB"), "WEBP", save_all=True, append_images=[other]),
        "pages": saved(film, "TIFF", save_all=True, append_images=[other] * 3),
        "many pages": saved(film, "TIFF", save_all=True, append_images=[film] * 300),
        "Lab": saved(film.convert("RGB").convert("LAB"), "TIFF") if "LAB" in Image.MODES else b"",
        "a mistaken size of BMP": b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 90, 0, 54, 40, -9, 9, 1, 8, *[0] * 6),
        "an EXIF of nothing": saved(film, "JPEG", exif=b"Exif\0\0"),
        "an EXIF of zeros": saved(film, "JPEG", exif=b"Exif\0\0" + bytes(40)),
        "an EXIF of words": saved(film, "WEBP", exif=b"Exif\0\0 not an EXIF block"),
        "no film": b"",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }


def _cut(rng: random.Random, film: bytes) -> bytes:
    return film[: rng.randrange(len(film) + 1)]


def _flip(rng: random.Random, film: bytes) -> bytes:
    """Some bits."""
    changed = bytearray(film)
    for _ in range(rng.choice((1, 1, 3, 20)) if film else 0):
        changed[rng.randrange(len(film))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_head(rng: random.Random, film: bytes) -> bytes:
    """A byte of the first hundred, where sizes and kinds are."""
    changed = bytearray(film)
    if film:
        changed[rng.randrange(min(len(film), 100))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    return bytes(changed)


def _number(rng: random.Random, film: bytes) -> bytes:
    """An extreme number in place of four bytes."""
    place = rng.randrange(max(1, len(film) - 4))
    number = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65536, len(film)))
    return film[:place] + struct.pack(rng.choice("<>") + "I", number) + film[place + 4 :]


def _repeat(rng: random.Random, film: bytes) -> bytes:
    start = rng.randrange(len(film) + 1)
    return film[:start] + film[start : start + rng.randrange(200)] * 3 + film[start:]


def _drop(rng: random.Random, film: bytes) -> bytes:
    start = rng.randrange(len(film) + 1)
    return film[:start] + film[start + rng.randrange(1, 60) :]


def _break_exif(rng: random.Random, film: bytes) -> bytes:
    """Bytes of the EXIF block, of a profile or of a directory of tags; the check sums of a PNG are mended."""
    names = (b"Exif\0\0", b"eXIf", b"EXIF", b"ICC_PROFILE", b"II*\0", b"MM\0*", b"http://ns.adobe")
    places = [place for name in names if (place := film.find(name)) >= 0]
    if not places:
        return _flip(rng, film)
    changed = bytearray(film)
    start = rng.choice(places)
    for _ in range(rng.choice((1, 2, 8))):
        changed[min(len(film) - 1, start + rng.randrange(4, 80))] = rng.randrange(256)
    return mended(bytes(changed))


def _mend(rng: random.Random, film: bytes) -> bytes:
    """Flipped, with the check sums of a PNG made to fit, so that what is behind them is reached."""
    return mended(_flip(rng, film))


def mended(film: bytes) -> bytes:
    """The check sums of a PNG as they should be; other films as they are."""
    if not film.startswith(b"\x89PNG"):
        return film
    parts, place = [film[:8]], 8
    while place + 12 <= len(film):
        length = int.from_bytes(film[place : place + 4], "big")
        parts.append(chunk(film[place + 4 : place + 8], film[place + 8 : place + 8 + length]))
        place += 12 + length
    return b"".join(parts)


DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _cut, _flip, _flip_head, _number, _repeat, _drop, _break_exif, _break_exif, _mend,
)  # fmt: skip
