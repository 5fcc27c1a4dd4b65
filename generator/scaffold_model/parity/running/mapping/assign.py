"""The assignment of rows to columns with the largest sum of scores."""

from __future__ import annotations

from typing import Any

import numpy as np


def assign(scores: Any) -> list[int]:
    """For each row the column it is given, each column once (shortest augmenting paths, cubic in the size).

    Args:
        scores: A matrix with no more rows than columns; ``-inf`` forbids a pair.

    Returns:
        The column of each row; -1 where only forbidden ones were left.
    """
    scores = np.asarray(scores, dtype=float)
    rows, columns = scores.shape
    if rows > columns:
        raise ValueError(f"{rows} rows do not fit in {columns} columns")
    forbidden = 1e9
    cost = np.where(np.isneginf(scores), forbidden, -scores)
    # Potentials of rows and columns, and which row each column has; index 0 stands for none.
    of_row, of_column = np.zeros(rows + 1), np.zeros(columns + 1)
    taken, way = np.zeros(columns + 1, dtype=int), np.zeros(columns + 1, dtype=int)
    for row in range(1, rows + 1):
        taken[0] = row
        column = 0
        least = np.full(columns + 1, np.inf)
        done = np.zeros(columns + 1, dtype=bool)
        while True:
            done[column] = True
            reduced = cost[taken[column] - 1] - of_row[taken[column]] - of_column[1:]
            open_columns = ~done[1:]
            better = open_columns & (reduced < least[1:])
            least[1:][better] = reduced[better]
            way[1:][better] = column
            following = int(np.argmin(np.where(open_columns, least[1:], np.inf))) + 1
            step = least[following]
            of_row[taken[done]] += step
            of_column[done] -= step
            least[~done] -= step
            column = following
            if taken[column] == 0:
                break
        while column:
            taken[column] = taken[way[column]]
            column = int(way[column])
    result = [-1] * rows
    for column in range(1, columns + 1):
        if taken[column] and cost[taken[column] - 1, column - 1] < forbidden / 2:
            result[taken[column] - 1] = column - 1
    return result
