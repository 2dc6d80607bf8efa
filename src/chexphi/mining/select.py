"""Choose what to train on from a scored pool: seeded, balanced over question types, nested in size.

A smaller draw is the beginning of a larger one with the same seed, so sizes can be compared. The order of the
pool does not matter. The original draws without a seed and in proportion to the pool, so rare types vanish,
and it fails when it needs more rows than there are.
"""

from __future__ import annotations

import logging
import random as randomness
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import chain

from chexphi.mining.scored_row import ScoredRow, has_wrong_reason, is_hard
from chexphi.number_text import counted
from chexphi.schema import InputError

logger = logging.getLogger(__name__)


def _shuffled(rows: Sequence[ScoredRow], seed: int, salt: str) -> list[ScoredRow]:
    """The rows in an order that depends only on their ids, the seed and the salt."""
    order = sorted(rows, key=lambda row: row.id)
    randomness.Random(f"{seed}/{salt}").shuffle(order)
    return order


def _in_random_order(rows: Sequence[ScoredRow], seed: int) -> list[ScoredRow]:
    return _shuffled(rows, seed, "")


def _balanced(rows: Sequence[ScoredRow], seed: int) -> list[ScoredRow]:
    """All rows in rounds; a round takes one row of each question type that has one left.

    Any beginning of this order has equal shares of the types, to within one row, until a type runs out. The
    order within a round is random, so that no type always gets the extra row.
    """
    by_type: dict[str, list[ScoredRow]] = defaultdict(list)
    for row in rows:
        by_type[row.question_type].append(row)
    shuffled = [_shuffled(by_type[name], seed, f"type {name}") for name in sorted(by_type)]
    longest = max(map(len, shuffled), default=0)
    rounds = (
        [group[round_number] for group in shuffled if round_number < len(group)]
        for round_number in range(longest)
    )
    return list(
        chain.from_iterable(
            _shuffled(row, seed, f"round {round_number}") for round_number, row in enumerate(rounds)
        )
    )


def _first_rows(order: Sequence[ScoredRow], number: int) -> list[ScoredRow]:
    if number < 1:
        raise InputError(f"cannot draw {number} examples: ask for at least 1")
    if not order:
        raise InputError(
            "there is nothing to draw from: the pool is empty, or every example in it is always right"
        )
    ids = {row.id for row in order}
    if len(ids) < len(order):
        raise InputError("the scored pool holds an id twice: score it again with unique ids")
    if number > len(order):
        logger.warning("%s wanted, %d available: all are used", counted(number, "example"), len(order))
    return list(order[:number])


def _hard_first(
    rows: Sequence[ScoredRow], seed: int, order: Callable[[Sequence[ScoredRow], int], list[ScoredRow]]
) -> list[ScoredRow]:
    """Hard rows, then rows that are never right; rows that are always right are left out."""
    hard = [row for row in rows if is_hard(row)]
    unsolved = [row for row in rows if not is_hard(row) and row.accuracy < 1]
    return order(hard, seed) + order(unsolved, seed)


def uniform(rows: Sequence[ScoredRow], number: int, *, seed: int) -> list[ScoredRow]:
    """Equal shares of the question types, whether or not the policy answers them right.

    Args:
        rows: The scored pool, in any order.
        number: How many rows. If there are fewer, all are used, with a warning.
        seed: The same seed and pool give the same rows; a smaller number gives the first of them.

    Raises:
        InputError: If the pool is empty, an id occurs twice or `number` is below 1.
    """
    return _first_rows(_balanced(rows, seed), number)


def hard_uniform(rows: Sequence[ScoredRow], number: int, *, seed: int) -> list[ScoredRow]:
    """Equal shares of the question types among the hard rows (`is_hard`).

    If there are too few, rows that are never right follow. Rows that are always right are never used.
    Arguments and errors are those of `uniform`.
    """
    return _first_rows(_hard_first(rows, seed, _balanced), number)


def hard_reasoning(rows: Sequence[ScoredRow], number: int, *, seed: int) -> list[ScoredRow]:
    """Equal shares of the question types among the rows right for the wrong reason (`has_wrong_reason`).

    If there are too few, those that `hard_uniform` gives follow, without the ones that are drawn already.
    Arguments and errors are those of `uniform`.

    Raises:
        InputError: Also if a row was scored without its graphs.
    """
    if without := [row for row in rows if not row.graph]:
        raise InputError(
            f"selection hard_reasoning needs what the graphs of the samples earn, and scored example "
            f"{without[0].id!r} has no `graph`: score the pool with --measure clinical, jaccard or f1"
        )
    wrong = [row for row in rows if has_wrong_reason(row)]
    others = [row for row in _hard_first(rows, seed, _balanced) if not has_wrong_reason(row)]
    return _first_rows(_balanced(wrong, seed) + others, number)


def random(rows: Sequence[ScoredRow], number: int, *, seed: int) -> list[ScoredRow]:
    """Any rows, each equally likely. Arguments and errors are those of `uniform`."""
    return _first_rows(_in_random_order(rows, seed), number)


def hard_random(rows: Sequence[ScoredRow], number: int, *, seed: int) -> list[ScoredRow]:
    """Hard rows, each equally likely, then rows that are never right.

    Arguments and errors are those of `uniform`.
    """
    return _first_rows(_hard_first(rows, seed, _in_random_order), number)


SELECTIONS: dict[str, Callable[..., list[ScoredRow]]] = {
    "hard_uniform": hard_uniform,
    "hard_sample": hard_uniform,
    "uniform": uniform,
    "uniform_sample": uniform,
    "hard_random": hard_random,
    "hard_reasoning": hard_reasoning,
    "random": random,
}
"""Name -> way to draw; the original's README and scripts use both names of the first two."""


def select(selection: str, rows: Sequence[ScoredRow], number: int, *, seed: int) -> list[ScoredRow]:
    """Draw with the selection of this name.

    Raises:
        InputError: If the name is unknown, and in the cases of `uniform`.
    """
    if selection not in SELECTIONS:
        raise InputError(f"unknown selection {selection!r}: use one of {', '.join(SELECTIONS)}")
    return SELECTIONS[selection](rows, number, seed=seed)
