"""What a file is that was given as a film and is not an image that can be read: told by its first bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_BYTES = 1024
"""Bytes of a file's beginning that `kind_of` needs."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that people give in place of a film."""

    name: str
    """The words after "it is": `a DICOM file`."""
    advice: str
    start: bytes = rb"(?!)"
    """Regular expression that the first bytes match."""
    suffixes: tuple[str, ...] = ()
    """Endings of names that tell the kind where the bytes do not."""


_TO_PNG = "save the film as a PNG"
_FETCH_AGAIN = "fetch the film again"
KINDS = (
    FileKind("empty (0 bytes)", _FETCH_AGAIN, rb"\A\Z"),
    FileKind(
        "a DICOM file",
        "convert it to a PNG first, with pydicom (apply_voi_lut, and the negative of a MONOCHROME1 film) or"
        " DCMTK's dcmj2pnm; docs/formats.md, section Films, has the lines",
        # With its preamble, or without: then the first element is of group 2 or 8, its type given or implied.
        rb"(?s).{128}DICM|[\x02\x08]\0[\0-\x20]\0(?:UL|UI|CS|DA|OB|SH|..\0\0)",
        (".dcm", ".dicom", ".dic", ".ima"),
    ),
    FileKind(
        "a Git LFS pointer, not the film itself",
        "fetch the film with `git lfs pull`",
        rb"version https://git-lfs",
    ),
    FileKind(
        "a git-annex pointer, not the film itself", "fetch the film with `git annex get`", rb"/annex/objects/"
    ),
    FileKind(
        "a web page (HTML), as servers send in place of a file",
        f"{_FETCH_AGAIN}, signed in where that is needed",
        rb"(?is)\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body)\b",
    ),
    FileKind("an SVG drawing", _TO_PNG, rb"(?is)\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<svg\b"),
    FileKind("an XML text, as servers send in place of a file", _FETCH_AGAIN, rb"\s*<(?:\?xml|Error)\b"),
    FileKind("a JSON text", f"name the film instead, or {_FETCH_AGAIN}", rb"\s*[\[{]\s*[\"{\]}\[]"),
    FileKind(
        "a NIfTI volume", f"{_TO_PNG}, for example with nibabel", rb"(?s).{344}n(?:\+1|i1)\0", (".nii",)
    ),
    FileKind("a compressed NIfTI volume", f"{_TO_PNG}, for example with nibabel", suffixes=(".nii.gz",)),
    FileKind("an NRRD volume", _TO_PNG, rb"NRRD", (".nrrd",)),
    FileKind("a MetaImage volume", _TO_PNG, rb"ObjectType\s*=|NDims\s*=", (".mha", ".mhd")),
    FileKind("a NumPy array", f"{_TO_PNG}: Image.fromarray(numpy.load(FILE))", rb"\x93NUMPY", (".npy",)),
    FileKind("an HDF5 file", _TO_PNG, rb"\x89HDF\r\n\x1a\n", (".h5", ".hdf5")),
    FileKind("a MATLAB file", _TO_PNG, rb"MATLAB ", (".mat",)),
    FileKind("a Parquet table", "write its films to files", rb"PAR1"),
    FileKind(
        "a HEIC or AVIF photograph",
        _TO_PNG,
        rb"(?s).{4}ftyp(?:hei[cxms]|hev[cx]|mif1|msf1|avi[fs])",
        (".heic", ".heif", ".avif"),
    ),
    FileKind("a PostScript drawing (EPS)", _TO_PNG, rb"\s*%!PS|\xc5\xd0\xd3\xc6", (".eps", ".ps")),
    FileKind("a Windows metafile", _TO_PNG, rb"(?s)\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", (".wmf", ".emf")),
    FileKind("a Photoshop file", _TO_PNG, rb"8BPS\0[\x01\x02]", (".psd", ".psb")),
    FileKind(
        "a PNM picture (PGM, PPM)",
        _TO_PNG,
        rb"P[1-6]\s+[#\d]|P7\n|P[Ff]\n",
        (".pgm", ".ppm", ".pbm", ".pnm", ".pfm"),
    ),
    FileKind("a FITS image", _TO_PNG, rb"SIMPLE  =", (".fits", ".fit")),
    FileKind("an icon", _TO_PNG, rb"(?s)\0\0[\x01\x02]\0[^\0]\0|icns", (".ico", ".cur", ".icns")),
    FileKind(
        "an image of a format that is seldom used",
        _TO_PNG,
        rb"qoif|DDS |\x01\xda[\0\x01][\x01\x02]|\x59\xa6\x6a\x95|\x0a[\0-\x05]\x01[\x01\x02\x04\x08]",
        (".tga", ".pcx", ".dcx", ".dds", ".qoi", ".sgi", ".ras", ".xbm", ".xpm", ".im", ".msp", ".dib"),
    ),
    FileKind("a video", "save one picture of it as a PNG", rb"(?s).{4}ftyp|RIFF.{4}AVI |\x1aE\xdf\xa3"),
    FileKind("a PDF", "save the film in it as a PNG", rb"%PDF"),
    FileKind(
        "a JPEG-LS or JPEG XL file", _TO_PNG, rb"\xff\xd8\xff\xf7|\xff\x0a|\0\0\0\x0cJXL ", (".jls", ".jxl")
    ),
    FileKind(
        "a TIFF in a form that Pillow cannot read", "save it as a PNG of 8 or 16 bits", rb"II[*+]\0|MM\0[*+]"
    ),
    FileKind("a raw photograph", _TO_PNG, rb"IIRO|IIU\0|FUJIFILMCCD-RAW"),
    FileKind("a ZIP archive (.npz and .pt are, too)", "unpack it", rb"PK\x03\x04|PK\x05\x06"),
    FileKind("a compressed file (gzip)", "unpack it", rb"\x1f\x8b"),
    FileKind("a compressed file", "unpack it", rb"BZh|\xfd7zXZ\0|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd"),
    FileKind("a tar archive", "unpack it", rb"(?s).{257}ustar"),
    FileKind("a Python pickle", _TO_PNG, rb"\x80[\x02-\x05]"),
    FileKind("a base64 text", "decode it into a file", rb"data:image/|iVBORw0KGgo|/9j/4"),
)
SUFFIXES = tuple(suffix for kind in KINDS for suffix in kind.suffixes)
_DAMAGED = re.compile(rb"(?s)\x89PNG|\xff\xd8\xff|GIF8|BM|\0\0\0\x0cjP  |\xff\x4f\xff\x51|RIFF.{4}WEBP")
"""First bytes of images that are read here; if such a file reaches `kind_of`, its header is damaged."""


def kind_of(head: bytes, name: str) -> tuple[str, str]:
    """What a file is, as the words after "it is", and what to do.

    Args:
        head: Its first bytes, at most `HEAD_BYTES`.
        name: Its name, which tells the kind where the bytes do not.

    >>> kind_of(b"", "a.png")[0]
    'empty (0 bytes)'
    """
    kind_found = next((kind for kind in KINDS if re.match(kind.start, head)), None)
    if kind_found is None and not _DAMAGED.match(head):
        kind_found = next((kind for kind in KINDS if name.lower().endswith(kind.suffixes or ("\0",))), None)
    if kind_found is not None:
        return kind_found.name, kind_found.advice
    if head and not head.strip(b"\0"):
        return "nothing but zero bytes", _FETCH_AGAIN
    if _DAMAGED.match(head):
        return "an image whose header is damaged", "copy it again from its source"
    return ("a text file" if _is_text(head) else "of an unknown kind"), "replace it by a PNG or JPEG"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # unless a letter is cut at the end of the head
            return False
        text = head[: error.start].decode()
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)
