"""Sentences and words as the original makes them (`utils/get_reward_data.py`), for `compat="original"`.

Pure Python. The odd rules are on purpose: the published model was rewarded on these sentences.
"""

from __future__ import annotations

import re

_ENDS_WITH_DIGIT, _STARTS_WITH_DIGIT = re.compile(r"\d\Z"), re.compile(r"\d")
_MARK_WORD = re.compile(r"([/,:.!?()])")
"""Only these marks become words. Hyphens, `;`, quotes, `<` and `>` stay in the word."""
MIN_WORDS = 2
"""Sentences with fewer words are dropped."""


def seed_sentences(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """The sentences of a text: (number, words in lower case).

    Line ends are removed without a space, and only a full stop ends a sentence. Dropped sentences have
    numbers, too. Two pieces that are joined at a decimal point have one number.

    >>> seed_sentences("Clear lungs.A\\nnew 1.5 x 2.5 cm mass?")
    [(0, ('clear', 'lungs')), (1, ('anew', '1', '.', '5', 'x', '2')), (2, ('5', 'cm', 'mass', '?'))]
    """
    numbered = enumerate(_rejoin_decimals(text.replace("\n", "").split(".")))
    words_by_number = (
        (number, tuple(_MARK_WORD.sub(r" \1 ", piece).lower().split())) for number, piece in numbered
    )
    return [(number, words) for number, words in words_by_number if len(words) >= MIN_WORDS]


def _rejoin_decimals(pieces: list[str]) -> list[str]:
    """Joins pieces again where the full stop has digits on both sides; never three pieces in a row."""
    glued: list[str] = []
    index = 0
    while index < len(pieces):
        piece, following = pieces[index], pieces[index + 1] if index + 1 < len(pieces) else ""
        if _ENDS_WITH_DIGIT.search(piece) and _STARTS_WITH_DIGIT.match(following):
            piece = f"{piece}.{following}"
            index += 1
        glued.append(piece)
        index += 1
    return glued
