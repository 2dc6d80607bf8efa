"""The statements of a text, each found without reading the text again. Standard library only."""

from __future__ import annotations

import re
from bisect import bisect_right

STOP = re.compile(r"[.;](?!\d)|\n")
"""The end of a statement."""
DENIAL_BEFORE = re.compile(r"\b(?:no|without)(?: (?:evidence|signs?) of)?(?: an?| any)? ?$", re.IGNORECASE)
"""What denies the words after it."""
_NEGATIVE = re.compile(r"\b(?:no|not|without|nor|neither|none|absent|negative)\b", re.IGNORECASE)


class Statements:
    """Where the statements of a text start.

    Args:
        text: All of it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(stop.end() for stop in STOP.finditer(text)), len(text) + 1]
        self._negative: dict[int, bool] = {}

    def number(self, at: int) -> int:
        """The statement that the character at `at` is in, counted from 0."""
        return bisect_right(self._starts, at) - 1

    def is_negative(self, at: int) -> bool:
        """Whether the statement around a character has a word that denies.

        >>> Statements("The lungs are clear. No effusion.").is_negative(25)
        True
        """
        number = self.number(at)
        if number not in self._negative:
            statement = self._text[self._starts[number] : self._starts[number + 1]]
            self._negative[number] = bool(_NEGATIVE.search(statement))
        return self._negative[number]
