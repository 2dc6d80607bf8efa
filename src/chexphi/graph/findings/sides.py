"""A finding on both sides that is not the same on both: `moderate right and small left effusions`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.graph.types import Parse

_ANOTHER_SIDE = re.compile(r"[,;&/]|\b(?:and|or|but|while|whereas|with|than|versus)\b", re.IGNORECASE)
"""Between what is said of one side and what is said of the other."""


def details_by_side(
    parse: Parse, words: Sequence[frozenset[str]], phrase: Iterable[int], head: int, vocabulary: Vocabulary
) -> tuple[frozenset[int], ...]:
    """For each side the mentions that are about this side alone; empty if the sides are not told apart.

    What is said once and before both sides is of both: `small right and left effusions`.

    Args:
        parse: The text.
        words: Of each mention.
        phrase: The mentions that qualify or place the finding.
        head: The finding.
        vocabulary: Reads the words.
    """
    sides_in_order, details_in_order = [], []
    for mention_run in _runs(parse, sorted({*phrase, head})):
        details = [at for at in mention_run if at != head and _is_detail(at, parse, words, vocabulary)]
        sides = vocabulary.qualities(frozenset().union(*(words[at] for at in details))).sides
        if len(sides) == 1:
            sides_in_order.append(sides)
            details_in_order.append(frozenset(details))
    if len(details_in_order) != 2 or sides_in_order[0] == sides_in_order[1]:
        return ()
    is_told_apart = any(_tells_more(at, parse, words, vocabulary) for at in details_in_order[1])
    return tuple(details_in_order) if is_told_apart else ()


def _runs(parse: Parse, phrase: Sequence[int]) -> list[list[int]]:
    """The mentions of a phrase in runs, between commas and `and`."""
    runs = [[phrase[0]]]
    for previous, index in pairwise(phrase):
        if _ANOTHER_SIDE.search(parse.text[parse.mentions[previous].end : parse.mentions[index].start]):
            runs.append([])
        runs[-1].append(index)
    return runs


def _is_detail(index: int, parse: Parse, words: Sequence[frozenset[str]], vocabulary: Vocabulary) -> bool:
    """Whether a mention is no structure that both sides share."""
    is_quality = parse.mentions[index].label in ("concept", "size")
    return is_quality or bool(vocabulary.qualities(words[index]).sides)


def _tells_more(index: int, parse: Parse, words: Sequence[frozenset[str]], vocabulary: Vocabulary) -> bool:
    """Whether a mention tells more than a side."""
    qualities = vocabulary.qualities(words[index])
    is_size = parse.mentions[index].label == "size"
    return is_size or any(
        (qualities.zones, qualities.degree, qualities.change, qualities.position, qualities.time)
    )
