"""Candidate arcs, and the violated ones among all: passes over every pair.

A pass is cut into ranges of rows, which threads share; what it finds does not
depend on their number. Ctrl-C and time limits take effect between ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from otdist._exact.matrix import restricted
from otdist._kernels import nearest as near
from otdist._kernels import pricing
from otdist._kernels.costs import MATRIX, Costs, Found
from otdist._kernels.lists import Lists, merge
from otdist._typing import FloatArray, IntArray

# Pairs of one range: some 50 ms.
_RANGE = 1 << 26


def shape_of(costs: Costs) -> tuple[int, int]:
    """Return the numbers of sources and sinks."""
    return costs.x.shape[1], costs.y.shape[1]


def no_lists(n: int, m: int, room: int = 0) -> Lists:
    """Return lists without arcs, and room for some."""
    column, row = np.empty((2, room), np.uint32)
    row_cost, column_cost = np.empty((2, room))
    row_start, column_start = np.zeros(n + 1, np.int64), np.zeros(m + 1, np.int64)
    return Lists(row_start, column, row_cost, column_start, row, column_cost)


def _places(lines: int, width: int) -> Found:
    """Return room for the arcs of each line."""
    end, cost = np.empty((lines, width), np.uint32), np.empty((lines, width))
    return Found(end, cost, np.zeros(lines, np.uint32))


def nearest(
    costs: Costs,
    potential: FloatArray,
    width: int,
    scale: float,
    n_jobs: int,
    *,
    by_column: bool,
) -> tuple[FloatArray, Found]:
    """Return the c-transform of a potential, and the nearly tight arcs of each line."""
    n, m = shape_of(costs)
    lines, size = (m, n) if by_column else (n, m)
    least, found, nothing = np.empty(lines), _places(lines, width), np.zeros(size)

    def work(start: int, stop: int) -> None:
        scratch = near.scratch_for(size, width)
        near.nearest(
            costs,
            by_column,
            start,
            stop,
            potential,
            nothing,
            scale,
            scratch,
            least,
            found,
        )

    _in_ranges(work, lines, size, n_jobs)
    return least, found


def violated(
    costs: Costs,
    f: FloatArray,
    g: FloatArray,
    tolerance: float,
    width: int,
    rows: IntArray,
    n_jobs: int,
) -> tuple[FloatArray, Found]:
    """Price all pairs of some rows; return at most `width` violated arcs of each.

    The smallest slacks of those rows (n,) come first.
    """
    n, m = shape_of(costs)
    least, found = np.empty(n), _places(n, width)

    def work(start: int, stop: int) -> None:
        part = rows[start:stop]
        pricing.violations(costs, part, f, g, tolerance, np.empty(m), least, found)

    _in_ranges(work, len(rows), m, n_jobs)
    return least, found


def carried_over(
    costs: Costs, rows: IntArray, f: FloatArray, columns: IntArray, n_jobs: int
) -> FloatArray:
    """Return ``min_i c[i, j] - f[i]`` over the rows given, for the columns given."""
    if costs.kind != MATRIX:
        g, _ = nearest(
            restricted(costs, rows, columns), f, 0, 1.0, n_jobs, by_column=True
        )
        return g
    _, m = shape_of(costs)
    g = np.full(len(columns), np.inf)
    nothing, scratch = np.zeros((2, m))
    pricing.carry_over(costs, rows, f, columns, nothing, scratch, g)
    return g


def _in_ranges(
    work: Callable[[int, int], None], lines: int, size: int, n_jobs: int
) -> None:
    """Do the work for all lines, range by range, on several threads if asked."""
    length = max(1, _RANGE // max(size, 1))
    starts = range(0, lines, length)

    def one(start: int) -> None:
        work(start, min(start + length, lines))

    if n_jobs == 1 or len(starts) == 1:
        for start in starts:
            one(start)
        return
    with ThreadPoolExecutor(n_jobs) as pool:
        for _ in pool.map(one, starts):
            pass


def merged(
    costs: Costs,
    lists: Lists,
    by_row: Found,
    by_column: Found | None = None,
) -> Lists:
    """Return the lists with arcs found by row, and by column, added."""
    n, m = shape_of(costs)
    if by_column is None:
        by_column = _places(m, 0)
    found = int(by_row.number.sum()) + int(by_column.number.sum())
    new = no_lists(n, m, len(lists.column) + found)
    scratch = np.empty((3, max(n, m) + 1), np.int64)
    n_arcs = merge(lists, by_row, by_column, scratch, new)
    return new._replace(
        column=new.column[:n_arcs],
        row_cost=new.row_cost[:n_arcs],
        row=new.row[:n_arcs],
        column_cost=new.column_cost[:n_arcs],
    )
