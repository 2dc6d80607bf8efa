"""Deep films: their window, their polarity, and what Pillow would read wrongly."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from chexphi.data.film_files.window import find_window, stretch
from chexphi.data.images import check_image, load_image
from chexphi.schema import InputError

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))
"""Dark on the left."""


def tiff(
    path: Path,
    values: NDArray[np.generic],
    *,
    photometric: int,
    order: str = "<",
    bits: int | None = None,
    sample_format: int = 1,
) -> None:
    """An uncompressed grey TIFF of one strip, as its specification has it."""
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    height, width = values.shape[:2]
    if values.dtype == bool:
        data = np.packbits(values, axis=1).tobytes()
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits or values.dtype.itemsize * 8), (259, 3, 1),
        (262, 3, photometric), (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(data)),
        (339, 3, sample_format),
    ]  # fmt: skip
    entries = b"".join(
        struct.pack(order + "HHI", tag, kind, 1)
        + (struct.pack(order + "I", value) if kind == 4 else struct.pack(order + "HH", value, 0))
        for tag, kind, value in tags
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data))
    path.write_bytes(head + data + struct.pack(order + "H", len(tags)) + entries + bytes(4))


def before(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The whole range, from the darkest to the brightest value."""
    numbers = values.astype(np.float64)
    low, high = numbers.min(), numbers.max()
    return np.round(255 * (numbers - low) / max(high - low, 1)).astype(np.uint8)


def film_of(seed: int, *, top: int = 4000) -> NDArray[np.uint16]:
    """A smooth film with noise and a dark border, of 12 bits by default."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:96j, -1:1:80j]
    body = np.exp(-2 * (rows**2 + columns**2)) * top * 0.8 + rng.integers(0, top // 5, (96, 80))
    body[:6] = 0
    return body.astype(np.uint16)


@given(st.integers(0, 999), st.sampled_from([200, 1023, 4095, 20000, 65535]))
def test_an_ordinary_film_keeps_its_pixels(seed: int, top: int) -> None:
    film = film_of(seed, top=top)
    assert (stretch(film) == before(film)).all()


@pytest.mark.parametrize("top", [1000, 4000, 16000])
@pytest.mark.parametrize("value", [65535, 65000, 0])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_markers_and_hot_pixels_change_no_other_pixel(top: int, value: int, size: int) -> None:
    film = film_of(3, top=top) + np.uint16(0 if value else 49000)
    wanted = before(film)
    marked = film.copy()
    marked[40 : 40 + size, 30 : 30 + size] = value
    other = np.ones(film.shape, bool)
    other[40 : 40 + size, 30 : 30 + size] = False
    # Where the marker covered the film's own darkest or brightest value, that is one level off at most.
    difference = np.abs(stretch(marked)[other].astype(int) - wanted[other])
    assert difference.max() <= 2
    assert set(stretch(marked)[~other]) == {255 if value else 0}


def test_the_edges_of_letters_take_few_levels() -> None:
    """A burned-in label with soft edges: values between the film's and the label's own."""
    film = film_of(4)
    label = Image.new("L", film.shape[::-1], 0)
    ImageDraw.Draw(label).text((4, 8), "L", fill=255, font=ImageFont.load_default(18))
    marked = np.maximum(film, np.asarray(label).astype(np.uint16) * 257)
    own = np.asarray(label) == 0
    assert 0.002 < (~own).mean() < 0.03
    assert np.ptp(np.percentile(stretch(marked)[own], [1, 99])) > 100


def test_a_frame_of_another_value_leaves_the_film_its_levels() -> None:
    film = film_of(1)
    film[:, :12] = 65535
    assert np.ptp(np.percentile(stretch(film)[:, 12:], [1, 99])) > 200


@pytest.mark.parametrize(
    "values",
    [
        np.full((8, 8), 900, np.uint16),
        np.array([[0, 65535], [65535, 0]], np.uint16),
        np.where(RAMP > 0.9, 65535, 7).astype(np.uint16),
        np.where(RAMP > 0.9, 65535, np.where(RAMP > 0.5, 100, 0)).astype(np.uint16),
    ],
)
def test_films_of_few_values_keep_the_whole_range(values: NDArray[np.uint16]) -> None:
    assert find_window(values) == (values.min(), values.max())
    assert (stretch(values) == before(values)).all()


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.dtype(">u2"), np.dtype(">f4")])
def test_the_window_is_the_same_for_every_type(dtype: np.dtype[np.generic]) -> None:
    film = film_of(2)
    film[0, 0] = 65535
    assert (stretch(film.astype(dtype)) == stretch(film)).all()


def test_what_is_no_number_is_dark_and_infinity_is_bright() -> None:
    film = film_of(2).astype(np.float32)
    wanted = stretch(film)
    film[10, 10], film[11, 11], film[12, 12] = np.nan, np.inf, -np.inf
    found = stretch(film)
    assert (found[10, 10], found[11, 11], found[12, 12]) == (0, 255, 0)
    same = np.ones(film.shape, bool)
    same[[10, 11, 12], [10, 11, 12]] = False
    assert (found[same] == wanted[same]).all()
    assert stretch(np.full((2, 2), np.nan, np.float32)).max() == 0


def test_a_float_film_below_one_is_stretched_too() -> None:
    assert (stretch((RAMP / 50).astype(np.float32)) == before(RAMP * 1e4)).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [True, False])
@pytest.mark.parametrize(
    ("values", "sample_format"),
    [
        ((RAMP > 0.5), 1),
        ((RAMP * 255).astype(np.uint8), 1),
        ((RAMP * 4095).astype(np.uint16), 1),
        ((RAMP * 65535).astype(np.uint16), 1),
        ((RAMP * 4000 - 1000).astype(np.int16), 2),
        ((RAMP * 4000 - 1000).astype(np.int32), 2),
        (RAMP.astype(np.float32), 3),
    ],
)
def test_a_tiff_is_right_way_round_or_refused(
    tmp_path: Path, values: NDArray[np.generic], sample_format: int, white_is_zero: bool, order: str
) -> None:
    """What its numbers mean decides, however Pillow reads them: never a negative."""
    bits = 1 if values.dtype == bool else None
    tiff(
        tmp_path / "a.tif", values, photometric=int(not white_is_zero), order=order,
        bits=bits, sample_format=sample_format,
    )  # fmt: skip
    # Pillow turns 1 and 8 bits round itself, reads these as they are stored, and no other WhiteIsZero.
    as_stored = values.dtype == np.float32 or (values.dtype == np.uint16 and order == "<")
    if white_is_zero and values.dtype not in (bool, np.uint8) and not as_stored:
        for action in (load_image, check_image):
            with pytest.raises(InputError, match="a TIFF in a form that Pillow cannot read"):
                action("a.tif", tmp_path)
        return
    film = np.asarray(load_image("a.tif", tmp_path))[..., 0].astype(int)
    assert (film[0, 0] > film[0, -1]) == white_is_zero
    assert {film[0, 0], film[0, -1]} == {0, 255}


def test_white_is_zero_of_16_bits_is_read_in_the_usual_order(tmp_path: Path) -> None:
    tiff(tmp_path / "a.tif", (RAMP * 4095).astype(np.uint16), photometric=0)
    found = np.asarray(load_image("a.tif", tmp_path))[..., 0]
    assert (found == 255 - before((RAMP * 4095).astype(np.uint16))).all()


def test_signed_bytes_are_refused(tmp_path: Path) -> None:
    tiff(tmp_path / "a.tif", (RAMP * 200 - 100).astype(np.int8), photometric=1, sample_format=2)
    for action in (load_image, check_image):
        with pytest.raises(InputError, match="signed samples of 8 bits"):
            action("a.tif", tmp_path)


def test_a_film_with_pages_is_refused_unless_they_are_smaller_copies(tmp_path: Path) -> None:
    pages = [Image.linear_gradient("L")] * 2
    pages[0].save(tmp_path / "two.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "two.gif", save_all=True, append_images=[Image.radial_gradient("L")])
    for name in ("two.tif", "two.gif"):
        for action in (load_image, check_image):
            with pytest.raises(InputError, match=f"'{name}' holds more than one page: save each"):
                action(name, tmp_path)
    small = pages[0].resize((32, 32))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(tmp_path / "copy.tif", save_all=True, append_images=[small])
    assert load_image("copy.tif", tmp_path).size == (256, 256)


def png(path: Path, samples: NDArray[np.uint16], colour_type: int) -> None:
    """A PNG of 16 bits; samples: height x width x channels."""
    height, width = samples.shape[:2]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colour_of_16_bits_keeps_its_upper_bits_or_is_refused(
    tmp_path: Path, colour_type: int, channels: int
) -> None:
    for name, top in (("full.png", 65535), ("dark.png", 4095)):
        samples = np.repeat((RAMP * top).astype(np.uint16)[..., None], channels, axis=2)
        if channels in (2, 4):
            samples[..., -1] = 65535  # opaque
        png(tmp_path / name, samples, colour_type)
    wanted = (RAMP * 65535).astype(np.uint16) >> 8
    found = np.asarray(load_image("full.png", tmp_path)).astype(int)
    assert np.abs(found - wanted[..., None]).max() <= 1
    for action in (load_image, check_image):
        with pytest.raises(InputError, match="uses less than a quarter of their range"):
            action("dark.png", tmp_path)


def test_palettes_and_transparency(tmp_path: Path) -> None:
    grey = Image.linear_gradient("L")
    grey.convert("P").save(tmp_path / "palette.png")
    grey.save(tmp_path / "gamma.png", gamma=0.45)
    for name in ("palette.png", "gamma.png"):
        assert (np.asarray(load_image(name, tmp_path))[..., 0] == np.asarray(grey)).all()
    half = Image.merge("LA", (grey, Image.new("L", grey.size, 255)))
    half.putpixel((0, 255), (200, 0))
    half.save(tmp_path / "alpha.png")
    found = np.asarray(load_image("alpha.png", tmp_path))[..., 0]
    assert found[255, 0] == 0
    assert found[255, 1] == 255
