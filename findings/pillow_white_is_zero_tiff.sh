#!/bin/sh
# Pillow 13.0.0: the polarity of a TIFF depends on its bit depth and byte order.
#
# In a TIFF with PhotometricInterpretation 0 (WhiteIsZero, as MONOCHROME1 films are exported) the value 0 is
# white. Pillow turns films of 1 and 8 bits round on opening, so that 255 is white as everywhere else. It opens
# little-endian films of 16 bits, and float films, WITHOUT turning them, with no warning: a negative. The same
# film of 16 bits in big-endian order, and one with signed samples, is refused as "cannot identify image file".
# Signed samples of 8 bits (BlackIsZero) are opened as unsigned: -1 becomes 255, brighter than 100.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'END'
import numpy as np
import PIL
import tifffile
from PIL import Image, UnidentifiedImageError

print("Pillow", PIL.__version__)
ramp = np.tile(np.linspace(0, 1, 64), (64, 1))  # stored values rise from left to right


def polarity(dtype: str, scale: float, photometric: str, order: str) -> str:
    values = (ramp * scale) > 0.5 if dtype == "bool" else (ramp * scale).astype(dtype)
    tifffile.imwrite("film.tif", values, photometric=photometric, byteorder=order)
    try:
        film = Image.open("film.tif")
        pixels = np.asarray(film).astype(float)
    except UnidentifiedImageError:
        return "not opened"
    return f"{film.mode}: " + ("turned" if pixels[0, 0] > pixels[0, -1] else "as stored")


seen = {
    (dtype, order): polarity(dtype, scale, "miniswhite", order)
    for dtype, scale in (("bool", 1), ("u1", 255), ("u2", 4000), ("i2", 4000), ("f4", 1))
    for order in "<>"
}
for key, value in seen.items():
    print("WhiteIsZero", *key, value)
assert seen == {
    ("bool", "<"): "1: turned",
    ("bool", ">"): "1: turned",
    ("u1", "<"): "L: turned",
    ("u1", ">"): "L: turned",
    ("u2", "<"): "I;16: as stored",
    ("u2", ">"): "not opened",
    ("i2", "<"): "not opened",
    ("i2", ">"): "not opened",
    ("f4", "<"): "F: as stored",
    ("f4", ">"): "F: as stored",
}, seen

signed = np.array([[-100, -1, 0, 100]] * 4, dtype=np.int8)
tifffile.imwrite("signed.tif", signed, photometric="minisblack")
opened = np.asarray(Image.open("signed.tif"))[0].tolist()
print("signed 8 bits [-100, -1, 0, 100] is opened as", opened)
assert opened == [156, 255, 0, 100], opened
END
