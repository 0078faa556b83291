"""Network simplex for transport: which arc enters the tree next.

The reduced cost of an arc is ``cost[i, j] - f[i] - g[j]``, and an arc enters when it
is negative. Arcs are priced by rows, a block of them at a time; the best arc of each
row is a candidate, and of those the most violating one is brought into the tree until
none violates. The arcs are those of a matrix (`run`), or lists of some (`run_on_lists`);
nothing in the tree is of the size of the matrix.
"""

from typing import Any, NamedTuple

import numpy as np

from otdist.compiled.simd import least_difference, smaller
from otdist.runtime.kernel_cache import njit
from otdist.solvers.network_simplex.kernels.spanning_tree import Tree, pivot, renumber

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
finite_inner = njit(**_INNER, fastmath={"nnan", "nsz"})
inlined = njit(**_FLAGS, inline="always")

DONE = 0  # no arc has a negative reduced cost
MORE = 1  # the work budget of this call is used up

_NOISE = 2.0**-49  # rounding of a reduced cost, as a part of the two potentials
_RENUMBER = 4  # nodes are numbered anew after as many pivots as this part of them


class Search(NamedTuple):
    """Where pricing stands between two calls."""

    row: np.ndarray  # (K,) uint32, candidate arcs by their atoms
    column: np.ndarray  # (K,) uint32
    cost: np.ndarray  # (K,) float64
    # (4,) int64: next row to price, number of candidates, pivots at the next renumbering,
    # step between rows priced, which has no divisor in common with n
    cursor: np.ndarray
    n_pivots: np.ndarray  # (1,) int64


@inlined
def is_noise(reduced_cost: float, f: float, g: float) -> bool:
    """Whether a reduced cost, ``(cost - g) - f``, may be negative by rounding only.

    The tolerance is one for all arcs, but a few potentials may be far larger than others. All
    searches for arcs must ask this, and compute in this order: an arc that is refused here
    would otherwise be found again for ever.
    """
    return reduced_cost >= -_NOISE * (abs(f) + abs(g))


@inner
def _collect(cost: np.ndarray, tree: Tree, search: Search, n_block: int, tolerance: float) -> int:
    """Price blocks of rows until one has violating arcs, the best of each row.

    Returns the number of rows priced: n, without a candidate, if the basis is optimal.
    """
    n, m = cost.shape
    f, g = tree.potential[:n], tree.potential[n : n + m]
    i = search.cursor[0]
    n_priced = 0
    n_candidates = 0
    while n_priced < n and n_candidates == 0:
        for _ in range(min(n_block, n - n_priced)):
            smallest, j = least_difference(cost[i], g)
            reduced = smallest - f[i]
            if reduced < -tolerance and not is_noise(reduced, f[i], g[j]):
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


@inner
def _take_best(tree: Tree, search: Search, tolerance: float) -> tuple[bool, Any, Any, float, float]:
    """Take the most violating candidate off the list, and drop those that do not violate.

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


@inlined
def _move_candidate(search: Search, source: int, target: int) -> None:
    """Replace a candidate by the last one."""
    search.row[target] = search.row[source]
    search.column[target] = search.column[source]
    search.cost[target] = search.cost[source]


@inlined
def _pivot_on_candidates(
    tree: Tree, search: Search, n: int, tolerance: float, budget: int, max_pivots: int
) -> int:
    """Bring candidates into the tree until none violates; return the rest of the budget."""
    while search.cursor[1] > 0 and budget > 0 and search.n_pivots[0] < max_pivots:
        is_found, i, j, cost, reduced = _take_best(tree, search, tolerance)
        f, g = tree.potential[i], tree.potential[j]
        # Tested here, since within `_take_best` it made the whole search 40 % slower.
        if is_found and not is_noise(reduced, f, g):
            budget -= 8 * pivot(tree, n, i, j, cost, reduced)
            search.n_pivots[0] += 1
    return budget


@inlined
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


@finite_inner
def _list_minimum(cost: np.ndarray, other: np.ndarray, potential: np.ndarray) -> float:
    """Return the smallest ``cost[k] - potential[other[k]]``, inf for an empty list."""
    least = np.inf
    for k in range(cost.size):
        least = smaller(cost[k] - potential[other[k]], least)
    return least


@inner
def _best_of_list(cost: np.ndarray, other: np.ndarray, potential: np.ndarray, least: float) -> int:
    """Return the first k that attains the minimum, which is `least`."""
    k = 0
    while cost[k] - potential[other[k]] > least:
        k += 1
    return k


@inner
def _collect_from_lists(
    lists: Any, tree: Tree, search: Search, n_block: int, tolerance: float
) -> int:
    """Price rows of candidate arcs until some violate; return the number of arcs priced.

    Where another row has a more violated arc to the same column, that arc is taken: otherwise
    all rows that want the column would get it in turn. This saves up to 5 pivots in 6.
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
                    if not is_noise(other, f[rows[k]], g[j]):
                        cost, source, reduced = costs[k], np.int64(rows[k]), other
                if not is_noise(reduced, f[source], g[j]):
                    search.row[n_candidates] = source
                    search.column[n_candidates] = n + j
                    search.cost[n_candidates] = cost
                    n_candidates += 1
            n_rows += 1
            # Rows that follow each other are neighbours, and would want the same columns.
            i += search.cursor[3]
            if i >= n:
                i -= n
    search.cursor[0] = i
    search.cursor[1] = n_candidates
    return n_priced


@kernel
def run_on_lists(
    lists: Any,
    tree: Tree,
    search: Search,
    n_block: int,
    tolerance: float,
    budget: int,
    max_pivots: int,
) -> int:
    """Pivot as `run` does, on candidate arcs only (`candidate_lists.Lists`)."""
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
