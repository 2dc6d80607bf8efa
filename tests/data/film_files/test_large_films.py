"""Films gone through in parts: the same pixels as at once, and a few bytes of memory a pixel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chexphi.data.film_files import window as windows
from chexphi.data.film_files.window import find_window, stretch
from chexphi.data.images import load_image


def film_of(seed: int, *, top: int = 4000) -> NDArray[np.uint16]:
    """A smooth film with noise and a dark border, of 12 bits by default."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:96j, -1:1:80j]
    body = np.exp(-2 * (rows**2 + columns**2)) * top * 0.8 + rng.integers(0, top // 5, (96, 80))
    body[:6] = 0
    return body.astype(np.uint16)


def whole_window(values: NDArray[np.generic]) -> tuple[float, float]:
    """The window, from all values at once."""
    flat = values.ravel()
    if values.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    if not flat.size:
        return 0.0, 0.0
    low, high = flat.min(), flat.max()
    sample = flat[:: max(1, flat.size // windows.SAMPLE_PIXELS) | 1]
    midtones = sample[(sample > low) & (sample < high)]
    if midtones.size < windows.MIN_MIDTONE_SHARE * sample.size:
        return float(low), float(high)
    dark, bright = np.percentile(midtones, windows.FILM_PERCENTILES)
    distance = bright - dark
    if distance > 0 and low < dark - windows.OUTLIER_DISTANCE * distance:
        low = flat[flat >= dark - windows.WINDOW_MARGIN * distance].min()
    if distance > 0 and high > bright + windows.OUTLIER_DISTANCE * distance:
        high = flat[flat <= bright + windows.WINDOW_MARGIN * distance].max()
    return float(low), float(high)


@pytest.mark.parametrize("dtype", [np.uint16, np.dtype(">u2"), np.int32, np.float32])
@pytest.mark.parametrize("seed", range(12))
def test_a_film_gone_through_in_parts_gets_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: np.dtype[np.generic], seed: int
) -> None:
    """As worked on at once; with markers, dead pixels and what is no number at random places."""
    rng = np.random.default_rng(seed)
    film = film_of(seed, top=int(rng.integers(50, 16_000))).astype(dtype)
    for value in rng.choice([0, 65535, 40_000], size=seed % 3):
        film[rng.integers(0, 96, 40), rng.integers(0, 80, 40)] = value
    if film.dtype.kind == "f" and seed % 2:
        film[rng.integers(0, 96, 60), rng.integers(0, 80, 60)] = rng.choice([np.nan, np.inf, -np.inf], 60)
    monkeypatch.setattr("chexphi.data.film_files.window.SAMPLE_PIXELS", int(rng.choice([1 << 20, 700, 50])))
    low, high = whole_window(film)
    numbers = np.nan_to_num(film.astype(np.float64), nan=low, posinf=high, neginf=low)
    wanted = np.round(255 * (numbers - low) / ((high - low) or 1)).clip(0, 255).astype(np.uint8)
    Image.fromarray(film).save(tmp_path / "film.tif")
    for size in (1 << 18, 3000, 77, 1):
        monkeypatch.setattr("chexphi.data.film_files.window.CHUNK_PIXELS", size)
        assert find_window(film) == (low, high)
        assert (stretch(film) == wanted).all()
        assert (np.asarray(load_image("film.tif", tmp_path)) == wanted[..., None]).all()


def test_transparency_in_parts_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    film = Image.fromarray(rng.integers(0, 256, (30, 20, 4), dtype=np.uint8), "RGBA")
    film.save(tmp_path / "film.png")
    wanted = Image.alpha_composite(Image.new("RGBA", film.size, "black"), film).convert("RGB")
    for size in (1 << 18, 77, 1):
        monkeypatch.setattr("chexphi.data.film_files.window.CHUNK_PIXELS", size)
        assert load_image("film.png", tmp_path).tobytes() == wanted.tobytes()


PEAK = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from process_memory import peak_bytes
from chexphi.data.images import load_image
load_image("small", Path(sys.argv[2]))
before = peak_bytes()
load_image("film", Path(sys.argv[2]))
print(peak_bytes() - before)
"""
TESTS = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("kind", ["16 bits", "16 bits, turned", "float", "int", "RGB", "RGBA"])
def test_a_large_film_takes_a_few_bytes_a_pixel(tmp_path: Path, kind: str) -> None:
    """The film as stored (2 or 4), as RGB (4), and a second copy where it is turned or of colour."""
    values = np.tile(film_of(0), (25, 40))
    values[0, :9] = 65535
    options: dict[str, Any] = {"compress_level": 1}
    if kind == "16 bits, turned":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    film = Image.fromarray(values.astype({"float": np.float32, "int": np.int32}.get(kind, np.uint16)))
    if kind in ("RGB", "RGBA"):
        film = Image.fromarray((values >> 8).astype(np.uint8)).convert(kind)
    for name, image in (("film", film), ("small", film.crop((0, 0, 50, 50)))):
        image.save(tmp_path / name, "TIFF" if kind in ("float", "int") else "PNG", **options)
    ended = subprocess.run(
        [sys.executable, "-c", PEAK, str(TESTS), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert 1 < int(ended.stdout) / values.size < 10.5  # 88 million such pixels: 0.9 GB
