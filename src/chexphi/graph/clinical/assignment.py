"""The one-to-one assignment of the greatest total. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence


def best_assignment(gains: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairs (row, column) of the greatest total gain; pairs without gain are left out.

    The Hungarian method with potentials, O(rows^2 x columns).

    >>> best_assignment([[3, 2], [2, 0]])
    [(0, 1), (1, 0)]

    Args:
        gains: Shape (rows, columns), none below 0.
    """
    if not gains or not gains[0]:
        return []
    if len(gains) > len(gains[0]):
        flipped = [list(column) for column in zip(*gains, strict=True)]
        return sorted((row, column) for column, row in best_assignment(flipped))
    row_of_column = _row_of_each_column(gains)
    pairs = ((row, column) for column, row in enumerate(row_of_column) if row is not None)
    return sorted((row, column) for row, column in pairs if gains[row][column] > 0)


def _row_of_each_column(gains: Sequence[Sequence[float]]) -> list[int | None]:
    """The row that each column is given, for at most as many rows as columns."""
    rows, columns = len(gains), len(gains[0])
    row_potential, column_potential = [0.0] * rows, [0.0] * columns
    row_of: list[int | None] = [None] * columns
    for new_row in range(rows):
        least_slack, came_from = [float("inf")] * columns, [-1] * columns
        is_done = [False] * columns
        column, row = -1, new_row
        while True:
            step, next_column = float("inf"), -1
            for at in range(columns):
                if is_done[at]:
                    continue
                slack = -gains[row][at] - row_potential[row] - column_potential[at]
                if slack < least_slack[at]:
                    least_slack[at], came_from[at] = slack, column
                if least_slack[at] < step:
                    step, next_column = least_slack[at], at
            row_potential[new_row] += step
            for at in range(columns):
                if is_done[at]:
                    row_potential[row_of[at]] += step  # type: ignore[index]  # a column that is done has a row
                    column_potential[at] -= step
                else:
                    least_slack[at] -= step
            column = next_column
            is_done[column] = True
            if row_of[column] is None:
                break
            row = row_of[column]  # type: ignore[assignment]
        while column >= 0:
            previous_column = came_from[column]
            row_of[column] = row_of[previous_column] if previous_column >= 0 else new_row
            column = previous_column
    return row_of
