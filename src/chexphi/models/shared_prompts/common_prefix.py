"""Which rows of a batch begin alike, and how much of them is read once: a rule over ids, without a model."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
MIN_SAVED_TOKENS = 512
"""Tokens that must be saved: a second forward costs about as many (a pass over the weights)."""


class Prefixes(NamedTuple):
    """The prefixes of a batch. Each row has one; a row that shares nothing has a prefix of its own."""

    first_rows: list[int]
    """Of each prefix, a row that begins with it."""
    lengths: list[int]
    """Tokens of each prefix."""
    prefix_of_row: list[int]
    """The number of each row's prefix."""

    def widths(self, ids_by_row: Sequence[Ids]) -> tuple[int, int]:
        """Tokens of the longest prefix, and of the longest remainder of a row."""
        remainders = (
            len(ids) - self.lengths[prefix]
            for ids, prefix in zip(ids_by_row, self.prefix_of_row, strict=True)
        )
        return max(self.lengths), max(remainders)


class _Group(NamedTuple):
    """Rows that share a prefix."""

    rows: list[int]
    length: int
    """Tokens of the prefix."""


def saves_enough(plain_tokens: int, shared_tokens: int) -> bool:
    """Whether reading `shared_tokens` instead of `plain_tokens` is worth a second forward."""
    return plain_tokens - shared_tokens >= max(MIN_SAVED_TOKENS, plain_tokens // 8)


def common_prefixes(
    ids_by_row: Sequence[Ids], films_by_row: Sequence[Hashable], film_ends: Sequence[int]
) -> Prefixes | None:
    """The prefixes to read before the remainder of each row; None where that saves too little.

    Rows share what they have in common if their films are the same and lie within it, and if it is half of
    the longest of them. One token of each row is left to the remainder, because the logits are read from it.
    A row that shares nothing gets a prefix too: its remainder has as many tokens as the longest other one.

    Args:
        ids_by_row: Tokens of each row, (length,), without padding.
        films_by_row: A key for the films of each row and their order.
        film_ends: Tokens of each row up to the end of its last film; 0 without films.
    """
    rows_by_films: dict[Hashable, list[int]] = {}
    for row, films in enumerate(films_by_row):
        rows_by_films.setdefault(films, []).append(row)
    if len(rows_by_films) == len(ids_by_row) or any(
        len(ids) < max(2, end + 1) for ids, end in zip(ids_by_row, film_ends, strict=True)
    ):
        return None
    groups = _shared_groups(ids_by_row, list(rows_by_films.values()), film_ends)
    if not groups:
        return None
    longest_remainder = max(len(ids_by_row[row]) - length for rows, length in groups for row in rows)
    sharing_rows = {row for rows, _ in groups for row in rows}
    for row in set(range(len(ids_by_row))) - sharing_rows:
        length = max(1, film_ends[row], len(ids_by_row[row]) - longest_remainder)
        groups.append(_Group([row], length))
    prefixes = _prefixes_of(groups, len(ids_by_row))
    prefix_width, remainder_width = prefixes.widths(ids_by_row)
    shared_tokens = len(prefixes.first_rows) * prefix_width + len(ids_by_row) * remainder_width
    plain_tokens = len(ids_by_row) * max(map(len, ids_by_row))
    return prefixes if saves_enough(plain_tokens, shared_tokens) else None


def _shared_groups(
    ids_by_row: Sequence[Ids], rows_with_same_films: Sequence[list[int]], film_ends: Sequence[int]
) -> list[_Group]:
    """The groups of rows that share enough of their beginning."""
    groups = []
    for rows in rows_with_same_films:
        length = _common_length([ids_by_row[row] for row in rows])
        if (
            len(rows) > 1
            and film_ends[rows[0]] <= length
            and 2 * length >= max(len(ids_by_row[row]) for row in rows)
        ):
            groups.append(_Group(rows, length))
    return groups


def _common_length(ids_by_row: Sequence[Ids]) -> int:
    """Tokens with which all rows begin; the last token of the shortest row does not count."""
    length = min(map(len, ids_by_row)) - 1
    block = np.stack([ids[:length] for ids in ids_by_row])
    differs = (block != block[0]).any(0)
    return int(differs.argmax()) if differs.any() else length


def _prefixes_of(groups: Sequence[_Group], row_count: int) -> Prefixes:
    prefix_of_row = [0] * row_count
    for number, group in enumerate(groups):
        for row in group.rows:
            prefix_of_row[row] = number
    return Prefixes([group.rows[0] for group in groups], [group.length for group in groups], prefix_of_row)
