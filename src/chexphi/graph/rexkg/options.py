"""The options of the neural extractor, checked before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from chexphi import compat as compats
from chexphi.compat import canonical, is_original
from chexphi.schema import InputError

Markers = Literal["unk", "unused"]
Relations = Literal["exact", "approximate", "mixed"]
Pairs = Literal["all", "scheme"]


def check(
    *,
    compat: str = "default",
    markers: str | None = None,
    relations: str = "exact",
    pairs: str = "all",
    **torch_options: Any,
) -> None:
    """Refuse values that `RexkgExtractor` does not know, or that exclude each other.

    `torch_options` (device and type) are judged when the model is loaded.

    Raises:
        InputError: For the first of them.
    """
    _check("compat", canonical(compat), compats.CHOICES)
    _check("markers", markers or "unk", get_args(Markers))
    _check("relations", relations, get_args(Relations))
    _check("pairs", pairs, get_args(Pairs))
    if is_original(compat) and (relations, pairs) != ("exact", "all"):
        raise InputError("compat='original' reads each pair alone: leave relations='exact', pairs='all'")


def _check(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"unknown {name} {value!r}: use {' or '.join(choices)}")
