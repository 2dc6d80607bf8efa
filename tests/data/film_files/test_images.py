from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chexphi.data import images, references
from chexphi.data.film_files import decoders
from chexphi.data.images import check_image, film_size, load_image
from chexphi.data.references import with_suffix
from chexphi.schema import InputError


def encoded(film: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    film.save(buffer, form)
    return buffer.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48), dtype=np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "p10").mkdir(parents=True)
    NOISE.save(folder / "p10" / "a.png")
    NOISE.save(folder / "b.jpg")
    return folder


@pytest.mark.parametrize("ref", ["p10/a.png", "p10/a", "b.jpg", "b", "./p10/../b.jpg"])
def test_films_are_found_with_and_without_suffix(root: Path, ref: str) -> None:
    film = load_image(ref, root)
    assert (film.mode, film.size) == ("RGB", (48, 64))
    check_image(ref, root)
    check_image(ref, root, thorough=False)


def test_an_absolute_path_inside_the_root_is_allowed(root: Path) -> None:
    assert load_image(str(root / "b.jpg"), root).size == (48, 64)


def test_an_id_with_dots_keeps_them(root: Path) -> None:
    NOISE.save(root / "1.2.840.7.png")
    assert with_suffix("1.2.840.7", root) == "1.2.840.7.png"
    assert with_suffix("b", root) == "b.jpg"
    assert with_suffix("absent", root) == "absent.png"
    assert with_suffix("scan.tif", root) == "scan.tif"
    assert with_suffix("scan.dcm", root) == "scan.dcm"


@pytest.mark.parametrize("ref", ["../secret.png", "p10/../../secret.png", "link.png", "linked/secret.png"])
def test_what_lies_outside_the_root_is_refused(root: Path, ref: str) -> None:
    NOISE.save(root.parent / "secret.png")
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "linked").symlink_to(root.parent, target_is_directory=True)
    for action in (load_image, check_image):
        with pytest.raises(InputError, match=r"outside the image root"):
            action(ref, root)


def test_an_absolute_path_out_of_the_root_is_refused(root: Path) -> None:
    NOISE.save(root.parent / "images2.png")
    for ref in ("/etc/hostname", str(root.parent / "images2.png"), str(root) + "2.png"):
        with pytest.raises(InputError, match="outside the image root"):
            check_image(ref, root)


def test_a_root_that_is_a_link_itself_is_fine(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root, target_is_directory=True)
    check_image("b.jpg", link)


def broken(root: Path, case: str) -> str:
    png, jpeg = encoded(NOISE), encoded(NOISE, "JPEG")
    content = {
        "empty.png": b"",
        "text.png": b"not an image",
        "cut.png": png[: len(png) // 2],
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "end.png": png[:-8],
    }[case]
    (root / case).write_bytes(content)
    return case


@pytest.mark.parametrize("thorough", [True, False])
@pytest.mark.parametrize("case", ["empty.png", "text.png", "cut.png", "cut.jpg", "end.png"])
def test_damaged_films_are_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, case: str, thorough: bool
) -> None:
    monkeypatch.setattr(images, "SMALL_BYTES", 0)
    ref = broken(root, case)
    with pytest.raises(InputError, match=f"image '{case}' is (truncated|not an image)"):
        check_image(ref, root, thorough=thorough)
    if case != "end.png":  # has every pixel
        with pytest.raises(InputError, match=case):
            load_image(ref, root)


def test_missing_films_and_folders_are_named(root: Path) -> None:
    with pytest.raises(InputError, match=r"'c\.png' is missing under the image root"):
        check_image("c.png", root)
    (root / "d.png").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_image("d.png", root)
    with pytest.raises(InputError):
        check_image("a\0b.png", root)


def test_padding_after_the_end_mark_is_no_damage(root: Path) -> None:
    (root / "padded.jpg").write_bytes(encoded(NOISE, "JPEG") + b"\0" * 20 + b"camera" * 30)
    check_image("padded.jpg", root, thorough=False)


def test_sixteen_bits_are_stretched_not_clipped(root: Path) -> None:
    ramp = np.linspace(100, 4095, 64 * 48).reshape(64, 48).astype(np.uint16)
    Image.fromarray(ramp).save(root / "deep.png")
    Image.fromarray(np.full((4, 4), 900, dtype=np.uint16)).save(root / "flat.png")
    film = np.asarray(load_image("deep.png", root))
    assert film.dtype == np.uint8
    assert (film.min(), film.max()) == (0, 255)
    assert abs(film.mean() - 127.5) < 2
    assert np.asarray(load_image("flat.png", root)).max() == 0


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "F", "I"])
def test_every_mode_becomes_rgb(root: Path, mode: str) -> None:
    form = "tiff" if mode in ("F", "I", "CMYK") else "png"
    NOISE.convert("RGB").convert("L").convert(mode).save(root / f"x.{form}")
    assert load_image(f"x.{form}", root).mode == "RGB"


def test_grey_levels_survive(root: Path) -> None:
    film = np.asarray(load_image("p10/a.png", root))
    assert (film == np.asarray(NOISE)[..., None]).all()


@pytest.mark.parametrize(("form", "name"), [("PNG", "png"), ("JPEG", "jpeg"), ("JPEG", "jpg")])
def test_a_data_uri_is_a_film(tmp_path: Path, form: str, name: str) -> None:
    ref = f"data:image/{name};base64," + base64.b64encode(encoded(NOISE, form)).decode()
    check_image(ref, tmp_path)
    assert load_image(ref, tmp_path).size == (48, 64)


@pytest.mark.parametrize(
    "ref",
    [
        "data:text/plain;base64,aGk=",  # no image
        "data:image/png,raw",  # no base64
        "data:image/png;base64,!!!",  # broken base64
        "data:image/png;base64,aGVsbG8=",  # base64 of something else
        "data:image/png;base64," + base64.b64encode(encoded(NOISE)[:300]).decode(),  # truncated
    ],
)
def test_a_bad_data_uri_is_refused_without_being_shown(tmp_path: Path, ref: str) -> None:
    with pytest.raises(InputError, match="a data: URI") as caught:
        check_image(ref, tmp_path)
    assert ref not in str(caught.value)


def test_a_data_uri_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MAX_URI_CHARACTERS", 100)
    with pytest.raises(InputError, match="longer than 100"):
        load_image("data:image/png;base64," + "A" * 200, tmp_path)


def test_a_file_is_limited(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MAX_FILE_BYTES", 100)
    for look in (load_image, check_image, film_size):
        with pytest.raises(InputError, match=r"'b\.jpg' has more than 100 bytes"):
            look("b.jpg", root)


def test_our_own_bound_stays_where_a_library_lifts_that_of_pillow(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "MAX_PIXELS", 64 * 48 - 1)
    for bound in (None, 10**12):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", bound)
        with pytest.raises(InputError, match="more than 3071 pixels"):
            load_image("b.jpg", root)


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("new", "new.png"),
        ("p10/a", "p10/a.png"),
        ("film.v2", "film.v2.png"),
        ("film.TIFF", "film.TIFF"),
        ("film.eps", "film.eps"),
        ("film.dcm", "film.dcm"),
    ],
)
def test_a_suffix_is_added_to_names_without_one(root: Path, ref: str, name: str) -> None:
    assert with_suffix(ref, root) == name


@pytest.mark.parametrize("ref", ["", ".", "/", "a" * 5000, "\ud800.png", "a\0.png", "x/" * 3000])
def test_odd_references_get_a_short_sentence(root: Path, ref: str) -> None:
    for look in (load_image, check_image, film_size):
        with pytest.raises(InputError) as caught:
            look(ref, root)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("limit", [64 * 48 - 1, 64 * 48 // 3])  # Pillow warns, Pillow raises
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_many_pixels_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match=f"more than {limit} pixels"):
        check_image("b.jpg", root)
