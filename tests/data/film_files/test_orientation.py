"""Which way up a film is: applied where it can be read, refused where it cannot."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from chexphi.data.images import check_image, film_size, load_image
from chexphi.schema import InputError

FILM = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40), dtype=np.uint8))
MAKER, ORIENTATION, WIDTH = 0x010F, 0x0112, 0x0100
SHORT, LONG, TEXT, RATIONAL = 3, 4, 2, 5


def entry(tag: int, kind: int, count: int, value: int, order: str = "<") -> bytes:
    data = struct.pack(order + "HH", value, 0) if kind == SHORT else struct.pack(order + "I", value)
    return struct.pack(order + "HHI", tag, kind, count) + data


def block(*entries: bytes, count: int | None = None, order: str = "<", start: int = 8) -> bytes:
    """An EXIF block with these tags; `count` and `start` may be other than they should."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    number = struct.pack(order + "H", len(entries) if count is None else count)
    return b"Exif\0\0" + head + number + b"".join(entries) + bytes(4)


TURNED = entry(ORIENTATION, SHORT, 1, 6)
LOST = entry(MAKER, TEXT, 5000, 9999)
READ = {
    "no tag": (block(), 1),
    "the tag": (block(TURNED), 6),
    "the other order": (block(entry(ORIENTATION, SHORT, 1, 6, ">"), order=">"), 6),
    "a long integer": (block(entry(ORIENTATION, LONG, 1, 3)), 3),
    "not known": (block(entry(ORIENTATION, SHORT, 1, 0)), 1),
    "another tag that is lost": (block(LOST, TURNED), 6),
    "of an unknown type": (block(entry(WIDTH, 77, 1, 1), TURNED), 6),
    "cut behind it": (block(TURNED, count=9), 6),
    "no list of more tags": (block(TURNED)[:-4], 6),
    "the first of two": (block(TURNED, entry(ORIENTATION, SHORT, 1, 3)), 6),
    "nothing but its name": (b"Exif\0\0", 1),
}
REFUSED = {
    "a head of zeros": b"Exif\0\0" + bytes(30),
    "a head of words": b"Exif\0\0words and words",
    "cut in its head": block(TURNED)[:11],
    "cut before its tags": block(TURNED)[:14],
    "cut in the tag": block(TURNED)[:24],
    "cut before the tag": block(LOST, count=4)[:-4],
    "tags elsewhere": block(TURNED, start=60_000),
    "a number beyond 8": block(entry(ORIENTATION, SHORT, 1, 9)),
    "two numbers": block(entry(ORIENTATION, SHORT, 2, 6)),
    "a text": block(entry(ORIENTATION, TEXT, 1, 6)),
    "a fraction": block(entry(ORIENTATION, RATIONAL, 1, 8)),
}


def write(folder: Path, suffix: str, exif: bytes) -> str:
    name = f"film.{suffix}"
    FILM.save(folder / name, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    return name


def upright(orientation: int) -> Image.Image:
    """What Pillow makes of a sound film of this orientation."""
    buffer = io.BytesIO()
    FILM.save(buffer, "PNG", exif=block(entry(ORIENTATION, SHORT, 1, orientation)))
    return ImageOps.exif_transpose(Image.open(buffer)).convert("RGB")


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize("case", READ)
def test_an_orientation_that_can_be_read_counts(tmp_path: Path, case: str, suffix: str) -> None:
    exif, orientation = READ[case]
    name = write(tmp_path, suffix, exif)
    film = load_image(name, tmp_path)
    assert film.size == film_size(name, tmp_path) == upright(orientation).size
    if suffix != "jpg":
        assert film.tobytes() == upright(orientation).tobytes()


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize("case", REFUSED)
def test_one_that_cannot_is_refused_by_all(tmp_path: Path, case: str, suffix: str) -> None:
    """Not taken for a film that is stored upright: left and right could be exchanged."""
    name = write(tmp_path, suffix, REFUSED[case])
    for look in (load_image, check_image, film_size):
        with pytest.raises(InputError, match=f"'{name}' has a damaged EXIF block.*save it upright as a PNG"):
            look(name, tmp_path)
    with pytest.raises(InputError, match="a damaged EXIF block"):
        check_image(name, tmp_path, thorough=False)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"big_tiff": True}])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once_and_its_size_is_known(
    tmp_path: Path, orientation: int, options: dict[str, str]
) -> None:
    FILM.save(tmp_path / "film.tif", tiffinfo={ORIENTATION: orientation}, **options)
    film = load_image("film.tif", tmp_path)
    assert film.tobytes() == upright(orientation).tobytes()
    assert film_size("film.tif", tmp_path) == film.size


def test_a_tiff_of_an_impossible_orientation_is_refused(tmp_path: Path) -> None:
    FILM.save(tmp_path / "film.tif", tiffinfo={ORIENTATION: 9})
    with pytest.raises(InputError, match="a damaged EXIF block"):
        load_image("film.tif", tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_the_orientation_of_an_xmp_text_counts_where_exif_has_none(tmp_path: Path, suffix: str) -> None:
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="8"/></x:xmpmeta>'
    if suffix == "png":
        texts = PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", xmp)
        FILM.save(tmp_path / "film.png", pnginfo=texts)
    else:
        options = {"tiffinfo": {700: xmp.encode()}} if suffix == "tif" else {"xmp": xmp.encode()}
        FILM.save(tmp_path / f"film.{suffix}", **options)
    film = load_image(f"film.{suffix}", tmp_path)
    assert film.size == film_size(f"film.{suffix}", tmp_path) == upright(8).size
    if suffix != "jpg":
        assert film.tobytes() == upright(8).tobytes()


def test_a_film_that_was_opened_is_not_turned_again(tmp_path: Path) -> None:
    """A processor of transformers that asks for its orientation finds none, nor anything else."""
    name = write(tmp_path, "jpg", block(TURNED))
    film = load_image(name, tmp_path)
    assert film.info == {}
    assert ImageOps.exif_transpose(film).size == film.size
