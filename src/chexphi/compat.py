"""The choice between our behaviour and the original code's: `compat`. Standard library only.

`original` does as the original code does, faults included. `seed`, the earlier spelling, means the same.
"""

from __future__ import annotations

from typing import Literal

Compat = Literal["default", "original", "seed"]
CHOICES = ("default", "original")


def canonical(compat: str) -> str:
    """The documented spelling of a choice; any other text as it is.

    >>> canonical("seed"), canonical("default")
    ('original', 'default')
    """
    return "original" if compat == "seed" else compat


def is_original(compat: str) -> bool:
    """Whether a choice, in either spelling, is the original's behaviour."""
    return canonical(compat) == "original"
