"""Warnings about films: few grey levels, bright air. Drawn films, and real ones for false alarms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from chexphi.data.film_looks import MIN_LEVELS, MIN_PERCENTILE_RANGE, film_warnings, measure_look
from chexphi.data.images import load_image


def drawn(side: int = 128, *, noise: int = 12) -> Image.Image:
    """Dark air, a grey body, darker lungs, a bright spine."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    film = np.full((side, side), 15.0)
    film[((columns - 0.5) / 0.45) ** 2 + ((rows - 0.6) / 0.55) ** 2 < 1] = 140
    for middle in (0.28, 0.72):
        film[((columns - middle) / 0.14) ** 2 + ((rows - 0.5) / 0.3) ** 2 < 1] = 70
    film[np.abs(columns - 0.5) < 0.07] += 60 * (rows[np.abs(columns - 0.5) < 0.07] > 0.1)
    return Image.fromarray((film + rng.integers(0, noise * 4, film.shape)).clip(0, 255).astype(np.uint8))


def test_a_film_as_it_should_be() -> None:
    found = measure_look(drawn())
    assert not found.is_poor
    assert not found.inverted
    assert film_warnings({"a.png": found}) == []


def test_a_negative_is_suspected() -> None:
    for film in (drawn(), drawn(600).convert("RGB")):
        found = measure_look(ImageOps.invert(film))
        assert found.inverted
        (warning,) = film_warnings({"a.png": measure_look(drawn()), "b.png": found})
        assert warning.startswith("1 of 2 films look inverted, with bright air (first: 'b.png')")


@pytest.mark.parametrize(
    "change",
    [
        lambda film: film.point(lambda value: value // 18),  # 14 levels, dark
        lambda film: film.point(lambda value: value // 18 * 18),  # 14 levels over the whole range
        lambda film: film.point(lambda value: 100 + value // 16),
        lambda film: Image.new("L", film.size, 90),
        lambda film: film.convert("1"),
    ],
)
def test_few_grey_levels_are_seen(change: object) -> None:
    found = measure_look(change(drawn()))  # type: ignore[operator]
    assert found.levels < MIN_LEVELS or found.percentile_range < MIN_PERCENTILE_RANGE
    (warning,) = film_warnings({"a.png": found})
    assert warning.startswith("1 of 1 films have few grey levels (first: 'a.png'")


def test_a_film_in_its_reference_is_only_measured() -> None:
    ref = "data:image/png;base64," + "A" * 100_000
    grey = measure_look(Image.new("L", (64, 64), 90))
    for found in ({ref: grey}, {ref: measure_look(ImageOps.invert(drawn()))}):
        (warning,) = film_warnings(found)
        assert "a data: URI of 100022 characters" in warning
        assert len(warning) < 400


def films(shared_data: Path) -> Iterator[Path]:
    for folder in ("vqarad", "hannover", "nih", "ccby_notes"):
        paths = (shared_data / "cxr_real" / folder).iterdir()
        yield from sorted(path for path in paths if path.suffix in (".png", ".jpg"))


def test_no_false_alarm_on_public_films_and_most_negatives_are_found(shared_data: Path) -> None:
    opened = [load_image(path.name, path.parent) for path in films(shared_data)]
    assert len(opened) > 50
    assert film_warnings({str(n): measure_look(film) for n, film in enumerate(opened)}) == []
    negatives = sum(measure_look(ImageOps.invert(film)).inverted for film in opened)
    assert negatives > 0.8 * len(opened)
