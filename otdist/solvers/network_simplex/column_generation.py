"""Column generation: the network simplex on few arcs, checked against all.

The tree has only candidate arcs, those of nearly the least slack under the potentials of the
start. When none of them violates, all n times m pairs are priced. Violated arcs join the
candidates, and the search continues with the same tree, until no pair violates. With good
potentials this takes two or three rounds
(Gottschlich and Schuhmacher, *PLoS ONE* 9, 2014; Schmitzer, *SIAM J. Sci. Comput.*
38, 2016).
"""

from __future__ import annotations

import numpy as np

from otdist.compiled.costs import MATRIX, Costs
from otdist.geometry.protocol import Geometry
from otdist.plans.integer_masses import IntegerMasses, quantise
from otdist.solvers import coarsen as start
from otdist.solvers.network_simplex import basis as tree
from otdist.solvers.network_simplex import candidate_lists as lists
from otdist.solvers.network_simplex.kernels import pivot_loop as simplex
from otdist.solvers.network_simplex.kernels.candidate_lists import Lists, Rows
from otdist.solvers.network_simplex.kernels.spanning_tree import Tree
from otdist.solvers.network_simplex.search import (
    BUDGET,
    Search,
    begin,
    optimise,
    search_all,
)
from otdist.solvers.registry import Options
from otdist.typing import FloatArray, IntArray

# Candidate arcs of a row and of a column at the start. On points fewer are as good, and take
# less memory; on other matrices fewer may take three times as long.
_ROW_WIDTH, _COLUMN_WIDTH = 40, 20
_POINTS_WIDTH = 0.6  # part of these widths
# Pairs of a coarse problem up to which all its arcs are candidates.
_ALL_ARCS = 1 << 17
# Violated arcs that a row may add in one round; of points fewer, to save memory.
_MORE, _MORE_POINTS = 32, 8


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

    def advance(self, basis: Tree, search: simplex.Search, tolerance: float, limit: int) -> int:
        """Pivot on the candidate arcs."""
        code: int = simplex.run_on_lists(
            self.lists, basis, search, tree.BLOCK_ROWS, tolerance, BUDGET, limit
        )
        return code

    def extend(self, basis: Tree, tolerance: float) -> bool:
        """Add violated arcs, of the active rows first, else of all rows."""
        n, _ = lists.shape_of(self.costs)
        if len(self.active) and self._add(basis, tolerance, self.active):
            return True
        return self._add(basis, tolerance, np.arange(n))

    def _add(self, basis: Tree, tolerance: float, rows: IntArray) -> bool:
        """Price all pairs of some rows and add the violated ones."""
        n, m = lists.shape_of(self.costs)
        f, g = basis.potential[:n], basis.potential[n : n + m]
        width = _MORE if self.costs.kind == MATRIX else _MORE_POINTS
        least, found = lists.violated(self.costs, f, g, tolerance, width, rows, self.n_jobs)
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
        known = lists.merged(self.costs, known, found)
        self.lists = lists.both_ways(known, m)
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
    f, by_row = lists.nearest(costs, g, width, scale, n_jobs, by_column=False)
    g, by_column = lists.nearest(costs, f, height, scale, n_jobs, by_column=True)
    rows = lists.merged(costs, lists.no_rows(n), by_row, by_column)
    del by_row, by_column
    arcs = CandidateArcs(costs, lists.both_ways(rows, m), masses, n_jobs)
    return begin(arcs, geometry, masses, np.concatenate([f, g]))


def potentials(geometry: Geometry, a: FloatArray, b: FloatArray, options: Options) -> FloatArray:
    """Return potentials g (m,) to start from, extended from coarser problems."""
    m = geometry.shape[1]
    levels = start.hierarchy(geometry, a, b)
    costs = geometry.costs()
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
        g = lists.carried_over(costs, level.rows, f, finer[k], options.n_jobs)
    # A constant that moves between f and g is arbitrary, and would cost both digits.
    return np.asarray(g - g.mean())
