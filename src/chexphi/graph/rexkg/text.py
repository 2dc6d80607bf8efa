"""Sentences and words as the original cuts them (`utils/get_reward_data.py`), for `compat="original"`.

Pure Python. What is odd here is odd on purpose: the published weights were rewarded on these sentences.
"""

from __future__ import annotations

import re

_ENDS_WITH_DIGIT, _STARTS_WITH_DIGIT = re.compile(r"\d\Z"), re.compile(r"\d")
_MARK = re.compile(r"([/,:.!?()])")
"""The only marks that are words of their own; hyphens, `;`, quotes, `<` and `>` stay in the word."""
MIN_WORDS = 2
"""Shorter sentences are dropped."""


def seed_sentences(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """The sentences of a text: (number, words in lower case).

    Line ends vanish without a space, a sentence ends at a full stop only. Numbers count dropped sentences,
    and a pair glued at its decimal point as one.

    >>> seed_sentences("Clear lungs.A\\nnew 1.5 x 2.5 cm mass?")
    [(0, ('clear', 'lungs')), (1, ('anew', '1', '.', '5', 'x', '2')), (2, ('5', 'cm', 'mass', '?'))]
    """
    numbered = enumerate(_glued(text.replace("\n", "").split(".")))
    cut = ((number, tuple(_MARK.sub(r" \1 ", part).lower().split())) for number, part in numbered)
    return [(number, words) for number, words in cut if len(words) >= MIN_WORDS]


def _glued(parts: list[str]) -> list[str]:
    """Parts at a full stop, put together again where digits stand on both sides; never three in a row."""
    glued: list[str] = []
    at = 0
    while at < len(parts):
        part, following = parts[at], parts[at + 1] if at + 1 < len(parts) else ""
        if _ENDS_WITH_DIGIT.search(part) and _STARTS_WITH_DIGIT.match(following):
            part = f"{part}.{following}"
            at += 1
        glued.append(part)
        at += 1
    return glued
