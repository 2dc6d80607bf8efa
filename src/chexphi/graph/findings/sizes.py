"""The size of a finding today, beside the one that it had before. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chexphi.graph.findings.vocabulary import millimetres
from chexphi.graph.types import Mention

_FORMER_BEFORE = re.compile(
    r"\b(?:previously|formerly|earlier|initially|prior|was|were|from|compared (?:with|to)|versus)"
    r"(?: (?:measur\w+|of|about|approximately|approx|around|up to|a|only))*\W*$",
    re.IGNORECASE,
)
_FORMER_AFTER = re.compile(
    r"\W*(?:previously|formerly|earlier|before|on (?:the |an? )?(?:prior|previous|earlier|last))\b"
    r"(?!\s+(?:\w+\s+){0,2}\d)",
    re.IGNORECASE,
)
"""In `2 cm, previously 3 cm` the word is of the next size."""
_REACH = 30
"""Characters before a size that are looked at."""


def present_size(text: str, sizes: Sequence[Mention]) -> tuple[float | None, str | None]:
    """The largest size of today in mm, and the change that a former size beside it tells.

    A size that the text only gives for the past is that of today if no other is given: `a nodule was 3 cm`.

    Args:
        text: All of it.
        sizes: The mentions of the sizes of one finding.
    """
    today: list[float] = []
    former: list[float] = []
    for mention in sizes:
        if size := millimetres(mention.text):
            (former if len(sizes) > 1 and _is_former(text, mention) else today).append(size)
    if not today or not former:
        return max([*today, *former], default=None), None
    present, previous = max(today), max(former)
    if present == previous:
        return present, "unchanged"
    return present, "increased" if present > previous else "decreased"


def _is_former(text: str, mention: Mention) -> bool:
    previous_text = text[max(0, mention.start - _REACH) : mention.start]
    return bool(_FORMER_BEFORE.search(previous_text) or _FORMER_AFTER.match(text, mention.end))
