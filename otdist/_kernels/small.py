"""Solves a problem with a small matrix in one call, from masses to plan.

All arcs are priced. The potentials to start from come from coarser problems, as in
`_exact.start`: atoms are grouped, one stands for each group, and potentials carry
over to the finer problem by the c-transform. Where rows that are near each other at
some columns are not near at others, atoms form no groups: the search then begins
with artificial arcs that cost little, and raises them.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from otdist._kernels.clusters import central, kd_order, spread
from otdist._kernels.network_simplex import DONE, MORE, Search, run
from otdist._kernels.simd import least_difference, smaller
from otdist._kernels.tree import (
    Tree,
    artificial_flow,
    hang_on_root,
    read_plan,
    set_artificial_costs,
)

# As in `_masses`, where they are explained.
_TOTAL_BITS = 61
_EXACT_BITS = 50

NO_GROUPS = 2  # not tried: lists of candidate arcs are better for so many arcs

_GROUP = 4  # atoms of a group, at least
_COARSEST = 16  # groups of the coarsest problem, about
_FEWEST = 200  # atoms of a side from which on a coarse start pays
_LANDMARKS = 6  # columns that serve as coordinates of the rows, and as many for a test
_SPREAD = 0.3
_LOOSE = 0.05
_GOLDEN = 0.6180339887498949


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def quantise(
    a: np.ndarray, b: np.ndarray, total: float, whole: np.ndarray
) -> tuple[float, bool]:
    """Write masses that sum to `total` as integers, as `_masses.quantise` does.

    `whole` (n + m,) receives them. Returns the unit, and whether they are exact.
    """
    n, m = a.size, b.size
    # In loops: expressions on whole arrays take longer to compile than all of this.
    is_constant = True
    for i in range(n):
        is_constant &= a[i] == a[0]
    for j in range(m):
        is_constant &= b[j] == b[0]
    if is_constant:
        common, rest = n, m
        while rest > 0:
            common, rest = rest, common % rest
        for k in range(n + m):
            whole[k] = m // common if k < n else n // common
        return a[0] / (m // common), True
    shift = _TOTAL_BITS - math.frexp(total)[1]
    is_exact = True
    missing = 0
    for k in range(n + m):
        scaled = math.ldexp(a[k] if k < n else b[k - n], shift)
        whole[k] = max(np.int64(np.rint(scaled)), 1)
        is_exact &= abs(whole[k] - scaled) <= scaled * 2.0**-_EXACT_BITS
        missing += whole[k] if k < n else -whole[k]
    # The largest mass of the lighter side takes what is missing there.
    largest, end = (n, n + m) if missing >= 0 else (0, n)
    for k in range(largest + 1, end):
        if whole[k] > whole[largest]:
            largest = k
    is_exact &= abs(missing) <= whole[largest] >> _EXACT_BITS
    whole[largest] += abs(missing)
    return math.ldexp(1.0, -shift), is_exact


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _new_search(n: int, m: int, n_block: int, potential: np.ndarray) -> Any:
    """Return arrays for a tree and its search, as `_exact.tree.allocate` makes them."""
    size = n + m + 1
    ids, costs, flow = (
        np.empty((7, size), np.uint32),
        np.empty(size),
        np.empty(size, np.int64),
    )
    tree = Tree(
        ids[0], ids[1], ids[2], ids[3], ids[4], flow, costs, ids[5], ids[6], potential
    )
    ends, cursor = np.empty((2, n_block), np.uint32), np.zeros(3, np.int64)
    n_pivots = np.zeros(1, np.int64)
    return tree, Search(ends[0], ends[1], np.empty(n_block), cursor, n_pivots)


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
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
        if artificial_flow(tree, n) > 0:
            # Forbidden arcs, or paths that are longer than any arc.
            if margin > scale:
                return MORE
            margin *= growth
            set_artificial_costs(tree, n, start, margin, margin)
            continue
        # They carry nothing: without their margin potentials are of the size of costs.
        set_artificial_costs(tree, n, start, 0.0, 2.0 * margin)
        rounding = _rounding(tree.potential)
        if tolerance > 1e-6 * scale or not rounding < tolerance / 2:
            return DONE
        tolerance = rounding


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _rounding(potential: np.ndarray) -> float:
    """Return what rounding may make of a reduced cost."""
    largest = 0.0
    for k in range(potential.size):
        largest = max(largest, abs(potential[k]))
    return 8 * 2.0**-52 * largest


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _landmark(k: int, size: int) -> int:
    """Return the k-th of some indices that are spread evenly."""
    return int((0.5 + k * _GOLDEN) % 1.0 * size)


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _coordinates(cost: np.ndarray, first: int, x: np.ndarray, y: np.ndarray) -> None:
    """Write the costs to some columns as coordinates of the rows, and so of columns."""
    n, m = cost.shape
    for k in range(_LANDMARKS):
        row, column = _landmark(first + k, n), _landmark(first + k, m)
        for i in range(n):
            x[k, i] = cost[i, column]
        for j in range(m):
            y[k, j] = cost[row, j]


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _coarse_start(
    cost: np.ndarray,
    masses: np.ndarray,
    scale: float,
    n_block: int,
    budget: int,
    g: np.ndarray,
) -> bool:
    """Write potentials g (m,) of coarser problems; False where atoms form no groups."""
    n, m = cost.shape
    depth = 1
    while (_GROUP << depth) < min(n, m):
        depth += 1
    order_x, order_y = np.arange(n), np.arange(m)
    x, y = np.empty((_LANDMARKS, n)), np.empty((_LANDMARKS, m))
    _coordinates(cost, 0, x, y)
    kd_order(x, depth, order_x)
    kd_order(y, depth, order_y)
    test_x, test_y = np.empty((_LANDMARKS, n)), np.empty((_LANDMARKS, m))
    _coordinates(cost, _LANDMARKS, test_x, test_y)
    if spread(test_x, order_x, depth) > _SPREAD:
        return False
    if spread(test_y, order_y, depth) > _SPREAD:
        return False
    level = depth
    while (1 << level) > 2 * _COARSEST:
        level -= 2
    most = 1 << depth
    rows, columns = np.empty(most, np.int64), np.empty(most, np.int64)
    parts, centre = np.empty(2 * most, np.int64), np.empty(_LANDMARKS)
    f, start = np.empty(most), np.zeros(2 * most)
    n_known = 0
    while level <= depth:
        size = 1 << level
        previous = rows[:n_known].copy()
        central(x, masses[:n], order_x, level, centre, rows, parts[:size])
        central(y, masses[n:], order_y, level, centre, columns, parts[size:])
        coarse = np.empty((size, size))
        for k in range(size):
            for q in range(size):
                coarse[k, q] = cost[rows[k], columns[q]]
        for q in range(size):
            least = np.inf if n_known > 0 else 0.0
            for k in range(n_known):
                least = min(least, cost[previous[k], columns[q]] - f[k])
            start[size + q] = least
        margin = 0.1 * scale if n_known > 0 else 2.0 * scale
        tree, search = _new_search(size, size, n_block, np.empty(2 * size + 1))
        _search(
            coarse,
            parts[: 2 * size],
            start[: 2 * size],
            scale,
            _LOOSE * scale / np.sqrt(size),
            margin,
            8.0,
            budget,
            1 << 62,
            tree,
            search,
        )
        f[:size] = tree.potential[:size]
        n_known = size
        level += 2
    g[:] = np.inf
    for k in range(n_known):
        row, f_k = cost[rows[k]], f[k]
        for j in range(m):
            g[j] = smaller(row[j] - f_k, g[j])
    return True


@njit(cache=True, error_model="numpy", nogil=True)
def solve_small(
    cost: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    total: float,
    scale: float,
    has_forbidden: bool,
    needs_groups: bool,
    n_block: int,
    budget: int,
    max_pivots: int,
    blur: float,
    arcs: np.ndarray,
    mass: np.ndarray,
    potential: np.ndarray,
) -> tuple[int, int, int, bool]:
    """Solve a problem in one call: all that is needed where nothing goes wrong.

    Masses are positive and sum to `total`. `arcs` (2, n + m) receives rows and columns
    of the plan, `mass` (n + m,) what they carry, `potential` (n + m + 1,) f, g and the
    root's. Returns a code, the number of arcs, that of pivots, and whether the integer
    masses are exact. The code is MORE, and nothing is written, where a limit was met,
    artificial flow is left, or rounding may hide more than `blur` of the value; it is
    NO_GROUPS if groups were asked for and there are none.
    """
    n, m = cost.shape
    whole, start = np.empty(n + m, np.int64), np.zeros(n + m)
    unit, is_exact = quantise(a, b, total, whole)
    margin, growth = 2.0 * scale, 8.0
    if min(n, m) >= _FEWEST and not has_forbidden:
        if _coarse_start(cost, whole, scale, n_block, budget, start[n:]):
            margin = 0.1 * scale
        elif needs_groups:
            return NO_GROUPS, 0, 0, False
        else:
            margin, growth = 0.01 * scale, 4.0
    elif needs_groups:
        return NO_GROUPS, 0, 0, False
    tree, search = _new_search(n, m, n_block, potential)
    code = _search(
        cost, whole, start, scale, 1e-13 * scale, margin, growth, budget, max_pivots, tree, search
    )
    if code == MORE:
        return MORE, 0, 0, False
    value = units = 0.0
    for node in range(1, n + m + 1):
        value += tree.flow[node] * tree.cost[node]
    for i in range(n):
        units += whole[i]
    if 0 < blur * abs(value) < _rounding(potential) * units:
        return MORE, 0, 0, False
    n_arcs = read_plan(tree, n, arcs[0], arcs[1], whole)
    for k in range(n_arcs):
        mass[k] = whole[k] * unit
    return DONE, n_arcs, search.n_pivots[0], is_exact
