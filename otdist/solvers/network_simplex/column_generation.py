"""Column generation: the network simplex on few arcs, checked against all.

The tree has only candidate arcs, those of nearly the least slack under the potentials of the
start. When none of them violates, all n times m pairs are priced. Violated arcs join the
candidates, and the search continues with the same tree, until no pair violates. With good
potentials this takes two or three rounds
(Gottschlich and Schuhmacher, *PLoS ONE* 9, 2014; Schmitzer, *SIAM J. Sci. Comput.*
38, 2016).

A pass over all pairs is divided into ranges of rows, which threads share; its result does not
depend on the number of threads. Ctrl-C and time limits take effect between ranges.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from otdist.compiled.costs import MATRIX, TILE, Costs, Found, carry_over, restricted
from otdist.geometry.protocol import Geometry
from otdist.plans.integer_masses import IntegerMasses, quantise
from otdist.runtime.blocks import share
from otdist.solvers.coarsen import hierarchy
from otdist.solvers.network_simplex.kernels import matrix, tiles
from otdist.solvers.network_simplex.kernels import simplex as kernel
from otdist.solvers.network_simplex.kernels.simplex import Lists, Rows
from otdist.solvers.network_simplex.search import (
    BLOCK_ROWS,
    BUDGET,
    Search,
    begin,
    coarse_start,
    finite,
    optimise,
    search_all,
)
from otdist.solvers.registry import Options
from otdist.typing import FloatArray, IntArray

_TINY = float(np.finfo(float).tiny)
# Pairs of one range: some 50 ms.
_RANGE = 1 << 26
# Candidate arcs of a row and of a column at the start. On points fewer are as good, and take
# less memory; on other matrices fewer may take three times as long.
_ROW_WIDTH, _COLUMN_WIDTH = 40, 20
_POINTS_WIDTH = 0.6  # part of these widths
# Pairs of a coarse problem up to which all its arcs are candidates.
_ALL_ARCS = 1 << 17
# Entries of a matrix up to which its coarser problems are solved in one call.
_AT_ONCE = 1 << 23
# Violated arcs that a row may add in one round.
_MORE = 32


class CandidateArcs:
    """Lists of arcs that grow by the violated ones."""

    def __init__(self, costs: Costs, candidates: Lists, masses: IntegerMasses, n_jobs: int) -> None:
        self.costs = costs
        self.lists = candidates
        self.masses = masses
        self.n_jobs = n_jobs
        self.bound = -np.inf
        # Rows that had violated arcs when all were priced, until they have none.
        self.active = np.empty(0, np.int64)

    def advance(
        self, basis: kernel.Tree, search: kernel.Search, tolerance: float, limit: int
    ) -> int:
        """Pivot on the candidate arcs."""
        code: int = kernel.run_on_lists(
            self.lists, basis, search, BLOCK_ROWS, tolerance, BUDGET, limit
        )
        return code

    def extend(self, basis: kernel.Tree, tolerance: float) -> bool:
        """Add violated arcs, of the active rows first, else of all rows."""
        n, _ = shape_of(self.costs)
        if len(self.active) and self._add(basis, tolerance, self.active):
            return True
        return self._add(basis, tolerance, np.arange(n))

    def _add(self, basis: kernel.Tree, tolerance: float, rows: IntArray) -> bool:
        """Price all pairs of some rows and add the violated ones."""
        n, m = shape_of(self.costs)
        f, g = basis.potential[:n], basis.potential[n : n + m]
        least, found = violated(self.costs, f, g, tolerance, _MORE, rows, self.n_jobs)
        if len(rows) == n:
            # The smallest slacks and g are dual feasible.
            a, b, unit, _ = self.masses
            self.bound = max(self.bound, float(a @ least + b @ g) * unit)
        self.active = np.flatnonzero(found.number)
        if len(self.active) == 0:
            return False
        # Free the old lists by column first: both together would take twice the memory.
        known = Rows(*self.lists[:3])
        del self.lists
        known = merged(self.costs, known, found)
        self.lists = both_ways(known, m)
        return True


def search_candidates(
    geometry: Geometry, masses: IntegerMasses, g: FloatArray, n_jobs: int
) -> Search:
    """Return a search on the arcs that are nearly tight for g and its c-transforms."""
    n, m = geometry.shape
    costs = geometry.costs()
    scale = geometry.largest or 1.0
    part = 1.0 if costs.kind == MATRIX else _POINTS_WIDTH
    width, height = round(_ROW_WIDTH * part), round(_COLUMN_WIDTH * part)
    f, by_row = nearest(costs, g, width, scale, n_jobs, by_column=False)
    f = finite(f)
    g, by_column = nearest(costs, f, height, scale, n_jobs, by_column=True)
    rows = merged(costs, no_rows(n), by_row, by_column)
    del by_row, by_column
    arcs = CandidateArcs(costs, both_ways(rows, m), masses, n_jobs)
    return begin(arcs, geometry, masses, np.concatenate([f, finite(g)]))


def potentials(geometry: Geometry, a: FloatArray, b: FloatArray, options: Options) -> FloatArray:
    """Return potentials g (m,) to start from, extended from coarser problems."""
    n, m = geometry.shape
    costs = geometry.costs()
    if costs.kind == MATRIX and n * m <= _AT_ONCE and not geometry.facts.has_forbidden:
        g = np.zeros(m)
        mass, scale = float(a.sum()), geometry.largest or 1.0
        if coarse_start(geometry.dense(), a, b, mass, scale, g):
            g -= g.mean()
        return g
    levels = hierarchy(geometry, a, b)
    finer = [level.columns for level in levels[1:]] + [np.arange(m)]
    g = np.zeros(len(levels[0].columns)) if levels else np.zeros(m)
    for k, level in enumerate(levels):
        part = geometry.restrict(level.rows, level.columns)
        masses = quantise(level.a, level.b)
        if k == 0 or part.shape[0] * part.shape[1] <= _ALL_ARCS:
            search = search_all(part, masses, g)
        else:
            search = search_candidates(part, masses, g, options.n_jobs)
        optimise(search, 2 * search.largest, options)
        f = search.basis.potential[: len(level.rows)]
        g = carried_over(costs, level.rows, f, finer[k], options.n_jobs)
    # A constant that moves between f and g is arbitrary, and would cost both digits.
    return np.asarray(g - g.mean())


def shape_of(costs: Costs) -> tuple[int, int]:
    """Return the numbers of sources and sinks."""
    return costs.x.shape[1], costs.y.shape[1]


def no_rows(n: int, room: int = 0) -> Rows:
    """Return lists without arcs, with room for some."""
    return Rows(np.zeros(n + 1, np.int64), np.empty(room, np.uint32), np.empty(room))


def _places(lines: int, width: int) -> Found:
    """Return empty arrays for the arcs of each line."""
    return Found(np.empty((lines, width), np.uint32), np.zeros(lines, np.uint32))


def _tiles_of(points: FloatArray, potential: FloatArray) -> tiles.Tiles:
    """Return tiles of points (d, n) that follow each other.

    The linear functions are fitted by least squares; bounds hold for any linear functions.
    """
    d, n = points.shape
    first = np.arange(0, n, TILE)
    size = np.diff(first, append=n)
    centre = np.add.reduceat(points, first, axis=1) / size
    # Scaled to at most 1, so that squares neither overflow nor underflow.
    off = points - np.repeat(centre, size, axis=1)
    exponent = int(np.frexp(np.abs(off).max())[1])
    off = np.ldexp(off, -exponent)
    square = (off * off).sum(axis=0)
    level = np.add.reduceat(potential, first) / size
    above = potential - np.repeat(level, size)
    moments, sums = np.empty((len(first), d, d)), np.empty((len(first), d, 1))
    for k in range(d):
        moments[:, k] = np.add.reduceat(off[k] * off, first, axis=1).T
        sums[:, k, 0] = np.add.reduceat(off[k] * above, first)
    # A small ridge makes the moments regular for points on a line or a plane.
    ridge = 1e-6 * np.add.reduceat(square, first) + _TINY
    moments += ridge[:, None, None] * np.eye(d)
    slope = np.linalg.solve(moments, sums)[:, :, 0].T
    rest = potential - (np.repeat(slope, size, axis=1) * off).sum(axis=0)
    # Centres are rounded, and so are the distances from them.
    radius = np.sqrt(np.maximum.reduceat(square, first)) + 2.0**-40
    return tiles.Tiles(
        centre,
        np.ascontiguousarray(np.ldexp(slope, -exponent)),
        np.ldexp(radius, exponent),
        np.maximum.reduceat(rest, first),
    )


def nearest(
    costs: Costs, potential: FloatArray, width: int, scale: float, n_jobs: int, *, by_column: bool
) -> tuple[FloatArray, Found]:
    """Return the c-transform of a potential, and the nearly tight arcs of each line."""
    n, m = shape_of(costs)
    lines, size = (m, n) if by_column else (n, m)
    least, found = np.empty(lines), _places(lines, width)
    if costs.kind == MATRIX:

        def work(start: int, stop: int) -> None:
            scratch = matrix.scratch_for(size, width)
            matrix.nearest(costs, by_column, start, stop, potential, scale, scratch, least, found)
    else:
        grouped = _tiles_of(costs.x if by_column else costs.y, potential)

        def work(start: int, stop: int) -> None:
            scratch = tiles.scratch_for(len(grouped.top), width)
            tiles.nearest(
                costs, by_column, start, stop, potential, grouped, scale, scratch, least, found
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

    The first array (n,) holds the smallest slacks of those rows.
    """
    n, m = shape_of(costs)
    least, found = np.empty(n), _places(n, width)

    if costs.kind == MATRIX:

        def work(start: int, stop: int) -> None:
            part, slacks = rows[start:stop], np.empty(m)
            matrix.violations(costs, part, f, g, tolerance, slacks, least, found)
    else:
        grouped = _tiles_of(costs.y, g)

        def work(start: int, stop: int) -> None:
            part, scratch = rows[start:stop], tiles.scratch_for(len(grouped.top), 0)
            tiles.violations(costs, part, f, g, tolerance, grouped, scratch, least, found)

    _in_ranges(work, len(rows), m, n_jobs)
    return least, found


def carried_over(
    costs: Costs, rows: IntArray, f: FloatArray, columns: IntArray, n_jobs: int
) -> FloatArray:
    """Return ``min_i c[i, j] - f[i]`` over the rows given, for the columns given."""
    if costs.kind != MATRIX:
        g, _ = nearest(restricted(costs, rows, columns), f, 0, 1.0, n_jobs, by_column=True)
        return g
    g = np.empty(len(columns))
    carry_over(costs.matrix, rows, f, columns, g)
    return finite(g)


def _in_ranges(work: Callable[[int, int], None], lines: int, size: int, n_jobs: int) -> None:
    """Call the function for all lines, range by range, on several threads if asked."""
    length = max(1, _RANGE // max(size, 1))

    def one(k: int) -> None:
        work(k * length, min((k + 1) * length, lines))

    share(one, -(-lines // length), n_jobs)


def merged(costs: Costs, rows: Rows, by_row: Found, by_column: Found | None = None) -> Rows:
    """Return the lists with arcs found by row, and by column, added."""
    n, m = shape_of(costs)
    if by_column is None:
        by_column = _places(m, 0)
    found = int(by_row.number.sum()) + int(by_column.number.sum())
    new = no_rows(n, len(rows.column) + found)
    scratch = np.empty((3, max(n, m) + 1), np.int64)
    n_arcs = kernel.merge(costs, rows, by_row, by_column, scratch, new)
    return new._replace(column=new.column[:n_arcs], cost=new.cost[:n_arcs])


def both_ways(rows: Rows, m: int) -> Lists:
    """Return the lists by row, and by column too."""
    start, size = np.empty(m + 1, np.int64), len(rows.column)
    row, cost = np.empty(size, np.uint32), np.empty(size)
    kernel.turn(rows, np.empty(m, np.int64), start, row, cost)
    return Lists(*rows, start, row, cost)
