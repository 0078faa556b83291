"""Lists of candidate arcs, by row and by column, and how arcs are added to them."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit


class Lists(NamedTuple):
    """Candidate arcs, once by row and once by column."""

    row_start: np.ndarray  # (n + 1,) int64
    column: np.ndarray  # (k,) uint32
    row_cost: np.ndarray  # (k,) float64
    column_start: np.ndarray  # (m + 1,) int64
    row: np.ndarray  # (k,) uint32
    column_cost: np.ndarray  # (k,) float64


@njit(cache=True, error_model="numpy", nogil=True)
def _gathered(
    n: int, m: int, lists: Lists, by_row: Any, by_column: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all arcs by row, some of them twice: starts, columns, costs."""
    most = np.zeros(n + 1, np.int64)
    for i in range(n):
        known = lists.row_start[i + 1] - lists.row_start[i]
        most[i + 1] = by_row.number[i] + known
    for j in range(m):
        for k in range(by_column.number[j]):
            most[by_column.end[j, k] + 1] += 1
    starts = np.cumsum(most)
    column, cost = np.empty(starts[n], np.uint32), np.empty(starts[n])
    fill = starts[:-1].copy()
    for i in range(n):
        place = fill[i]
        for k in range(lists.row_start[i], lists.row_start[i + 1]):
            column[place] = lists.column[k]
            cost[place] = lists.row_cost[k]
            place += 1
        for k in range(by_row.number[i]):
            column[place] = by_row.end[i, k]
            cost[place] = by_row.cost[i, k]
            place += 1
        fill[i] = place
    for j in range(m):
        for k in range(by_column.number[j]):
            i = by_column.end[j, k]
            column[fill[i]] = j
            cost[fill[i]] = by_column.cost[j, k]
            fill[i] += 1
    return starts, column, cost


@njit(cache=True, error_model="numpy", nogil=True)
def merge(
    n: int, m: int, lists: Lists, by_row: Any, by_column: Any
) -> tuple[np.ndarray, ...]:
    """Return the parts of new lists: the arcs found are added, each arc once."""
    starts, column, row_cost = _gathered(n, m, lists, by_row, by_column)
    row_start = np.zeros(n + 1, np.int64)
    size = np.zeros(m + 1, np.int64)
    seen = np.full(m, -1, np.int64)
    n_arcs = 0
    for i in range(n):
        for k in range(starts[i], starts[i + 1]):
            j = column[k]
            if seen[j] != i:
                seen[j] = i
                column[n_arcs], row_cost[n_arcs] = j, row_cost[k]
                size[j + 1] += 1
                n_arcs += 1
        row_start[i + 1] = n_arcs
    column_start = np.cumsum(size)
    # Not copied: that would be the most memory of all.
    column, row_cost = column[:n_arcs], row_cost[:n_arcs]
    row, column_cost = np.empty(n_arcs, np.uint32), np.empty(n_arcs)
    fill = column_start[:-1].copy()
    for i in range(n):
        for k in range(row_start[i], row_start[i + 1]):
            place = fill[column[k]]
            row[place], column_cost[place] = i, row_cost[k]
            fill[column[k]] = place + 1
    return row_start, column, row_cost, column_start, row, column_cost
