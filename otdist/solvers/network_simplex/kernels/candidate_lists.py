"""Lists of candidate arcs, by row and by column, and how arcs are added to them."""

from typing import NamedTuple

import numpy as np

from otdist.compiled.costs import Costs, Found, cost_of
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)


class Rows(NamedTuple):
    """Candidate arcs by row."""

    start: np.ndarray  # (n + 1,) int64
    column: np.ndarray  # (k,) uint32
    cost: np.ndarray  # (k,) float64


class Lists(NamedTuple):
    """Candidate arcs, once by row and once by column."""

    row_start: np.ndarray  # (n + 1,) int64
    column: np.ndarray  # (k,) uint32
    row_cost: np.ndarray  # (k,) float64
    column_start: np.ndarray  # (m + 1,) int64
    row: np.ndarray  # (k,) uint32
    column_cost: np.ndarray  # (k,) float64


@inner
def _gather(
    costs: Costs,
    rows: Rows,
    by_row: Found,
    by_column: Found,
    starts: np.ndarray,
    fill: np.ndarray,
    out: Rows,
) -> None:
    """Write all arcs by row, some of them twice, and where rows begin."""
    n, m = rows.start.size - 1, by_column.number.size
    starts[0] = 0
    for i in range(n):
        starts[i + 1] = by_row.number[i] + rows.start[i + 1] - rows.start[i]
    for j in range(m):
        for k in range(by_column.number[j]):
            starts[by_column.end[j, k] + 1] += 1
    for i in range(n):
        starts[i + 1] += starts[i]
    for i in range(n):
        place = starts[i]
        for k in range(rows.start[i], rows.start[i + 1]):
            out.column[place], out.cost[place] = rows.column[k], rows.cost[k]
            place += 1
        for k in range(by_row.number[i]):
            j = by_row.end[i, k]
            out.column[place], out.cost[place] = j, cost_of(costs, i, j)
            place += 1
        fill[i] = place
    for j in range(m):
        for k in range(by_column.number[j]):
            i = by_column.end[j, k]
            out.column[fill[i]], out.cost[fill[i]] = j, cost_of(costs, i, j)
            fill[i] += 1


@kernel
def merge(
    costs: Costs, rows: Rows, by_row: Found, by_column: Found, scratch: np.ndarray, out: Rows
) -> int:
    """Write new lists, the arcs found added, each arc once; return how many they are.

    `scratch` is (3, max(n, m) + 1) int64.
    """
    n = rows.start.size - 1
    starts, fill, seen = scratch[0], scratch[1], scratch[2]
    _gather(costs, rows, by_row, by_column, starts, fill, out)
    seen[:] = -1
    n_arcs = 0
    out.start[0] = 0
    for i in range(n):
        for k in range(starts[i], starts[i + 1]):
            j = out.column[k]
            if seen[j] != i:
                seen[j] = i
                out.column[n_arcs], out.cost[n_arcs] = j, out.cost[k]
                n_arcs += 1
        out.start[i + 1] = n_arcs
    return n_arcs


@kernel
def turn(
    rows: Rows, fill: np.ndarray, column_start: np.ndarray, row: np.ndarray, column_cost: np.ndarray
) -> None:
    """Write the lists of the columns; `fill`, of m places or more, is scratch."""
    n, m = rows.start.size - 1, column_start.size - 1
    column_start[:] = 0
    for k in range(rows.column.size):
        column_start[rows.column[k] + 1] += 1
    for j in range(m):
        column_start[j + 1] += column_start[j]
        fill[j] = column_start[j]
    for i in range(n):
        for k in range(rows.start[i], rows.start[i + 1]):
            place = fill[rows.column[k]]
            row[place], column_cost[place] = i, rows.cost[k]
            fill[rows.column[k]] = place + 1
