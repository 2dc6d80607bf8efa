"""Which rows of a batch begin alike, and up to where they are read once: a rule over ids, without a model."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
LEAST = 512
"""Tokens that must be saved: a second forward costs about as many (a pass over the weights)."""


class Prefixes(NamedTuple):
    """The prefixes of a batch; each row has one, a row that shares none one of its own."""

    first: list[int]
    """A row that begins with the prefix, of each."""
    lengths: list[int]
    """Tokens of each."""
    place: list[int]
    """For every row its prefix."""

    def widths(self, ids: Sequence[Ids]) -> tuple[int, int]:
        """Tokens of the longest prefix, and of the longest rest of a row."""
        rests = (len(row) - self.lengths[place] for row, place in zip(ids, self.place, strict=True))
        return max(self.lengths), max(rests)


def saves(plain: int, shared: int) -> bool:
    """Whether it is worth a second forward that fewer tokens are read, of `plain` ones only `shared`."""
    return plain - shared >= max(LEAST, plain // 8)


def common_prefixes(
    ids: Sequence[Ids], films: Sequence[Hashable], film_ends: Sequence[int]
) -> Prefixes | None:
    """The prefixes to read before the rest of each row; None where that saves too little.

    Rows share what they have in common if their films are the same and lie within it, and if it is half of
    the longest of them. One token of each row is left to the rest: it is what the logits are read from. A
    row that shares nothing gives the rest as many tokens as there is room for beside the others.

    Args:
        ids: Tokens of each row, (length,), without padding.
        films: What says which films a row has, and in what order.
        film_ends: Tokens of each row up to the end of its last film; 0 without films.
    """
    alike: dict[Hashable, list[int]] = {}
    for row, own in enumerate(films):
        alike.setdefault(own, []).append(row)
    if len(alike) == len(ids) or any(
        len(row) < max(2, end + 1) for row, end in zip(ids, film_ends, strict=True)
    ):
        return None
    groups: list[tuple[list[int], int]] = []
    for rows in alike.values():
        length = _common([ids[row] for row in rows])
        if (
            len(rows) > 1
            and film_ends[rows[0]] <= length
            and 2 * length >= max(len(ids[row]) for row in rows)
        ):
            groups.append((rows, length))
    if not groups:
        return None
    rest = max(len(ids[row]) - length for rows, length in groups for row in rows)
    shared = {row for rows, _ in groups for row in rows}
    for row in set(range(len(ids))) - shared:
        groups.append(([row], max(1, film_ends[row], len(ids[row]) - rest)))
    found = _prefixes(groups, len(ids))
    before, behind = found.widths(ids)
    read = len(found.first) * before + len(ids) * behind
    return found if saves(len(ids) * max(map(len, ids)), read) else None


def _common(rows: Sequence[Ids]) -> int:
    """Tokens with which all rows begin, the last one of the shortest left out."""
    length = min(map(len, rows)) - 1
    block = np.stack([row[:length] for row in rows])
    differs = (block != block[0]).any(0)
    return int(differs.argmax()) if differs.any() else length


def _prefixes(groups: Sequence[tuple[list[int], int]], rows: int) -> Prefixes:
    place = [0] * rows
    for number, (own, _) in enumerate(groups):
        for row in own:
            place[row] = number
    return Prefixes([own[0] for own, _ in groups], [length for _, length in groups], place)
