"""The sizes of films that a policy's processor may have; no torch is needed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from chexphi.files import read_object
from chexphi.schema import InputError, shown

MAX_CROPS = 36
"""The largest `dynamic_hd`, that of the published processor: the model has not seen more crops of a film."""
MAX_PIXELS = 1 << 26
"""Of a resized film; the published processors go up to 2**24."""
PREPARATION = ("processor_config.json", "preprocessor_config.json")


def check_crops(dynamic_hd: Any) -> None:
    """Refuse a number of crops that the model was not trained on; natively, 0 and less count as 1.

    Raises:
        InputError: If it is not a whole number from 1 to `MAX_CROPS`.
    """
    if type(dynamic_hd) is not int or not 1 <= dynamic_hd <= MAX_CROPS:
        raise InputError(
            f"dynamic_hd is {dynamic_hd!r}: give the most crops of a film, a number from 1 to {MAX_CROPS}"
        )


def check_films(folder: Path) -> None:
    """Refuse a size of films that no processor can produce; nothing is loaded.

    Raises:
        InputError: For the first one.
    """
    for path in (folder / name for name in PREPARATION):
        content = read_object(path) if path.is_file() else {}
        for settings in (content, content.get("image_processor")):
            size = settings.get("size") if isinstance(settings, dict) else None
            for name, value in (size if isinstance(size, dict) else {"size": size}).items():
                _check_side(path, name, value)


def _check_side(path: Path, name: str, value: Any) -> None:
    # Qwen's longest_edge and shortest_edge are numbers of pixels in the whole film
    limit = MAX_PIXELS if name.endswith("_edge") else math.isqrt(MAX_PIXELS)
    if value is not None and (type(value) is not int or not 1 <= value <= limit):
        raise InputError(
            f"{path}: the size of a film, {name}, is {shown(value)}: use a number from 1 to {limit}"
        )
