"""Normalise and compare short answers; shared by the reward and the evaluation."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

Match = Literal["exact", "f1", "any", "substring"]
MATCHES: tuple[Match, ...] = ("exact", "f1", "any", "substring")

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_SEPARATORS = re.compile(r"[,;\n]|\band\b")
# A point or comma between digits belongs to the number ("1.5 cm").
_PUNCTUATION = re.compile(r"(?<!\d)[^\w\s]|[^\w\s](?!\d)")


@functools.lru_cache(maxsize=4096)  # labels come again with every completion
def normalize(label: str) -> str:
    """Fold case, Unicode forms, punctuation, articles and white space; numbers keep their point.

    >>> normalize("The  left lung.")
    'left lung'
    """
    text = unicodedata.normalize("NFKC", label).casefold()
    text = _PUNCTUATION.sub(" ", text)
    return " ".join(_ARTICLES.sub(" ", text).split())


def labels(answer: str | Iterable[str]) -> frozenset[str]:
    """The set of normalised labels in a list, or in one text split at commas and "and"."""
    parts = [answer] if isinstance(answer, str) else answer
    split = (item for part in parts for item in _SEPARATORS.split(part.casefold()))
    return frozenset(label for item in split if (label := normalize(item)))


def score(predicted: str | Sequence[str], gold: str | Sequence[str], match: Match = "exact") -> float:
    """Compare an answer with the reference.

    Args:
        predicted: The parsed answer; for `substring` the whole response.
        gold: The reference labels.
        match: `exact` (same set of labels), `f1` (of the two sets), `any` (one label in common:
            the original's reward), `substring` (a label occurs anywhere in the text: the
            original's evaluation; kept for comparison only, "no" is found in "normal").

    Returns:
        A value in [0, 1]. An empty reference never counts as answered.

    Raises:
        ValueError: If `match` is unknown.
    """
    if match == "substring":
        texts = [gold] if isinstance(gold, str) else gold
        response = predicted if isinstance(predicted, str) else " ".join(predicted)
        return float(any(text.strip() and text.lower() in response.lower() for text in texts))
    said, wanted = labels(predicted), labels(gold)
    common = len(said & wanted)
    if match == "exact":
        return float(bool(wanted) and said == wanted)
    if match == "f1":
        return 2 * common / (len(said) + len(wanted)) if wanted else 0.0
    if match == "any":
        return float(common > 0)
    raise ValueError(f"unknown match {match!r}: use one of {', '.join(MATCHES)}")
