"""How films look, for `data check`: too few grey levels, or bright where there is air.

Both are warnings: the film can be read, but the policy would not see on it what a radiologist sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from chexphi.data.references import shown_reference

MIN_LEVELS = 64
"""Grey levels that a film should have. The lowest count of 107 public films is 121, of 796 thumbnails 119."""
MIN_PERCENTILE_RANGE = 32
"""Grey levels that should lie between its 1st and 99th percentile; the lowest of the same films is 64."""
SIDE = 64
"""Pixels a side to which films are scaled down to see where they are bright."""
DARK_MIDDLE, BRIGHT_CORNERS = -5, 10
"""Grey levels beyond which an inverted film is suspected: see `_is_inverted`."""


@dataclass(frozen=True, slots=True)
class FilmLook:
    """What is measured on one film."""

    levels: int
    """Grey levels that occur."""
    percentile_range: int
    """Grey levels from the 1st to the 99th percentile."""
    inverted: bool

    @property
    def is_poor(self) -> bool:
        """Whether few grey levels are left."""
        return self.levels < MIN_LEVELS or self.percentile_range < MIN_PERCENTILE_RANGE


def measure_look(film: Image.Image) -> FilmLook:
    """Measure a film on its pixels as a policy gets them."""
    grey = film.convert("L")
    counts = np.asarray(grey.histogram())
    cumulative_share = np.cumsum(counts) / counts.sum()
    percentile_1, percentile_99 = np.searchsorted(cumulative_share, [0.01, 0.99])
    return FilmLook(int((counts > 0).sum()), int(percentile_99 - percentile_1), bool(_is_inverted(grey)))


def _is_inverted(grey: Image.Image) -> bool:
    """Whether the spine is darker than the lungs beside it, and the upper corners brighter than the middle.

    On a film as it should be, dense tissue is bright: spine and heart are brighter than the lungs. The air
    beside the neck is dark. Each sign alone fails on rotated, cropped or side views. Both together call none
    of 107 public films and none of 796 thumbnails inverted, and find 89 % and 94 % of their negatives.
    """
    if min(grey.size) < SIDE // 2:
        return False
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    spine, beside = small[16:44, 26:38], np.r_["1", small[16:44, 12:22], small[16:44, 42:52]]
    corners = np.r_["1", small[:6, :6], small[:6, -6:]]
    dark_middle = spine.mean() - beside.mean() < DARK_MIDDLE
    return bool(dark_middle and np.median(corners) - np.median(small[12:52, 12:52]) > BRIGHT_CORNERS)


def film_warnings(looks: Mapping[str, FilmLook]) -> list[str]:
    """Sentences about films that look wrong, by reference."""
    sentences = []
    poor = sorted(ref for ref, film_look in looks.items() if film_look.is_poor)
    if poor:
        name, example = shown_reference(poor[0]), looks[poor[0]]
        sentences.append(
            f"{len(poor)} of {len(looks)} films have few grey levels (first: {name}, {example.levels},"
            f" {example.percentile_range} from the 1st to the 99th percentile): look at them, they may have"
            " been scaled by a marker or a wrong window"
        )
    inverted = sorted(ref for ref, film_look in looks.items() if film_look.inverted and not film_look.is_poor)
    if inverted:
        sentences.append(
            f"{len(inverted)} of {len(looks)} films look inverted, with bright air (first:"
            f" {shown_reference(inverted[0])}): look at them, and write MONOCHROME1 films as their negatives"
        )
    return sentences
