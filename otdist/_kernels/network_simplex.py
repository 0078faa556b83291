"""Network simplex for dense transport: pricing by rows, flow on the tree only.

The nodes are the n sources ``0 .. n-1``, the m sinks ``n .. n+m-1`` and one
artificial root ``n+m``. A basis is a spanning tree; the arc between a node and
its parent is stored at the node, so the state is O(n + m) and no array of the
size of the cost exists besides the cost. The direction of a tree arc needs no
storage: arcs go from sources to sinks, so the arc above a source leads up and
the arc above a sink leads down. The root plays a sink for the sources and a
source for the sinks.

Flows are integers, which makes ties exact, and every basis is *strongly
feasible*: an arc that leads down (above a sink) carries flow > 0. The leaving
rule keeps it so, and with it the method ends however degenerate the problem is
(Cunningham, 1976; Ahuja, Magnanti, Orlin, *Network Flows*, 1993, 11.6).

Potentials satisfy ``f[i] + g[j] = cost[i, j]`` on tree arcs; the reduced cost
of any arc is ``cost[i, j] - f[i] - g[j]``, and an arc enters when it is
negative.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import config, njit
from numba.extending import intrinsic

DONE = 0  # no arc has a negative reduced cost
MORE = 1  # the work budget of this call is used up

_CHUNK = 256  # columns priced between two looks at the minimum


class Tree(NamedTuple):
    """A rooted spanning tree with flow and potentials; N = n + m + 1 nodes.

    Children of a node are a doubly linked list, so that a subtree is cut and
    linked in O(1).
    """

    parent: np.ndarray  # (N,) int32, -1 at the root
    first: np.ndarray  # (N,) int32, first child or -1
    after: np.ndarray  # (N,) int32, next sibling or -1
    before: np.ndarray  # (N,) int32, previous sibling or -1
    depth: np.ndarray  # (N,) int32
    flow: np.ndarray  # (N,) int64, on the arc between the node and its parent
    potential: np.ndarray  # (N,) float64


class Search(NamedTuple):
    """Where pricing stands between two calls."""

    row: np.ndarray  # (K,) int32, candidate arcs
    column: np.ndarray  # (K,) int32, node of the sink
    cost: np.ndarray  # (K,) float64
    cursor: np.ndarray  # (2,) int64: next row to price, number of candidates
    counts: np.ndarray  # (3,) int64: pivots, degenerate pivots, rows priced


def _plain_smaller(x: float, y: float) -> float:
    """Return the smaller of two numbers, for runs without compilation."""
    return min(y, x)


@intrinsic
def _simd_smaller(typing_context: Any, x: Any, y: Any) -> Any:
    """Return the smaller of two numbers, as an instruction LLVM vectorises.

    Written in Python the reduction stays scalar, five times slower. ``inf``
    (a forbidden arc) is legal here, NaN is not.
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


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _first_at_most(
    cost_row: np.ndarray, g: np.ndarray, level: float, begin: int
) -> int:
    """Return the first j >= begin with ``cost_row[j] - g[j] <= level``."""
    j = begin
    while cost_row[j] - g[j] > level:
        j += 1
    return j


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _cut(tree: Tree, node: int) -> None:
    """Take the node off its parent's list of children."""
    before, after = tree.before[node], tree.after[node]
    if before >= 0:
        tree.after[before] = after
    else:
        tree.first[tree.parent[node]] = after
    if after >= 0:
        tree.before[after] = before


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _link(tree: Tree, node: int, parent: int) -> None:
    """Put the node on the parent's list of children."""
    head = tree.first[parent]
    tree.after[node] = head
    tree.before[node] = -1
    if head >= 0:
        tree.before[head] = node
    tree.first[parent] = node
    tree.parent[node] = parent


@njit(cache=True, error_model="numpy", nogil=True)
def _next_in_subtree(tree: Tree, node: int, top: int) -> int:
    """Return the node after `node` in the preorder below `top`, or -1."""
    child = tree.first[node]
    if child >= 0:
        return child
    while node != top and tree.after[node] < 0:
        node = tree.parent[node]
    if node == top:
        return -1
    return tree.after[node]


@njit(cache=True, error_model="numpy", nogil=True)
def _shift_subtree(tree: Tree, n: int, top: int, step: float) -> int:
    """Set depths below `top`; add `step` to f and subtract it from g there."""
    n_moved = 0
    node = top
    while node >= 0:
        n_moved += 1
        tree.depth[node] = tree.depth[tree.parent[node]] + 1
        if node < n:
            tree.potential[node] += step
        else:
            tree.potential[node] -= step
        node = _next_in_subtree(tree, node, top)
    return n_moved


@njit(cache=True, error_model="numpy", nogil=True)
def raise_artificial(tree: Tree, n: int, step: float) -> None:
    """Make every artificial arc dearer by `step`."""
    top = tree.first[tree.parent.size - 1]
    while top >= 0:
        _shift_subtree(tree, n, top, step if top < n else -step)
        top = tree.after[top]


@njit(cache=True, error_model="numpy", nogil=True)
def refresh(cost: np.ndarray, tree: Tree, n: int, shift: float) -> None:
    """Recompute potentials from the tree, so that rounding does not build up.

    `shift` is added to f and taken from g, which changes no reduced cost.
    """
    root = tree.parent.size - 1
    top = tree.first[root]
    while top >= 0:
        tree.potential[top] += shift if top < n else -shift
        node = _next_in_subtree(tree, top, top)
        while node >= 0:
            parent = tree.parent[node]
            source, sink = (node, parent - n) if node < n else (parent, node - n)
            arc_cost = cost[source, sink]
            tree.potential[node] = arc_cost - tree.potential[parent]
            node = _next_in_subtree(tree, node, top)
        top = tree.after[top]


@njit(cache=True, error_model="numpy", nogil=True)
def _pivot(tree: Tree, n: int, i: int, j: int, reduced_cost: float) -> tuple[int, Any]:
    """Bring the arc from source i to sink node j into the tree.

    Returns the work done: nodes passed on the cycle and nodes moved.
    """
    flow, parent, depth = tree.flow, tree.parent, tree.depth
    # Flow grows along i -> j and around the cycle. It falls on arcs that lead up
    # from a source on i's side and down to a sink on j's side. Of the arcs that
    # block first, the last one met when the cycle is walked from its apex in the
    # direction of the new flow leaves: `<` on i's side, `<=` on j's side.
    x, y = i, j
    delta_i = np.int64(9223372036854775807)
    delta_j = delta_i
    out_i = out_j = -1
    work = 0
    while x != y:
        work += 1
        if depth[x] >= depth[y]:
            if x < n and flow[x] < delta_i:
                delta_i = flow[x]
                out_i = x
            x = parent[x]
        else:
            if y >= n and flow[y] <= delta_j:
                delta_j = flow[y]
                out_j = y
            y = parent[y]
    apex = x
    if delta_i < delta_j:
        delta, out, lower, upper = delta_i, out_i, i, j
    else:
        delta, out, lower, upper = delta_j, out_j, j, i
    if delta > 0:
        x = i
        while x != apex:
            flow[x] += -delta if x < n else delta
            x = parent[x]
        y = j
        while y != apex:
            flow[y] += -delta if y >= n else delta
            y = parent[y]
    # Reverse the path lower .. out and hang it under the entering arc.
    node, new_parent, new_flow = lower, upper, delta
    while True:
        old_parent, old_flow = parent[node], flow[node]
        _cut(tree, node)
        _link(tree, node, new_parent)
        flow[node] = new_flow
        if node == out:
            break
        node, new_parent, new_flow = old_parent, node, old_flow
    step = reduced_cost if lower < n else -reduced_cost
    work += _shift_subtree(tree, n, lower, step)
    return work, delta


@njit(cache=True, error_model="numpy", nogil=True)
def _collect(
    cost: np.ndarray, tree: Tree, search: Search, n_block: int, tolerance: float
) -> int:
    """Price blocks of rows until one has violating arcs, the best of each row.

    Returns the rows priced, n of them and no candidate if the basis is optimal.
    """
    n, m = cost.shape
    g = tree.potential[n : n + m]
    i = search.cursor[0]
    n_priced = 0
    n_candidates = 0
    while n_priced < n and n_candidates == 0:
        for _ in range(min(n_block, n - n_priced)):
            smallest, begin = _row_minimum(cost[i], g)
            if smallest - tree.potential[i] < -tolerance:
                j = _first_at_most(cost[i], g, smallest, begin)
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
    search.counts[2] += n_priced
    return n_priced


@njit(cache=True, error_model="numpy", nogil=True)
def _best_candidate(
    tree: Tree, search: Search, tolerance: float
) -> tuple[Any, Any, float]:
    """Take the most violating candidate off the list, and those no longer violating.

    Returns its source, sink node and reduced cost; source -1 if none is left.
    """
    best = -1
    best_cost = -tolerance
    k = 0
    n_candidates = search.cursor[1]
    while k < n_candidates:
        i, j = search.row[k], search.column[k]
        reduced = search.cost[k] - tree.potential[i] - tree.potential[j]
        if reduced >= -tolerance:
            n_candidates -= 1
            _move_candidate(search, n_candidates, k)
            continue
        if reduced < best_cost:
            best_cost = reduced
            best = k
        k += 1
    if best < 0:
        search.cursor[1] = 0
        return np.int32(-1), np.int32(-1), 0.0
    i, j = search.row[best], search.column[best]
    n_candidates -= 1
    _move_candidate(search, n_candidates, best)
    search.cursor[1] = n_candidates
    return i, j, best_cost


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _move_candidate(search: Search, source: int, target: int) -> None:
    """Fill the place of a candidate that goes with the last one."""
    search.row[target] = search.row[source]
    search.column[target] = search.column[source]
    search.cost[target] = search.cost[source]


@njit(cache=True, error_model="numpy", nogil=True)
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
    while budget > 0 and search.counts[0] < max_pivots:
        if search.cursor[1] == 0:
            n_priced = _collect(cost, tree, search, n_block, tolerance)
            budget -= n_priced * m
            if search.cursor[1] == 0:
                return DONE
        while search.cursor[1] > 0 and budget > 0 and search.counts[0] < max_pivots:
            i, j, reduced = _best_candidate(tree, search, tolerance)
            if i < 0:
                break
            work, delta = _pivot(tree, n, i, j, reduced)
            search.counts[0] += 1
            search.counts[1] += delta == 0
            budget -= 8 * work
    return MORE
