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


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _gather(
    lists: Lists,
    by_row: Any,
    by_column: Any,
    starts: np.ndarray,
    fill: np.ndarray,
    out: Lists,
) -> None:
    """Write all arcs by row, some of them twice, and where rows begin."""
    n, m = lists.row_start.size - 1, lists.column_start.size - 1
    starts[0] = 0
    for i in range(n):
        known = lists.row_start[i + 1] - lists.row_start[i]
        starts[i + 1] = by_row.number[i] + known
    for j in range(m):
        for k in range(by_column.number[j]):
            starts[by_column.end[j, k] + 1] += 1
    for i in range(n):
        starts[i + 1] += starts[i]
        fill[i] = starts[i]
    for i in range(n):
        place = fill[i]
        for k in range(lists.row_start[i], lists.row_start[i + 1]):
            out.column[place] = lists.column[k]
            out.row_cost[place] = lists.row_cost[k]
            place += 1
        for k in range(by_row.number[i]):
            out.column[place] = by_row.end[i, k]
            out.row_cost[place] = by_row.cost[i, k]
            place += 1
        fill[i] = place
    for j in range(m):
        for k in range(by_column.number[j]):
            i = by_column.end[j, k]
            out.column[fill[i]] = j
            out.row_cost[fill[i]] = by_column.cost[j, k]
            fill[i] += 1


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def merge(
    lists: Lists, by_row: Any, by_column: Any, scratch: np.ndarray, out: Lists
) -> int:
    """Write new lists, the arcs found added, each arc once; return how many they are.

    `scratch` is (3, max(n, m) + 1) int64. Arrays come from the caller, since returning
    some takes numba through Python code, where an interrupt that waits for the end of
    the call would do damage.
    """
    n, m = lists.row_start.size - 1, lists.column_start.size - 1
    starts, fill, seen = scratch[0], scratch[1], scratch[2]
    _gather(lists, by_row, by_column, starts, fill, out)
    out.column_start[:] = 0
    seen[:] = -1
    n_arcs = 0
    out.row_start[0] = 0
    for i in range(n):
        for k in range(starts[i], starts[i + 1]):
            j = out.column[k]
            if seen[j] != i:
                seen[j] = i
                out.column[n_arcs], out.row_cost[n_arcs] = j, out.row_cost[k]
                out.column_start[j + 1] += 1
                n_arcs += 1
        out.row_start[i + 1] = n_arcs
    for j in range(m):
        out.column_start[j + 1] += out.column_start[j]
        fill[j] = out.column_start[j]
    for i in range(n):
        for k in range(out.row_start[i], out.row_start[i + 1]):
            place = fill[out.column[k]]
            out.row[place], out.column_cost[place] = i, out.row_cost[k]
            fill[out.column[k]] = place + 1
    return n_arcs
