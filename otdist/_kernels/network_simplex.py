"""Network simplex for transport: which arc enters the tree next.

The reduced cost of an arc is ``cost[i, j] - f[i] - g[j]``, and an arc enters when it
is negative. Arcs are priced by rows, a block of them at a time; the best arc of each
row is a candidate, and of those the most violating one is brought into the tree until
none violates. The arcs are those of a matrix (`run`), or lists of some (`run_on_lists`);
of the tree nothing is of the size of the matrix.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import config, njit
from numba.extending import intrinsic

from otdist._kernels.tree import (
    Tree,
    artificial_flow,
    hang_on_root,
    pivot,
    quantise,
    read_plan,
    renumber,
    set_artificial_costs,
)

DONE = 0  # no arc has a negative reduced cost
MORE = 1  # the work budget of this call is used up

_CHUNK = 256  # columns priced between two looks at the minimum
_NOISE = 2.0**-49  # rounding of a reduced cost, as a part of the two potentials
_RENUMBER = 4  # nodes are numbered anew after as many pivots as this part of them


class Search(NamedTuple):
    """Where pricing stands between two calls."""

    row: np.ndarray  # (K,) uint32, candidate arcs by their atoms
    column: np.ndarray  # (K,) uint32
    cost: np.ndarray  # (K,) float64
    # (3,) int64: next row to price, number of candidates, pivots at the next renumbering
    cursor: np.ndarray
    n_pivots: np.ndarray  # (1,) int64


def _plain_smaller(x: float, y: float) -> float:
    """Return the smaller of two numbers, for runs without compilation."""
    return min(y, x)


@intrinsic
def _simd_smaller(typing_context: Any, x: Any, y: Any) -> Any:
    """Return the smaller of two numbers, as an instruction LLVM vectorises.

    Plain Python stays scalar, five times slower. ``inf`` is legal here, NaN is not.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flags = ("nnan", "nsz")
        is_less = builder.fcmp_ordered("<", args[0], args[1], flags=flags)
        return builder.select(is_less, args[0], args[1], flags=flags)

    return x(x, x), generate


_jit_is_off = getattr(config, "DISABLE_JIT", False)
_smaller: Any = _plain_smaller if _jit_is_off else _simd_smaller


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"nnan", "nsz"})
def _row_minimum(cost_row: np.ndarray, g: np.ndarray) -> tuple[float, int]:
    """Return the smallest ``cost_row[j] - g[j]`` and where its chunk of j begins."""
    smallest = np.inf
    begin = 0
    for start in range(0, g.size, _CHUNK):
        # Slices, since a loop over part of an array stays scalar.
        cost_part = cost_row[start : start + _CHUNK]
        g_part = g[start : start + _CHUNK]
        least = np.inf
        for j in range(g_part.size):
            least = _smaller(cost_part[j] - g_part[j], least)
        if least < smallest:
            smallest = least
            begin = start
    return smallest, begin


@njit(cache=True, error_model="numpy", nogil=True)
def _place_of(cost_row: np.ndarray, g: np.ndarray, smallest: float, begin: int) -> int:
    """Return the last j of the chunk with ``cost_row[j] - g[j] <= smallest``."""
    cost_part = cost_row[begin : begin + _CHUNK]
    g_part = g[begin : begin + _CHUNK]
    last = 0
    # Without a way out, so that it vectorises: a search that stops is slower.
    for j in range(g_part.size):
        hit = j if cost_part[j] - g_part[j] <= smallest else 0
        last = hit if hit > last else last  # noqa: FURB136
    return begin + last


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _is_noise(reduced_cost: float, f: float, g: float) -> bool:
    """Whether a reduced cost, ``(cost - g) - f``, may be negative by rounding only.

    A few potentials may be far above the tolerance, which is for all of them. Whoever
    looks for arcs must ask, and compute in this order, or an arc may come for ever.
    """
    return reduced_cost >= -_NOISE * (abs(f) + abs(g))


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _collect(
    cost: np.ndarray,
    tree: Tree,
    search: Search,
    n_block: int,
    tolerance: float,
) -> int:
    """Price blocks of rows until one has violating arcs, the best of each row.

    Returns the rows priced, n of them and no candidate if the basis is optimal.
    """
    n, m = cost.shape
    f, g = tree.potential[:n], tree.potential[n : n + m]
    i = search.cursor[0]
    n_priced = 0
    n_candidates = 0
    while n_priced < n and n_candidates == 0:
        for _ in range(min(n_block, n - n_priced)):
            smallest, begin = _row_minimum(cost[i], g)
            if smallest - f[i] < -tolerance:
                j = _place_of(cost[i], g, smallest, begin)
                if not _is_noise(smallest - f[i], f[i], g[j]):
                    search.row[n_candidates] = i
                    search.column[n_candidates] = n + j
                    search.cost[n_candidates] = cost[i, j]
                    n_candidates += 1
            n_priced += 1
            i += 1
            if i == n:
                i = 0
    search.cursor[0] = i
    search.cursor[1] = n_candidates
    return n_priced


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _take_best(
    tree: Tree, search: Search, tolerance: float
) -> tuple[bool, Any, Any, float, float]:
    """Take the most violating candidate off the list, and those no longer violating.

    Returns whether there is one, its source and sink, cost and reduced cost.
    """
    best = 0
    best_cost = 0.0
    k = 0
    n_candidates = search.cursor[1]
    while k < n_candidates:
        i, j = search.row[k], search.column[k]
        reduced = (search.cost[k] - tree.potential[j]) - tree.potential[i]
        if reduced >= -tolerance:
            n_candidates -= 1
            _move_candidate(search, n_candidates, k)
            continue
        if reduced < best_cost:
            best_cost = reduced
            best = k
        k += 1
    i, j, cost = search.row[best], search.column[best], search.cost[best]
    is_found = n_candidates > 0
    if is_found:
        n_candidates -= 1
        _move_candidate(search, n_candidates, best)
    search.cursor[1] = n_candidates
    return is_found, i, j, cost, best_cost


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _move_candidate(search: Search, source: int, target: int) -> None:
    """Fill the place of a candidate that goes with the last one."""
    search.row[target] = search.row[source]
    search.column[target] = search.column[source]
    search.cost[target] = search.cost[source]


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _pivot_on_candidates(
    tree: Tree,
    search: Search,
    n: int,
    tolerance: float,
    budget: int,
    max_pivots: int,
) -> int:
    """Bring candidates into the tree until none violates; return what is left."""
    while search.cursor[1] > 0 and budget > 0 and search.n_pivots[0] < max_pivots:
        is_found, i, j, cost, reduced = _take_best(tree, search, tolerance)
        f, g = tree.potential[i], tree.potential[j]
        # Asked here: within `_take_best` it made the whole search 40 % slower.
        if is_found and not _is_noise(reduced, f, g):
            budget -= 8 * pivot(tree, n, i, j, cost, reduced)
            search.n_pivots[0] += 1
    return budget


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def run(
    cost: np.ndarray,
    tree: Tree,
    search: Search,
    n_block: int,
    tolerance: float,
    budget: int,
    max_pivots: int,
) -> int:
    """Pivot until no arc violates by more than `tolerance`, or a limit is met.

    The budget counts matrix entries priced, and 8 for each tree node touched,
    about equal times; `max_pivots` counts all pivots of the search. All state
    is in `tree` and `search`, written in place.
    """
    n, m = cost.shape
    while budget > 0 and search.n_pivots[0] < max_pivots:
        if search.cursor[1] == 0:
            budget -= m * _collect(cost, tree, search, n_block, tolerance)
            if search.cursor[1] == 0:
                return DONE
        budget = _pivot_on_candidates(tree, search, n, tolerance, budget, max_pivots)
    return MORE


@njit(cache=True, error_model="numpy", nogil=True)
def solve_small(
    cost: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    total: float,
    scale: float,
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
    masses are exact. The code is MORE, and nothing else counts, where a limit was met,
    artificial flow is left, or rounding may hide more than `blur` of the value.
    """
    n, m = cost.shape
    # The same arrays as `_exact.tree.allocate` makes for a search in many calls.
    ids, of_arcs = np.empty((7, n + m + 1), np.uint32), np.empty(n + m + 1)
    flow, whole = np.empty(n + m + 1, np.int64), np.empty(n + m, np.int64)
    tree = Tree(
        ids[0],
        ids[1],
        ids[2],
        ids[3],
        ids[4],
        flow,
        of_arcs,
        ids[5],
        ids[6],
        potential,
    )
    ends, costs = np.empty((2, n_block), np.uint32), np.empty(n_block)
    cursor, n_pivots = np.empty(3, np.int64), np.empty(1, np.int64)
    cursor[0] = cursor[1] = cursor[2] = n_pivots[0] = 0
    search = Search(ends[0], ends[1], costs, cursor, n_pivots)
    start = np.empty(n + m)
    for j in range(m):
        start[n + j] = 0.0
    for i in range(n):
        start[i] = _row_minimum(cost[i], start[n:])[0]
    unit, is_exact = quantise(a, b, total, whole)
    hang_on_root(tree, whole[:n], whole[n:], start, 2 * scale)
    tolerance = 1e-13 * scale
    while True:
        code = run(cost, tree, search, n_block, tolerance, budget, max_pivots)
        if code == MORE or artificial_flow(tree, n) > 0:
            return MORE, 0, 0, False
        # They carry nothing: without their margin potentials are of the size of costs.
        set_artificial_costs(tree, n, start, 0.0, 4 * scale)
        rounding = 0.0
        for k in range(potential.size):
            rounding = max(rounding, 8 * 2.0**-52 * abs(potential[k]))
        if not rounding < tolerance / 2:
            break
        tolerance = rounding
    value = units = 0.0
    for node in range(1, n + m + 1):
        value += tree.flow[node] * tree.cost[node]
    for i in range(n):
        units += whole[i]
    if 0 < blur * abs(value) < rounding * units:
        return MORE, 0, 0, False
    n_arcs = read_plan(tree, n, arcs[0], arcs[1], whole)
    for k in range(n_arcs):
        mass[k] = whole[k] * unit
    return DONE, n_arcs, n_pivots[0], is_exact


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    fastmath={"nnan", "nsz"},
)
def _list_minimum(cost: np.ndarray, other: np.ndarray, potential: np.ndarray) -> float:
    """Return the smallest ``cost[k] - potential[other[k]]``, inf if there is none."""
    least = np.inf
    for k in range(cost.size):
        least = _smaller(cost[k] - potential[other[k]], least)
    return least


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _best_of_list(
    cost: np.ndarray, other: np.ndarray, potential: np.ndarray, least: float
) -> int:
    """Return the first k that attains the minimum."""
    k = 0
    while cost[k] - potential[other[k]] > least:
        k += 1
    return k


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _collect_from_lists(
    lists: Any, tree: Tree, search: Search, n_block: int, tolerance: float
) -> int:
    """Do as `_collect`, on candidate arcs only; return the arcs priced.

    Where another row has a more violated arc to the same column, that one is taken,
    or rows that want one column would get it in turn. It saves up to 5 pivots in 6.
    """
    n, m = lists.row_start.size - 1, lists.column_start.size - 1
    f, g = tree.potential[:n], tree.potential[n : n + m]
    i = search.cursor[0]
    n_rows = 0
    n_priced = 1
    n_candidates = 0
    while n_rows < n and n_candidates == 0:
        for _ in range(min(n_block, n - n_rows)):
            begin, end = lists.row_start[i], lists.row_start[i + 1]
            costs, columns = lists.row_cost[begin:end], lists.column[begin:end]
            least = _list_minimum(costs, columns, g)
            n_priced += costs.size
            if least - f[i] < -tolerance:
                k = _best_of_list(costs, columns, g, least)
                j, cost, source = columns[k], costs[k], i
                reduced = least - f[i]
                begin, end = lists.column_start[j], lists.column_start[j + 1]
                costs, rows = lists.column_cost[begin:end], lists.row[begin:end]
                n_priced += costs.size
                best = _list_minimum(costs, rows, f)
                if best < cost - f[i] - tolerance:
                    k = _best_of_list(costs, rows, f, best)
                    other = (costs[k] - g[j]) - f[rows[k]]
                    if not _is_noise(other, f[rows[k]], g[j]):
                        cost, source, reduced = costs[k], np.int64(rows[k]), other
                if not _is_noise(reduced, f[source], g[j]):
                    search.row[n_candidates] = source
                    search.column[n_candidates] = n + j
                    search.cost[n_candidates] = cost
                    n_candidates += 1
            n_rows += 1
            i += 1
            if i == n:
                i = 0
    search.cursor[0] = i
    search.cursor[1] = n_candidates
    return n_priced


@njit(cache=True, error_model="numpy", nogil=True)
def run_on_lists(
    lists: Any,
    tree: Tree,
    search: Search,
    n_block: int,
    tolerance: float,
    budget: int,
    max_pivots: int,
) -> int:
    """Do as `run`, on candidate arcs only (`lists.Lists`)."""
    n = lists.row_start.size - 1
    while budget > 0 and search.n_pivots[0] < max_pivots:
        if search.cursor[1] == 0:
            n_priced = _collect_from_lists(lists, tree, search, n_block, tolerance)
            budget -= 4 * n_priced
            if search.cursor[1] == 0:
                return DONE
        if search.n_pivots[0] >= search.cursor[2]:
            search.cursor[2] = search.n_pivots[0] + tree.parent.size // _RENUMBER
            renumber(tree)
        budget = _pivot_on_candidates(tree, search, n, tolerance, budget, max_pivots)
    return MORE
