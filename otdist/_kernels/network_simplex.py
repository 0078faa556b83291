"""Network simplex for dense transport: pricing by rows, flow on the tree only.

The atoms are the n sources ``0 .. n-1``, the m sinks ``n .. n+m-1`` and one
artificial one ``n+m``, the root. A basis is a spanning tree; the arc between a node and
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
_RENUMBER = 4  # nodes are numbered anew after as many pivots as this part of them


class Tree(NamedTuple):
    """A rooted spanning tree with flow and potentials; N = n + m + 1 nodes.

    The thread visits every node after its parent, subtree by subtree (preorder),
    and ends where it began, at the root: a subtree is `size` nodes in a row.

    Atoms are the n sources, the m sinks and the artificial one, n + m. Nodes are
    their numbers in the tree, dealt out anew from time to time in the order of the
    thread, so that a subtree lies together in memory; the root is node 0. Indices
    are unsigned, which spares a test for negative ones at every step.
    """

    parent: np.ndarray  # (N,) uint32, of the root the root itself
    thread: np.ndarray  # (N,) uint32, next node in preorder
    back: np.ndarray  # (N,) uint32, previous node in preorder
    last: np.ndarray  # (N,) uint32, last node of the subtree in preorder
    size: np.ndarray  # (N,) uint32, nodes of the subtree
    flow: np.ndarray  # (N,) int64, on the arc between the node and its parent
    cost: np.ndarray  # (N,) float64, of that arc
    atom: np.ndarray  # (N,) uint32, of each node
    node: np.ndarray  # (N,) uint32, of each atom
    potential: np.ndarray  # (N,) float64, of each atom


class Search(NamedTuple):
    """Where pricing stands between two calls."""

    row: np.ndarray  # (K,) uint32, candidate arcs by their atoms
    column: np.ndarray  # (K,) uint32
    cost: np.ndarray  # (K,) float64
    cursor: np.ndarray  # (2,) int64: next row to price, number of candidates
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


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _first_at_most(
    cost_row: np.ndarray, g: np.ndarray, level: float, begin: int
) -> int:
    """Return the first j >= begin with ``cost_row[j] - g[j] <= level``."""
    j = begin
    while cost_row[j] - g[j] > level:
        j += 1
    return j


@njit(cache=True, error_model="numpy", nogil=True)
def refresh(tree: Tree) -> None:
    """Recompute all potentials from the tree, so that rounding does not build up."""
    atom, potential = tree.atom, tree.potential
    potential[atom[0]] = 0.0
    node = tree.thread[0]
    while node != 0:
        above = potential[atom[tree.parent[node]]]
        potential[atom[node]] = tree.cost[node] - above
        node = tree.thread[node]


@njit(cache=True, error_model="numpy", nogil=True)
def renumber(tree: Tree) -> None:
    """Give the nodes new numbers, in the order of the thread."""
    size = tree.parent.size
    # Three of the arrays are made anew at the end and serve as room until then.
    old, new, moved = tree.back, tree.last, tree.thread
    node = np.uint32(0)
    for k in range(size):
        following = tree.thread[node]
        old[k], new[node] = node, k
        node = following
    for k in range(size):
        tree.parent[k] = new[tree.parent[k]]
    for part in (tree.parent, tree.size, tree.atom):
        for k in range(size):
            moved[k] = part[old[k]]
        for k in range(size):
            part[k] = moved[k]
    flow, cost = np.empty(size, np.int64), np.empty(size)
    for k in range(size):
        flow[k], cost[k] = tree.flow[old[k]], tree.cost[old[k]]
    for k in range(size):
        tree.flow[k], tree.cost[k] = flow[k], cost[k]
        tree.thread[k] = k + 1 if k + 1 < size else 0
        tree.back[k] = k - 1 if k > 0 else size - 1
        tree.last[k] = k + tree.size[k] - 1
        tree.node[tree.atom[k]] = k


@njit(cache=True, error_model="numpy", nogil=True)
def _shift(tree: Tree, n: int, node: Any, length: Any, step: float) -> None:
    """Add `step` to f, and take it from g, on `length` nodes in a row."""
    for _ in range(length):
        atom = tree.atom[node]
        tree.potential[atom] += step if atom < n else -step
        node = tree.thread[node]


@njit(cache=True, error_model="numpy", nogil=True)
def _rehang(
    tree: Tree, lower: int, out: int, upper: int, flow: Any, cost: float
) -> None:
    """Cut the subtree of `out` and hang it by its node `lower` under `upper`.

    The path lower .. out is turned around, with flow and costs on it. In the new
    preorder the subtree of `lower` comes first; then, for each node of the path,
    what it had before and behind the subtree just placed.
    """
    parent, thread, back = tree.parent, tree.thread, tree.back
    size, last = tree.size, tree.last
    moved, before_all, last_of_all = size[out], back[out], last[out]
    child, child_size = lower, size[lower]
    child_last, child_back = last[lower], back[lower]
    node, old_flow, old_cost = parent[lower], tree.flow[lower], tree.cost[lower]
    tail, behind = last[lower], thread[last[lower]]
    size[lower] = moved
    parent[lower], tree.flow[lower], tree.cost[lower] = upper, flow, cost
    while child != out:
        node_size, node_last, node_back = size[node], last[node], back[node]
        next_node, next_flow, next_cost = parent[node], tree.flow[node], tree.cost[node]
        thread[tail] = node
        back[node] = tail
        # What comes before the child's subtree ends where the child began.
        tail = child_back
        if node_last != child_last:
            thread[tail] = behind
            back[behind] = tail
            tail = node_last
            behind = thread[tail]
        size[node] = moved - child_size
        parent[node], tree.flow[node], tree.cost[node] = child, old_flow, old_cost
        child, child_size = node, node_size
        child_last, child_back = node_last, node_back
        node, old_flow, old_cost = next_node, next_flow, next_cost
    # Every node of the path now has all that follows it below itself.
    child = out
    while child != upper:
        last[child] = tail
        child = parent[child]
    thread[before_all] = behind
    back[behind] = before_all
    _replace_last(tree, node, last_of_all, before_all)
    following = thread[upper]
    thread[upper] = lower
    back[lower] = upper
    thread[tail] = following
    back[following] = tail
    _replace_last(tree, upper, upper, tail)


@njit(cache=True, error_model="numpy", nogil=True)
def _replace_last(tree: Tree, node: int, old: int, new: int) -> None:
    """Tell the node and its ancestors that their subtrees end elsewhere."""
    while tree.last[node] == old:
        tree.last[node] = new
        if node == 0:
            return
        node = tree.parent[node]


@njit(cache=True, error_model="numpy", nogil=True)
def _pivot(tree: Tree, n: int, i: int, j: int, cost: float, reduced_cost: float) -> Any:
    """Bring the arc from source i to sink j, given as atoms, into the tree.

    Returns the work done, in nodes touched.
    """
    flow, parent, size, atom = tree.flow, tree.parent, tree.size, tree.atom
    # Flow grows along i -> j and around the cycle. It falls on arcs that lead up
    # from a source on i's side and down to a sink on j's side. Of the arcs that
    # block first, the last one met when the cycle is walked from its apex in the
    # direction of the new flow leaves: `<` on i's side, `<=` on j's side.
    source, sink = tree.node[i], tree.node[j]
    x, y = source, sink
    delta_i = np.int64(9223372036854775807)
    delta_j = delta_i
    out_i, out_j = source, sink
    work = 0
    while x != y:
        work += 1
        if size[x] <= size[y]:
            if atom[x] < n and flow[x] < delta_i:
                delta_i = flow[x]
                out_i = x
            x = parent[x]
        else:
            if atom[y] >= n and flow[y] <= delta_j:
                delta_j = flow[y]
                out_j = y
            y = parent[y]
    apex = x
    if delta_i < delta_j:
        delta, out, lower, upper = delta_i, out_i, source, sink
    else:
        delta, out, lower, upper = delta_j, out_j, sink, source
    if delta > 0:
        x = source
        while x != apex:
            flow[x] += -delta if atom[x] < n else delta
            x = parent[x]
        y = sink
        while y != apex:
            flow[y] += -delta if atom[y] >= n else delta
            y = parent[y]
    moved = np.int64(size[out])
    x = parent[out]
    while x != apex:
        size[x] -= moved
        x = parent[x]
    x = upper
    while x != apex:
        size[x] += moved
        x = parent[x]
    _rehang(tree, lower, out, upper, delta, cost)
    # Moving one side by a step or the other side back makes the same differences.
    step = reduced_cost if atom[lower] < n else -reduced_cost
    others = np.int64(parent.size) - moved
    if moved <= others:
        _shift(tree, n, lower, moved, step)
        return work + moved
    _shift(tree, n, tree.thread[tree.last[lower]], others, -step)
    return work + others


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
    return n_priced


@njit(cache=True, error_model="numpy", nogil=True)
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
        reduced = search.cost[k] - tree.potential[i] - tree.potential[j]
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


@njit(cache=True, error_model="numpy", nogil=True)
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
        if not is_found:
            break
        work = _pivot(tree, n, i, j, cost, reduced)
        search.n_pivots[0] += 1
        budget -= 8 * work
        if search.n_pivots[0] % (tree.parent.size // _RENUMBER + 1) == 0:
            renumber(tree)
    return budget


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
    while budget > 0 and search.n_pivots[0] < max_pivots:
        if search.cursor[1] == 0:
            n_priced = _collect(cost, tree, search, n_block, tolerance)
            budget -= n_priced * m
            if search.cursor[1] == 0:
                return DONE
        budget = _pivot_on_candidates(tree, search, n, tolerance, budget, max_pivots)
    return MORE


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"nnan", "nsz"})
def _list_minimum(cost: np.ndarray, other: np.ndarray, potential: np.ndarray) -> float:
    """Return the smallest ``cost[k] - potential[other[k]]``, inf if there is none."""
    least = np.inf
    for k in range(cost.size):
        least = _smaller(cost[k] - potential[other[k]], least)
    return least


@njit(cache=True, error_model="numpy", nogil=True)
def _best_of_list(
    cost: np.ndarray, other: np.ndarray, potential: np.ndarray, least: float
) -> int:
    """Return the first k that attains the minimum."""
    k = 0
    while cost[k] - potential[other[k]] > least:
        k += 1
    return k


@njit(cache=True, error_model="numpy", nogil=True)
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
                begin, end = lists.column_start[j], lists.column_start[j + 1]
                costs, rows = lists.column_cost[begin:end], lists.row[begin:end]
                least = _list_minimum(costs, rows, f)
                n_priced += costs.size
                if least < cost - f[i] - tolerance:
                    k = _best_of_list(costs, rows, f, least)
                    cost, source = costs[k], np.int64(rows[k])
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
    """Do as `run`, on candidate arcs only (`pricing.Lists`)."""
    n = lists.row_start.size - 1
    while budget > 0 and search.n_pivots[0] < max_pivots:
        if search.cursor[1] == 0:
            n_priced = _collect_from_lists(lists, tree, search, n_block, tolerance)
            budget -= 4 * n_priced
            if search.cursor[1] == 0:
                return DONE
        budget = _pivot_on_candidates(tree, search, n, tolerance, budget, max_pivots)
    return MORE
