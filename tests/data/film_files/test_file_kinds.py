"""What people give for a film: told by its first bytes, named with what to do."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chexphi.data.film_files.file_kinds import HEAD_BYTES, kind_of
from chexphi.data.images import check_image, load_image
from chexphi.data.read import image_errors
from chexphi.schema import Example, InputError


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", b"x")
    return buffer.getvalue()


NIFTI = struct.pack("<i", 348) + bytes(340) + b"n+1\0" + bytes(100)
# Without preamble: group 0008, element 0005, a type told (CS) or implied (only a length).
DICOM_EXPLICIT = b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(200)
DICOM_IMPLICIT = b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100" + bytes(200)
DICOM_META = b"\x02\0\0\0UL\x04\0" + bytes(200)
CASES = [
    (b"", "a.png", "empty (0 bytes)"),
    (bytes(128) + b"DICM" + bytes(50), "a.png", "a DICOM file"),
    (b"anything in its preamble".ljust(128) + b"DICM", "a", "a DICOM file"),
    (DICOM_EXPLICIT, "a.png", "a DICOM file"),
    (DICOM_IMPLICIT, "a.png", "a DICOM file"),
    (DICOM_META, "IM0001", "a DICOM file"),
    (b"\x07\x99nothing known", "a.DCM", "a DICOM file"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a.png", "Git LFS pointer"),
    (b"/annex/objects/SHA256E-s1--0.png\n", "a.png", "git-annex pointer"),
    (b"<!DOCTYPE html>\n<html><body>Sign in</body>", "a.jpg", "a web page (HTML)"),
    (b"\r\n  <HTML><HEAD>", "a.jpg", "a web page (HTML)"),
    (b'<?xml version="1.0"?><svg xmlns="x"/>', "a.png", "an SVG drawing"),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "a.png", "an XML text"),
    (b'{"message": "401 Unauthorized"}', "a.png", "a JSON text"),
    (NIFTI, "a.png", "a NIfTI volume"),
    (gzip.compress(NIFTI, mtime=0), "a.nii.gz", "a compressed file (gzip)"),
    (b"NRRD0004\n", "a.png", "an NRRD volume"),
    (b"ObjectType = Image\nNDims = 2\n", "a.mha", "a MetaImage volume"),
    (saved(np.zeros((4, 4))), "a.png", "a NumPy array"),
    (b"\x89HDF\r\n\x1a\n" + bytes(20), "a.png", "an HDF5 file"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a.jpg", "a HEIC or AVIF photograph"),
    (b"\0\0\0\x18ftypmp42\0\0\0\0", "a.jpg", "a video"),
    (b"%PDF-1.7\n", "a.png", "a PDF"),
    (zipped(), "a.png", "a ZIP archive"),
    (b"\x80\x04\x95", "a.png", "a Python pickle"),
    (b"PAR1" + bytes(8), "a.png", "a Parquet table"),
    (bytes(2000), "a.png", "nothing but zero bytes"),
    (b"\x89PNG\r\n\x1a\n\0\0", "a.png", "an image whose header is damaged"),
    (b"\x89PNG\r\n\x1a\n\0\0", "a.dcm", "an image whose header is damaged"),
    ("Keine Lunge äöü".encode(), "a.png", "a text file"),
    (b"iVBORw0KGgoAAAANSUhEUg", "a.png", "a base64 text"),
    (b"\x07\x99\xff\xfe\x01nothing known", "a.png", "of an unknown kind"),
]


@pytest.mark.parametrize(("content", "name", "kind"), CASES)
def test_the_kind_is_named_and_the_film_refused(tmp_path: Path, content: bytes, name: str, kind: str) -> None:
    found, advice = kind_of(content[:HEAD_BYTES], name)
    assert kind in found
    assert advice
    (tmp_path / name).write_bytes(content)
    example = Example(id="r", images=(name,), question="q", answer=("a",))
    (error,) = image_errors([("data.json, row 3", example)], tmp_path)
    assert str(error).startswith(
        f"data.json, row 3: image '{name}' is not an image that can be read, it is {found}: "
    )
    assert "\n" not in str(error)


@given(st.binary(max_size=HEAD_BYTES), st.sampled_from(["a.png", "a.dcm", "a.nii.gz", "a"]))
def test_any_bytes_have_a_kind(head: bytes, name: str) -> None:
    assert all(kind_of(head, name))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_what_pillow_reads_is_a_film_under_any_name(tmp_path: Path, form: str) -> None:
    Image.linear_gradient("L").save(tmp_path / "a.dcm", form)
    assert load_image("a.dcm", tmp_path).size == (256, 256)


def test_a_dicom_file_beside_a_missing_film_is_named(tmp_path: Path) -> None:
    (tmp_path / "film.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match=r"is missing.*film\.dcm is beside it, a DICOM file: convert it"):
        check_image("film.png", tmp_path)


@pytest.mark.parametrize("ref", ["https://example.org/a.png", "s3://bucket/a.png"])
def test_a_web_address_is_named(tmp_path: Path, ref: str) -> None:
    with pytest.raises(InputError, match="it is a web address, and nothing is downloaded"):
        check_image(ref, tmp_path)


def test_a_text_in_place_of_a_path_is_not_shown(tmp_path: Path) -> None:
    for times in (3, 30):
        with pytest.raises(InputError, match=rf"a text of {23 * times} characters (is|cannot)") as caught:
            check_image("The heart is enlarged. " * times, tmp_path)
        assert "heart" not in str(caught.value)


def test_a_real_dicom_file(shared_data: Path) -> None:
    with pytest.raises(InputError, match="a DICOM file: convert it to a PNG"):
        check_image("RG1_J2KI.dcm", shared_data / "cxr_real" / "dicom")
