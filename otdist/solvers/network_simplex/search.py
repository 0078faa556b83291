"""Drives the network simplex from artificial arcs to the optimum, on a set of arcs."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np

from otdist.compiled.costs import read_only
from otdist.geometry.protocol import Geometry
from otdist.plans.integer_masses import IntegerMasses, northwest
from otdist.plans.plans import Arcs
from otdist.problem.result import Candidate, Ended
from otdist.solvers.network_simplex.assignment import solve_square
from otdist.solvers.network_simplex.kernels import simplex as kernel
from otdist.solvers.network_simplex.kernels import small_problem as small
from otdist.solvers.registry import NO_LIMIT, Options
from otdist.typing import FloatArray, IntArray

# Rows priced at a time; 8 to 50 take about as long on all families, 20 is best.
BLOCK_ROWS = 20
# Work of one call of the kernel, in entries priced: about 50 ms, for Ctrl-C.
BUDGET = 100_000_000
# A larger tolerance than this one stops the search before the optimum.
_EXACT = 1e-9
# Rounding of a reduced cost, as a part of the largest potential.
_ROUNDING = 8 * float(np.finfo(float).eps)
# Atoms of the smaller side from which on coarser problems save time.
_FEWEST = 150
# Atoms of a group of the finest coarser problem, at most.
_GROUP = 4
# Columns that serve as coordinates of the rows of a small matrix.
_N_LANDMARKS = 6
# Rounding errors above this part of the value let the search be repeated.
_BLUR = 1e-11


class ArcSet(Protocol):
    """Arcs that the tree may use; `bound` is the best lower bound that pricing proved."""

    bound: float

    def advance(
        self, basis: kernel.Tree, search: kernel.Search, tolerance: float, limit: int
    ) -> int:
        """Pivot until no known arc violates (DONE), or for about 50 ms (MORE)."""
        ...

    def extend(self, basis: kernel.Tree, tolerance: float) -> bool:
        """Price all arcs; return whether some violate."""
        ...


class AllArcs:
    """All arcs of a matrix, priced row by row: best for small problems."""

    def __init__(self, cost: FloatArray) -> None:
        self.cost = cost
        self.bound = -np.inf
        self.done_at = np.inf

    def advance(
        self, basis: kernel.Tree, search: kernel.Search, tolerance: float, limit: int
    ) -> int:
        """Pivot on all arcs."""
        self.done_at = tolerance
        code: int = kernel.run(self.cost, basis, search, BLOCK_ROWS, tolerance, BUDGET, limit)
        return code

    def extend(self, basis: kernel.Tree, tolerance: float) -> bool:
        """Return whether the last search was for a larger tolerance."""
        return tolerance < self.done_at


class Search(NamedTuple):
    """A tree on its way to the optimum."""

    arcs: ArcSet
    basis: kernel.Tree
    pivots: kernel.Search
    masses: IntegerMasses
    start: FloatArray  # (n + m,) potentials that the artificial arcs begin from
    largest: float
    scale: float  # of the costs that matter; of the first tolerance


def solve_matrix(
    cost: FloatArray, a: FloatArray, b: FloatArray, mass: float, largest: float
) -> Candidate | None:
    """Solve a small matrix without forbidden arcs; None in the cases of `solve_at_once`."""
    found = solve_square(cost, a, b)
    return solve_at_once(cost, a, b, mass, largest, NO_LIMIT) if found is None else found


def solve_at_once(
    cost: FloatArray,
    a: FloatArray,
    b: FloatArray,
    mass: float,
    largest: float,
    max_pivots: int,
    *,
    has_forbidden: bool = False,
    needs_groups: bool = False,
) -> Candidate | None:
    """Solve a small problem in one call, of costs up to `largest` and positive weights.

    None where the call met a limit, forbidden arcs or costs of too many orders of magnitude,
    or where groups are needed and atoms form none. `optimise` handles these cases.
    """
    (n, m), scale = cost.shape, largest or 1.0
    start, room = np.zeros(n + m), _room_for(n, m)
    margin, growth = 2.0, 8.0
    if min(n, m) >= _FEWEST:
        if not has_forbidden and coarse_start(cost, a, b, mass, scale, start[n:], room):
            margin = 0.1
        elif needs_groups:
            return None
        else:
            margin, growth = 0.01, 4.0
    margin *= scale
    return solve_from(cost, a, b, mass, scale, start, margin, growth, max_pivots, room)


def _room_for(n: int, m: int) -> small.Room:
    width = n + m + 1 + BLOCK_ROWS
    return small.Room(
        np.empty((9, width), np.uint32),
        np.empty((3, n + m + 3), np.int64),
        np.empty((2, width)),
        np.empty((2, n + m + 1)),
    )


def solve_from(
    cost: FloatArray,
    a: FloatArray,
    b: FloatArray,
    mass: float,
    scale: float,
    start: FloatArray,
    margin: float,
    growth: float,
    max_pivots: int,
    room: small.Room | None = None,
) -> Candidate | None:
    """Solve in one call, from potentials g at the end of `start` (n + m,).

    Artificial arcs cost `margin` more than the start; a margin that is too small grows by
    `growth`. Returns None in the cases of `solve_at_once`.
    """
    n, m = cost.shape
    arcs, carried = np.empty((2, n + m), np.int64), np.empty(n + m)
    potential = np.empty(n + m + 1)
    code, n_arcs, n_pivots = small.solve_small(
        read_only(cost),
        read_only(a),
        read_only(b),
        mass,
        scale,
        margin,
        growth,
        BLOCK_ROWS,
        BUDGET,
        max_pivots,
        _BLUR,
        _room_for(n, m) if room is None else room,
        start,
        arcs,
        carried,
        potential,
    )
    if code != kernel.DONE:
        return None
    plan = Arcs(arcs[0, :n_arcs], arcs[1, :n_arcs], carried[:n_arcs])
    return Candidate(plan, potential[:n], potential[n : n + m], n_pivots)


def coarse_start(
    cost: FloatArray,
    a: FloatArray,
    b: FloatArray,
    mass: float,
    scale: float,
    g: FloatArray,
    room: small.Room | None = None,
) -> bool:
    """Write potentials from coarser problems; return False where few atoms, or no groups, are."""
    n, m = cost.shape
    if min(n, m) <= _GROUP:
        return False
    room = _room_for(n, m) if room is None else room
    depth = math.ceil(math.log2(min(n, m) / _GROUP))
    most = 1 << depth
    scratch = small.Scratch(
        x=np.empty((2, _N_LANDMARKS, n)),
        y=np.empty((2, _N_LANDMARKS, m)),
        order=np.concatenate([np.arange(n), np.arange(m)]),
        chosen=np.empty((2, 2 * most), np.int64),
        floats=np.empty((4, max(2 * most + 1, _N_LANDMARKS))),
        matrix=np.empty((most, most)),
    )
    has_groups: bool = small.coarse_start(
        read_only(cost),
        read_only(a),
        read_only(b),
        mass,
        scale,
        depth,
        BLOCK_ROWS,
        BUDGET,
        room,
        scratch,
        g,
    )
    return has_groups


def search_all(geometry: Geometry, masses: IntegerMasses, g: FloatArray) -> Search:
    """Return a search on all arcs of the cost matrix."""
    f = finite(geometry.row_minimum(g))
    arcs = AllArcs(geometry.dense())
    return begin(arcs, geometry, masses, np.concatenate([f, g]))


def finite(potential: FloatArray) -> FloatArray:
    """Return a c-transform with numbers for atoms without an allowed arc, which may take any.

    Atoms of a coarser problem may have none. They get no more than the others, whose
    c-transform they do not lower then.
    """
    return np.where(np.isfinite(potential), potential, min(0.0, potential.min()))


def begin(arcs: ArcSet, geometry: Geometry, masses: IntegerMasses, start: FloatArray) -> Search:
    """Return a search that starts from potentials f and g, given in one array."""
    n, m = geometry.shape
    basis, pivots = allocate(n, m)
    largest = geometry.largest or 1.0
    return Search(arcs, basis, pivots, masses, start, largest, largest)


def hides_digits(search: Search) -> bool:
    """Whether rounding of large potentials may cost the value digits.

    Not where the last pricing proved it, as it does for whole costs however large potentials are.
    """
    if _relative_gap(search) <= _BLUR:
        return False
    size = float(np.abs(search.basis.potential).max())
    value = value_of(search.basis, search.masses)
    mass = float(search.masses.a.sum()) * search.masses.unit
    return 0 < _BLUR * abs(value) < _ROUNDING * size * mass


def optimise(search: Search, margin: float, options: Options, *, negligible: int = 0) -> Ended:
    """Pivot from artificial arcs to the optimum, or to a limit.

    Artificial arcs cost a margin more than the potentials of the start. If artificial flow is
    left when no arc violates, the margin was too small, or forbidden arcs leave mass without a
    path: the margin is raised until the artificial arcs cost more than any path.

    The entering tolerance begins at the scale of the costs. When no arc is left, it is lowered
    to the rounding of the potentials, which may be far smaller than the largest cost, and the
    search continues.
    """
    arcs, basis, pivots, masses, start, largest, scale = search
    n, m = len(masses.a), len(masses.b)
    kernel.hang_on_root(basis, masses.a, masses.b, start, margin)
    tolerance = 1e-13 * scale
    enough = 4 * (n + m) * largest + 2 * float(np.abs(start).max())
    while True:
        code = arcs.advance(basis, pivots, tolerance, options.max_iter)
        n_pivots = int(pivots.n_pivots[0])
        if options.report is not None:
            options.report(n_pivots, _relative_gap(search))
        has_artificial = kernel.artificial_flow(basis, n) > negligible
        # Where artificial arcs have no flow, the margin changes no difference of potentials;
        # without it they are of the size of the costs in the tree.
        levels = (margin, margin) if has_artificial else (0.0, 2 * margin)
        kernel.set_artificial_costs(basis, n, start, *levels)
        if code == kernel.MORE:
            if (limit := options.limit_met(n_pivots)) is not None:
                return limit
            continue
        if not has_artificial:
            rounding = _ROUNDING * float(np.abs(basis.potential).max())
            if rounding <= tolerance / 2:
                tolerance = rounding
        if arcs.extend(basis, tolerance):
            if options.tol > _EXACT and _relative_gap(search) <= options.tol:
                return Ended.FINISHED
            continue
        if not has_artificial or margin > enough:
            return Ended.FINISHED
        margin *= 8
        kernel.set_artificial_costs(basis, n, start, margin, margin)


def _relative_gap(search: Search) -> float:
    """Return the relative gap of the tree and the bound; inf with artificial flow."""
    n = len(search.masses.a)
    if kernel.artificial_flow(search.basis, n) > 0:
        return np.inf
    value = value_of(search.basis, search.masses)
    return (value - search.arcs.bound) / max(abs(value), np.finfo(float).tiny)


def allocate(n: int, m: int) -> tuple[kernel.Tree, kernel.Search]:
    """Return arrays for a tree of n sources, m sinks and a root, and its search."""
    size = n + m + 1
    parent, thread, back, last, below, atom, node = np.empty((7, size), np.uint32)
    cost, potential = np.empty((2, size))
    flow = np.empty(size, np.int64)
    basis = kernel.Tree(parent, thread, back, last, below, flow, cost, atom, node, potential)
    row, column = np.empty((2, BLOCK_ROWS), np.uint32)
    cursor, n_pivots = np.array([0, 0, 0, _step(n)]), np.zeros(1, np.int64)
    return basis, kernel.Search(row, column, np.empty(BLOCK_ROWS), cursor, n_pivots)


def _step(n: int) -> int:
    """Return a step that visits 0 … n - 1 in an order without a pattern."""
    step = max(1, round(n * 0.6180339887498949))
    while math.gcd(step, n) > 1:
        step += 1
    return step


def value_of(basis: kernel.Tree, masses: IntegerMasses) -> float:
    """Return the cost of the flow, artificial arcs included, in cost × mass."""
    return float(basis.flow.astype(np.float64) @ basis.cost) * masses.unit


def stranded_rows(basis: kernel.Tree, n: int) -> IntArray:
    """Return the sources that send mass to the root."""
    return np.flatnonzero(_left_over(basis)[:n])


def _left_over(basis: kernel.Tree) -> IntArray:
    """Return the flow between each atom and the root, by atom (n + m,)."""
    node = basis.node[:-1]
    return np.where(basis.parent[node] == 0, basis.flow[node], 0)


def plan_of(
    basis: kernel.Tree, masses: IntegerMasses, shape: tuple[int, int], *, keep_artificial: bool
) -> Arcs:
    """Read the plan from the tree; couple artificial flow by the north-west corner rule."""
    n, m = shape
    rows, columns, integer = np.empty((3, n + m), np.int64)
    n_arcs = kernel.read_plan(basis, n, rows, columns, integer)
    rows, columns, integer = rows[:n_arcs], columns[:n_arcs], integer[:n_arcs]
    if keep_artificial:
        left = _left_over(basis)
        i, j, rest = northwest(left[:n], left[n:])
        rows, columns = np.concatenate([rows, i]), np.concatenate([columns, j])
        integer = np.concatenate([integer, rest])
    return Arcs(rows, columns, np.multiply(integer, masses.unit, dtype=np.float64))
