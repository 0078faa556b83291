"""Column generation: the network simplex on few arcs, checked against all.

The tree sees only candidate arcs, those of nearly the least slack under the
potentials of the start. When none of them violates, all n times m pairs are
priced; violated arcs join the candidates, and the search goes on with the tree as
it is, until no pair violates. With good potentials that takes two or three rounds
(Gottschlich and Schuhmacher, *PLoS ONE* 9, 2014; Schmitzer, *SIAM J. Sci. Comput.*
38, 2016).
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

import numpy as np

from otdist._exact import lists, start, tree
from otdist._geometry import Geometry
from otdist._kernels import network_simplex as simplex
from otdist._kernels import pricing
from otdist._masses import IntegerMasses, quantise
from otdist._solvers import Options
from otdist._typing import FloatArray

# Candidate arcs of a row and of a column at the start.
_ROW_WIDTH, _COLUMN_WIDTH = 40, 20
# Violated arcs that a row may add in one round.
_MORE = 8
# Work of one call of the kernel, in entries priced: about 50 ms, for Ctrl-C.
_BUDGET = 100_000_000
_EPS = float(np.finfo(float).eps)


class ArcSet(Protocol):
    """The arcs that the tree may use."""

    def advance(
        self, basis: simplex.Tree, search: simplex.Search, tolerance: float, limit: int
    ) -> int:
        """Pivot until no known arc violates (DONE), or for some 50 ms (MORE)."""
        ...

    def extend(self, basis: simplex.Tree, tolerance: float) -> bool:
        """Price all arcs; return whether there is anything left to pivot on."""
        ...


class AllArcs:
    """Every arc of a matrix, priced row by row: best for small problems."""

    def __init__(self, cost: FloatArray) -> None:
        self.cost = cost
        self.done_at = np.inf

    def advance(
        self, basis: simplex.Tree, search: simplex.Search, tolerance: float, limit: int
    ) -> int:
        """Pivot on all arcs."""
        self.done_at = tolerance
        code: int = simplex.run(
            self.cost, basis, search, tree.BLOCK_ROWS, tolerance, _BUDGET, limit
        )
        return code

    def extend(self, basis: simplex.Tree, tolerance: float) -> bool:
        """Return whether the last search was for a larger tolerance."""
        return tolerance < self.done_at


class CandidateArcs:
    """Lists of arcs that grow by the violated ones."""

    def __init__(
        self, costs: pricing.Costs, candidates: pricing.Lists, n_jobs: int
    ) -> None:
        self.costs = costs
        self.lists = candidates
        self.n_jobs = n_jobs

    def advance(
        self, basis: simplex.Tree, search: simplex.Search, tolerance: float, limit: int
    ) -> int:
        """Pivot on the candidate arcs."""
        code: int = simplex.run_on_lists(
            self.lists, basis, search, tree.BLOCK_ROWS, tolerance, _BUDGET, limit
        )
        return code

    def extend(self, basis: simplex.Tree, tolerance: float) -> bool:
        """Price all pairs and add the violated ones."""
        n, m = lists.shape_of(self.costs)
        f, g = basis.potential[:n], basis.potential[n : n + m]
        found = lists.violated(self.costs, f, g, tolerance, _MORE, self.n_jobs)
        if not found.count.any():
            return False
        self.lists = lists.merged(self.costs, self.lists, found)
        return True


class Search(NamedTuple):
    """A tree on its way to the optimum."""

    arcs: ArcSet
    basis: simplex.Tree
    pivots: simplex.Search
    masses: IntegerMasses
    start: FloatArray  # (n + m,) potentials that the artificial arcs begin from
    largest: float


def search_all(geometry: Geometry, masses: IntegerMasses, g: FloatArray) -> Search:
    """Begin on all arcs of the cost matrix."""
    f = geometry.row_minimum(g)
    arcs = AllArcs(geometry.dense())
    return _begin(arcs, geometry, masses, np.concatenate([f, g]))


def search_candidates(
    geometry: Geometry, masses: IntegerMasses, g: FloatArray, n_jobs: int
) -> Search:
    """Begin on the arcs that are nearly tight for g and its c-transforms."""
    n, m = geometry.shape
    costs = lists.costs_of(geometry)
    scale = geometry.largest or 1.0
    f, by_row = lists.nearest(costs, g, _ROW_WIDTH, scale, n_jobs, by_column=False)
    g, by_column = lists.nearest(
        costs, f, _COLUMN_WIDTH, scale, n_jobs, by_column=True
    )
    candidates = lists.merged(costs, lists.no_lists(n, m), by_row, by_column)
    arcs = CandidateArcs(costs, candidates, n_jobs)
    return _begin(arcs, geometry, masses, np.concatenate([f, g]))


def _begin(
    arcs: ArcSet, geometry: Geometry, masses: IntegerMasses, start: FloatArray
) -> Search:
    n, m = geometry.shape
    basis, pivots = tree.allocate(n, m)
    return Search(arcs, basis, pivots, masses, start, geometry.largest or 1.0)


def optimise(
    search: Search,
    margin: float,
    options: Options,
    *,
    negligible: int = 0,
    to_the_end: bool = True,
) -> bool:
    """Pivot from artificial arcs to the optimum; False if a limit came first.

    Artificial arcs cost a margin more than the potentials of the start. When no arc
    is violated and artificial flow is left, the margin was too small, or forbidden
    arcs leave mass without a way: it is raised until it exceeds the cost of any path.

    The entering tolerance starts at the scale of the costs. When no arc is left it is
    lowered to the rounding of the potentials, which may be far smaller than the
    largest cost, and the search goes on. Unless it is `to_the_end`, the search stops
    at the optimum over the arcs it has.
    """
    arcs, basis, pivots, masses, start, largest = search
    n, m = len(masses.a), len(masses.b)
    tree.hang_on_root(basis, masses, start, margin)
    tolerance = 1e-13 * largest
    while True:
        code = arcs.advance(basis, pivots, tolerance, options.max_iter)
        options.report(int(pivots.n_pivots[0]))
        has_artificial = tree.artificial_flow(basis, n) > negligible
        # Where artificial arcs carry nothing, the margin changes no difference of
        # potentials; without it they are of the size of the costs in the tree.
        levels = (margin, margin) if has_artificial else (0.0, 2 * margin)
        tree.set_artificial_costs(basis, n, start, *levels)
        if code == simplex.MORE:
            late = time.monotonic() > options.deadline
            if late or pivots.n_pivots[0] >= options.max_iter:
                return False
            continue
        if not has_artificial:
            if not to_the_end:
                return True
            rounding = 8 * _EPS * float(np.abs(basis.potential[:-1]).max())
            if rounding <= tolerance / 2:
                tolerance = rounding
        if arcs.extend(basis, tolerance):
            continue
        if not has_artificial or margin > 4 * (n + m) * largest:
            return True
        margin *= 8
        tree.set_artificial_costs(basis, n, start, margin, margin)


def potentials(
    geometry: Geometry, a: FloatArray, b: FloatArray, options: Options
) -> FloatArray:
    """Return potentials g (m,) to start from, carried down from coarser problems."""
    n, m = geometry.shape
    levels = start.hierarchy(geometry, a, b)
    costs = lists.costs_of(geometry) if levels else None
    finer = [level.columns for level in levels[1:]] + [np.arange(m)]
    g = np.zeros(len(levels[0].columns)) if levels else np.zeros(m)
    for k, level in enumerate(levels):
        part = geometry.restrict(level.rows, level.columns)
        masses = quantise(level.a, level.b)
        if k == 0:
            search = search_all(part, masses, g)
        else:
            search = search_candidates(part, masses, g, options.n_jobs)
        optimise(search, 2 * search.largest, options, to_the_end=True)
        f = search.basis.potential[: len(level.rows)]
        g = lists.carried_over(costs, level.rows, f, finer[k])
    return g
