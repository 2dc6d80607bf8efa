"""What a control shows in place of a film."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from chexphi.data.images import film_size, load_image
from chexphi.evaluation.film_controls.names import BLANK, FLIP, NOISE

GREY = 128
OpenFilm = Callable[[str, Path], Image.Image]
"""A reference and the image root -> 8-bit RGB."""


def blank_film(ref: str, root: Path) -> Image.Image:
    """A grey film of the size of another; so the prompt is as long as with that one.

    Raises:
        InputError: As `film_size`, for the film whose size it has.
    """
    return Image.new("RGB", film_size(ref, root), (GREY, GREY, GREY))


def mirrored_film(ref: str, root: Path) -> Image.Image:
    """The film with its sides exchanged: for this control alone, since a side is part of what a film says.

    Raises:
        InputError: As `load_image`.
    """
    return ImageOps.mirror(load_image(ref, root))


def noise_film(ref: str, root: Path, *, seed: int = 0) -> Image.Image:
    """Grey noise of the size of a film, the same for the same reference and seed.

    Raises:
        InputError: As `film_size`.
    """
    width, height = film_size(ref, root)
    digest = hashlib.sha256(f"{seed} {ref}".encode("utf-8", "surrogatepass")).digest()
    levels = np.random.default_rng(list(digest)).integers(0, 256, (height, width), dtype=np.uint8)
    return Image.fromarray(levels).convert("RGB")


def picture_of(control: str, *, seed: int) -> OpenFilm:
    """How a control opens a film; one that shows the films of other examples opens them as they are."""
    pictures: dict[str, OpenFilm] = {
        BLANK: blank_film,
        FLIP: mirrored_film,
        NOISE: functools.partial(noise_film, seed=seed),
    }
    return pictures.get(control, load_image)
