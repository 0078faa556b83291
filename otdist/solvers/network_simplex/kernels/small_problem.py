"""Solves a problem with a small matrix in one call, from masses to plan.

All arcs are priced. The potentials to start from come from coarser problems, as in
`solvers.coarsen`: atoms are grouped, one atom represents each group, and potentials are
extended to the finer problem by the c-transform. Where rows with similar costs to some columns
differ in others, atoms form no groups: the search then begins with artificial arcs of low
cost, and raises them.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from otdist.compiled.costs import carry_over, central, kd_order, spread
from otdist.compiled.simd import least_difference, smaller
from otdist.plans.kernels.integer_masses import quantise
from otdist.runtime.kernel_cache import njit
from otdist.solvers.network_simplex.kernels.simplex import (
    DONE,
    MORE,
    Search,
    Tree,
    artificial_flow,
    exact_masses,
    hang_on_root,
    read_plan,
    run,
    set_artificial_costs,
)

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
inlined = njit(**_FLAGS, inline="always")

_COARSEST = 16  # groups of the coarsest problem, about
_SPREAD = 0.3
_LOOSE = 1e-3  # tolerance of coarse problems, beside the costs between groups


class Room(NamedTuple):
    """Arrays for the tree and the search of n sources and m sinks.

    They are made in Python: kernels that make arrays count the references to all of
    them, and take twice as long.
    """

    ids: np.ndarray  # (9, n + m + 1 + n_block) uint32
    integers: np.ndarray  # (3, n + m + 3) int64
    floats: np.ndarray  # (2, n + m + 1 + n_block) float64
    sums: np.ndarray  # (2, n + m + 1) float64


@inlined
def search_in(room: Room, size: int, n_block: int, potential: np.ndarray) -> Any:
    """Return a tree of so many nodes, and its search, in parts of the arrays given."""
    ids, integers, floats = room.ids, room.integers, room.floats
    tree = Tree(
        ids[0, :size],
        ids[1, :size],
        ids[2, :size],
        ids[3, :size],
        ids[4, :size],
        integers[0, :size],
        floats[0, :size],
        ids[5, :size],
        ids[6, :size],
        potential,
    )
    cursor, n_pivots = integers[2, :4], integers[2, 4:5]
    cursor[0] = cursor[1] = cursor[2] = n_pivots[0] = 0
    cursor[3] = 1
    search = Search(ids[7, :n_block], ids[8, :n_block], floats[1, :n_block], cursor, n_pivots)
    return tree, search


@inner
def _search(
    cost: np.ndarray,
    masses: np.ndarray,
    start: np.ndarray,
    scale: float,
    tolerance: float,
    margin: float,
    growth: float,
    budget: int,
    max_pivots: int,
    tree: Tree,
    search: Search,
) -> int:
    """Pivot from artificial arcs to the optimum; MORE if a limit came first.

    Of `start` (n + m,) the second part is given, g, and the first becomes its
    c-transform. A margin too small leaves artificial flow, and is raised.
    """
    n, n_block = cost.shape[0], search.row.size
    for i in range(n):
        start[i] = least_difference(cost[i], start[n:])[0]
    hang_on_root(tree, masses[:n], masses[n:], start, margin)
    while True:
        code = run(cost, tree, search, n_block, tolerance, budget, max_pivots)
        if code == MORE:
            return MORE
        is_short = artificial_flow(tree, n) > 0
        if is_short:
            # There are forbidden arcs, or paths that are longer than any arc.
            if margin > scale:
                return MORE
            margin *= growth
        # Artificial arcs without flow need no margin; without it potentials are of the size of
        # costs.
        of_sources, of_sinks = (margin, margin) if is_short else (0.0, 2.0 * margin)
        set_artificial_costs(tree, n, start, of_sources, of_sinks)
        if is_short:
            continue
        rounding = _rounding(tree.potential)
        if tolerance > 1e-6 * scale or not rounding < tolerance / 2:
            return DONE
        tolerance = rounding


@inlined
def _rounding(potential: np.ndarray) -> float:
    """Return a bound on the rounding of a reduced cost."""
    largest = 0.0
    for k in range(potential.size):
        largest = max(largest, abs(potential[k]))
    return 8 * 2.0**-52 * largest


@inner
def _coordinates(cost: np.ndarray, first: int, scale: float, x: np.ndarray, y: np.ndarray) -> None:
    """Write the costs to some columns as coordinates of the rows, and so of columns.

    They are at most 1, so that squares neither over- nor underflow.
    """
    n, m = cost.shape
    unit = math.ldexp(1.0, -math.frexp(scale)[1])
    for k in range(x.shape[0]):
        # Spread evenly, as multiples of the golden ratio are.
        place = (first + k) * 0.6180339887498949
        place -= math.floor(place)
        row, column = int(place * n), int(place * m)
        for i in range(n):
            x[k, i] = cost[i, column] * unit
        for j in range(m):
            y[k, j] = cost[row, j] * unit


class Scratch(NamedTuple):
    """Arrays for coarse problems of no more than 2 ** depth groups, G."""

    x: np.ndarray  # (2, d, n) float64
    y: np.ndarray  # (2, d, m) float64
    order: np.ndarray  # (n + m,) int64; on entry 0 … n - 1, 0 … m - 1
    chosen: np.ndarray  # (2, 2 G) int64
    floats: np.ndarray  # (4, 2 G + 1) float64, or (4, d) if d is more
    matrix: np.ndarray  # (G, G) float64


@kernel
def coarse_start(
    cost: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    total: float,
    scale: float,
    depth: int,
    n_block: int,
    budget: int,
    room: Room,
    scratch: Scratch,
    g: np.ndarray,
) -> bool:
    """Write potentials g (m,) of coarser problems; False where atoms form no groups.

    Masses are positive and sum to `total`, no arc is forbidden.
    """
    n = a.size
    x, y = scratch.x[0], scratch.y[0]
    test_x, test_y = scratch.x[1], scratch.y[1]
    order_x, order_y = scratch.order[:n], scratch.order[n:]
    _coordinates(cost, 0, scale, x, y)
    _coordinates(cost, x.shape[0], scale, test_x, test_y)
    kd_order(x, depth, order_x)
    kd_order(y, depth, order_y)
    if max(spread(test_x, order_x, depth), spread(test_y, order_y, depth)) > _SPREAD:
        return False
    masses, start = scratch.floats[0], scratch.floats[1]
    f, potential = scratch.floats[2], scratch.floats[3]
    level = depth
    while (1 << level) > 2 * _COARSEST:
        level -= 2
    margin = 2.0 * scale
    n_known = 0
    while level <= depth:
        size = 1 << level
        rows, columns = scratch.chosen[0, :size], scratch.chosen[0, size : 2 * size]
        of_rows, of_columns = masses[:size], masses[size : 2 * size]
        central(x, a, order_x, level, potential, rows, of_rows)
        central(y, b, order_y, level, potential, columns, of_columns)
        whole = room.integers[1, : 2 * size]
        quantise(of_rows, of_columns, 1.0, total, whole[:size], whole[size:])
        start[: 2 * size] = 0.0
        known = scratch.chosen[1, :n_known]
        if n_known > 0:
            part = start[size : 2 * size]
            carry_over(cost, known, f[:n_known], columns, part)
            margin = 0.1 * scale
        coarse = scratch.matrix[:size, :size]
        for k in range(size):
            row = cost[rows[k]]
            for q in range(size):
                coarse[k, q] = row[columns[q]]
        nodes = potential[: 2 * size + 1]
        tree, search = search_in(room, 2 * size + 1, n_block, nodes)
        # A coarse problem need not be solved to less than the size of its groups.
        tolerance = _LOOSE * scale / math.sqrt(size)
        _search(
            coarse,
            whole,
            start[: 2 * size],
            scale,
            tolerance,
            margin,
            8.0,
            budget,
            1 << 62,
            tree,
            search,
        )
        n_known = size
        for k in range(size):
            scratch.chosen[1, k], f[k] = rows[k], potential[k]
        level += 2
    g[:] = np.inf
    for k in range(n_known):
        row, f_k = cost[scratch.chosen[1, k]], f[k]
        for j in range(g.size):
            g[j] = smaller(row[j] - f_k, g[j])
    return True


@kernel
def solve_small(
    cost: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    total: float,
    scale: float,
    margin: float,
    growth: float,
    n_block: int,
    budget: int,
    max_pivots: int,
    blur: float,
    room: Room,
    start: np.ndarray,
    arcs: np.ndarray,
    mass: np.ndarray,
    potential: np.ndarray,
) -> tuple[int, int, int]:
    """Solve a problem in one call, in the ordinary case.

    Masses are positive and sum to `total`. Of `start` (n + m,) the second part is g to
    start from, the first scratch; artificial arcs cost `margin` more, and `growth` times
    that where it was too small. `arcs` (2, n + m) receives rows and columns of the plan,
    `mass` (n + m,) their masses, `potential` (n + m + 1,) f, g and the root's. Returns
    a code, the number of arcs, and that of pivots. The code is MORE, and the rest is void, where a
    limit was met, artificial flow is left, or rounding may exceed `blur` times the value.
    """
    n, m = cost.shape
    tree, search = search_in(room, n + m + 1, n_block, potential)
    whole = room.integers[1, : n + m]
    unit, is_exact = quantise(a, b, 1.0, total, whole[:n], whole[n:])
    tolerance = 1e-13 * scale
    code = _search(
        cost, whole, start, scale, tolerance, margin, growth, budget, max_pivots, tree, search
    )
    if code == MORE:
        return MORE, 0, 0
    value = units = 0.0
    for node in range(1, n + m + 1):
        value += tree.flow[node] * tree.cost[node]
    for i in range(n):
        units += whole[i]
    if 0 < blur * abs(value) < _rounding(tree.potential) * units:
        return MORE, 0, 0
    n_arcs = read_plan(tree, n, arcs[0], arcs[1], whole)
    for k in range(n_arcs):
        mass[k] = whole[k] * unit
    if not is_exact:
        exact_masses(tree, a, b, room.sums, mass)
    return DONE, n_arcs, search.n_pivots[0]
