"""The network simplex for transport: its spanning tree, and the arc that enters next.

The atoms are the n sources ``0 .. n-1``, the m sinks ``n .. n+m-1`` and an artificial one,
``n+m``, which is the root. A basis is a spanning tree; the arc between a node and its parent
is stored at the node, so the state is O(n + m). The direction of a tree arc needs no storage:
arcs go from sources to sinks, so the arc above a source leads up and the arc above a sink
leads down. The root is a sink for the sources and a source for the sinks.

Flows are integers, which makes ties exact, and every basis is *strongly
feasible*: an arc that leads down (above a sink) carries flow > 0. The leaving
rule keeps it so, and with it the method ends however degenerate the problem is
(Cunningham, 1976; Ahuja, Magnanti, Orlin, *Network Flows*, 1993, 11.6).

Potentials satisfy ``f[i] + g[j] = cost[i, j]`` on tree arcs. The reduced cost of an arc is
``cost[i, j] - f[i] - g[j]``, and an arc enters when it is negative. Arcs are priced by rows, a
block of them at a time; the best arc of each row is a candidate, and of those the most
violating one is brought into the tree until none violates. The arcs are those of a matrix
(`run`), or lists of some (`run_on_lists`).
"""

from typing import Any, NamedTuple

import numpy as np

from otdist.compiled.costs import Costs, Found, cost_of
from otdist.compiled.simd import least_difference, smaller
from otdist.compiled.thread_order import rehang, thread_by_number
from otdist.runtime.kernel_cache import njit

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


class Tree(NamedTuple):
    """A rooted spanning tree with flow and potentials; N = n + m + 1 nodes.

    The thread visits every node after its parent, subtree by subtree (preorder),
    and ends where it began, at the root: a subtree is `size` nodes in a row.

    A node is the number of an atom in the tree. Numbers are given anew from time to time, in
    the order of the thread, so that a subtree lies together in memory; the root is node 0.
    Indices are unsigned, which avoids a test for negative ones at every step.
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
    # (4,) int64: next row to price, number of candidates, pivots at the next renumbering,
    # step between rows priced, which has no divisor in common with n
    cursor: np.ndarray
    n_pivots: np.ndarray  # (1,) int64


class Rows(NamedTuple):
    """Candidate arcs by row."""

    start: np.ndarray  # (n + 1,) int64
    column: np.ndarray  # (k,) uint32
    cost: np.ndarray  # (k,) float64


class Lists(NamedTuple):
    """Candidate arcs, once by row and once by column."""

    row_start: np.ndarray  # (n + 1,) int64
    column: np.ndarray  # (k,) uint32
    row_cost: np.ndarray  # (k,) float64
    column_start: np.ndarray  # (m + 1,) int64
    row: np.ndarray  # (k,) uint32
    column_cost: np.ndarray  # (k,) float64


@inlined
def hang_on_root(
    tree: Tree, a: np.ndarray, b: np.ndarray, start: np.ndarray, margin: float
) -> None:
    """Make every atom a child of the root, by an arc `margin` above its start."""
    size, n = tree.parent.size, a.size
    for k in range(size):
        tree.parent[k] = 0
        tree.size[k] = 1 if k > 0 else size
        atom = k - 1 if k > 0 else size - 1
        tree.atom[k] = atom
        tree.node[atom] = k
        if k > 0:
            tree.flow[k] = a[atom] if atom < n else b[atom - n]
            tree.cost[k] = tree.potential[atom] = start[atom] + margin
    thread_by_number(tree)
    tree.flow[0] = 0
    tree.cost[0] = tree.potential[size - 1] = 0.0


@inlined
def refresh(tree: Tree) -> None:
    """Recompute all potentials from the tree, so that rounding does not build up."""
    atom, potential = tree.atom, tree.potential
    potential[atom[0]] = 0.0
    node = tree.thread[0]
    while node != 0:
        above = potential[atom[tree.parent[node]]]
        potential[atom[node]] = tree.cost[node] - above
        node = tree.thread[node]


@inlined
def set_artificial_costs(
    tree: Tree, n: int, start: np.ndarray, of_sources: float, of_sinks: float
) -> None:
    """Set the costs of the root's arcs, in excess of the start; recompute potentials."""
    for node in range(1, tree.parent.size):
        if tree.parent[node] == 0:
            atom = tree.atom[node]
            tree.cost[node] = start[atom] + (of_sources if atom < n else of_sinks)
    refresh(tree)


@inlined
def artificial_flow(tree: Tree, n: int) -> int:
    """Return the mass that leaves its source by an artificial arc."""
    flow = 0
    for node in range(1, tree.parent.size):
        if tree.parent[node] == 0 and tree.atom[node] < n:
            flow += tree.flow[node]
    return flow


@inlined
def read_plan(tree: Tree, n: int, rows: np.ndarray, columns: np.ndarray, flow: np.ndarray) -> int:
    """Write the arcs with flow between atoms, and return how many there are."""
    n_arcs = 0
    for k in range(tree.parent.size - 1):
        node = tree.node[k]
        if tree.parent[node] != 0 and tree.flow[node] > 0:
            above = np.int64(tree.atom[tree.parent[node]])
            rows[n_arcs] = k if k < n else above
            columns[n_arcs] = (above if k < n else k) - n
            flow[n_arcs] = tree.flow[node]
            n_arcs += 1
    return n_arcs


@inner
def _add(high: np.ndarray, low: np.ndarray, place: int, term: float) -> None:
    """Add a term to a sum of two numbers (Knuth)."""
    total = high[place]
    new = total + term
    part = new - total
    high[place] = new
    low[place] += (total - (new - part)) + (term - part)


@inner
def exact_masses(
    tree: Tree, a: np.ndarray, b: np.ndarray, sums: np.ndarray, mass: np.ndarray
) -> None:
    """Write the masses of the arcs of `read_plan`, from weights that integers only approximate.

    What a subtree has to give or to take goes along the arc above it, and is a sum of weights. `b`
    is brought to the sum of a. `sums` (2, N) is scratch: sums of two numbers each, so that no
    digits of small masses are lost. A mass keeps the value given where it would be negative.
    """
    n, size = a.size, tree.parent.size
    high, low = sums[0, :size], sums[1, :size]
    # Of both sides, in the places of two nodes.
    for k in range(2):
        high[k] = low[k] = 0.0
        for weight in a if k == 0 else b:
            _add(high, low, k, weight)
    apart = ((high[0] - high[1]) + (low[0] - low[1])) / high[1]
    for node in range(1, size):
        atom = np.int64(tree.atom[node])
        high[node], low[node] = (a[atom], 0.0) if atom < n else (-b[atom - n], -b[atom - n] * apart)
    node = tree.back[0]
    while node != 0:
        above = tree.parent[node]
        if above != 0:
            _add(high, low, above, high[node])
            low[above] += low[node]
        node = tree.back[node]
    n_arcs = 0
    for k in range(size - 1):
        node = tree.node[k]
        if tree.parent[node] != 0 and tree.flow[node] > 0:
            total = high[node] + low[node]
            given = total if k < n else -total
            if given > 0.0:
                mass[n_arcs] = given
            n_arcs += 1


@kernel
def write_exact_masses(
    tree: Tree, a: np.ndarray, b: np.ndarray, sums: np.ndarray, mass: np.ndarray
) -> None:
    """Do what `exact_masses` does, for a tree that Python has."""
    exact_masses(tree, a, b, sums, mass)


@kernel
def renumber(tree: Tree) -> None:
    """Give the nodes new numbers, in the order of the thread."""
    size = tree.parent.size
    # Three of the arrays are rebuilt at the end and are scratch until then.
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
    # These two are moved along the cycles of the renumbering.
    for k in range(size):
        moved[k] = 0
    for k in range(size):
        if moved[k] == 1:
            continue
        flow, cost = tree.flow[k], tree.cost[k]
        place = k
        while old[place] != k:
            source = int(old[place])
            tree.flow[place], tree.cost[place] = tree.flow[source], tree.cost[source]
            moved[place] = 1
            place = source
        tree.flow[place], tree.cost[place] = flow, cost
        moved[place] = 1
    thread_by_number(tree)
    for k in range(size):
        tree.node[tree.atom[k]] = k


@inner
def _shift(tree: Tree, n: int, node: Any, length: Any, step: float) -> None:
    """Add `step` to f, and take it from g, on `length` nodes in a row."""
    for _ in range(length):
        atom = tree.atom[node]
        tree.potential[atom] += step if atom < n else -step
        node = tree.thread[node]


@inner
def pivot(tree: Tree, n: int, i: int, j: int, cost: float, reduced_cost: float) -> Any:
    """Bring the arc from source i to sink j, given as atoms, into the tree.

    Returns the work done, in nodes touched.
    """
    flow, parent, size = tree.flow, tree.parent, tree.size
    # Flow grows along i -> j and around the cycle. It falls on arcs that lead up
    # from a source on i's side and down to a sink on j's side: on either side on
    # every other arc, since sources and sinks take turns. Of the arcs that block
    # first, the last one met when the cycle is walked from its apex in the direction
    # of the new flow leaves: `<` on i's side, `<=` on j's side.
    x, y = tree.node[i], tree.node[j]
    out_i, out_j = x, y
    delta_i = delta_j = np.int64(9223372036854775807)
    x_falls = y_falls = True
    work = 0
    while x != y:
        work += 1
        if size[x] <= size[y]:
            if x_falls and flow[x] < delta_i:
                delta_i = flow[x]
                out_i = x
            x_falls = not x_falls
            x = parent[x]
        else:
            if y_falls and flow[y] <= delta_j:
                delta_j = flow[y]
                out_j = y
            y_falls = not y_falls
            y = parent[y]
    apex = x
    if delta_i < delta_j:
        delta, out, lower, upper = delta_i, out_i, tree.node[i], tree.node[j]
    else:
        delta, out, lower, upper = delta_j, out_j, tree.node[j], tree.node[i]
    # The subtree of `out` leaves the nodes above it and comes below `upper`.
    moved = np.int64(size[out])
    # On the path lower .. out, which turns around, every node takes the arc below it.
    x, change, new_flow, new_cost = lower, -delta, delta, cost
    while x != out:
        old_flow, old_cost = flow[x] + change, tree.cost[x]
        flow[x], tree.cost[x] = new_flow, new_cost
        new_flow, new_cost = old_flow, old_cost
        change = -change
        x = parent[x]
    flow[out], tree.cost[out] = new_flow, new_cost
    x, change = parent[out], delta
    while x != apex:
        flow[x] += change
        change = -change
        size[x] -= moved
        x = parent[x]
    x, change = upper, -delta
    while x != apex:
        flow[x] += change
        change = -change
        size[x] += moved
        x = parent[x]
    rehang(tree, lower, out, upper)
    # Moving one side by a step or the other side back makes the same differences.
    step = reduced_cost if tree.atom[lower] < n else -reduced_cost
    others = np.int64(parent.size) - moved
    if moved <= others:
        _shift(tree, n, lower, moved, step)
        return work + moved
    _shift(tree, n, tree.thread[tree.last[lower]], others, -step)
    return work + others


@inlined
def _gather(
    costs: Costs,
    rows: Rows,
    by_row: Found,
    by_column: Found,
    starts: np.ndarray,
    fill: np.ndarray,
    out: Rows,
) -> None:
    """Write all arcs by row, some of them twice, and where rows begin."""
    n, m = rows.start.size - 1, by_column.number.size
    starts[0] = 0
    for i in range(n):
        starts[i + 1] = by_row.number[i] + rows.start[i + 1] - rows.start[i]
    for j in range(m):
        for k in range(by_column.number[j]):
            starts[by_column.end[j, k] + 1] += 1
    for i in range(n):
        starts[i + 1] += starts[i]
    for i in range(n):
        place = starts[i]
        for k in range(rows.start[i], rows.start[i + 1]):
            out.column[place], out.cost[place] = rows.column[k], rows.cost[k]
            place += 1
        for k in range(by_row.number[i]):
            j = by_row.end[i, k]
            out.column[place], out.cost[place] = j, cost_of(costs, i, j)
            place += 1
        fill[i] = place
    for j in range(m):
        for k in range(by_column.number[j]):
            i = by_column.end[j, k]
            out.column[fill[i]], out.cost[fill[i]] = j, cost_of(costs, i, j)
            fill[i] += 1


@kernel
def merge(
    costs: Costs, rows: Rows, by_row: Found, by_column: Found, scratch: np.ndarray, out: Rows
) -> int:
    """Write new lists, the arcs found added, each arc once; return how many they are.

    `scratch` is (3, max(n, m) + 1) int64.
    """
    n = rows.start.size - 1
    starts, fill, seen = scratch[0], scratch[1], scratch[2]
    _gather(costs, rows, by_row, by_column, starts, fill, out)
    seen[:] = -1
    n_arcs = 0
    out.start[0] = 0
    for i in range(n):
        for k in range(starts[i], starts[i + 1]):
            j = out.column[k]
            if seen[j] != i:
                seen[j] = i
                out.column[n_arcs], out.cost[n_arcs] = j, out.cost[k]
                n_arcs += 1
        out.start[i + 1] = n_arcs
    return n_arcs


@kernel
def turn(
    rows: Rows, fill: np.ndarray, column_start: np.ndarray, row: np.ndarray, column_cost: np.ndarray
) -> None:
    """Write the lists of the columns; `fill`, of m places or more, is scratch."""
    n, m = rows.start.size - 1, column_start.size - 1
    column_start[:] = 0
    for k in range(rows.column.size):
        column_start[rows.column[k] + 1] += 1
    for j in range(m):
        column_start[j + 1] += column_start[j]
        fill[j] = column_start[j]
    for i in range(n):
        for k in range(rows.start[i], rows.start[i + 1]):
            place = fill[rows.column[k]]
            row[place], column_cost[place] = i, rows.cost[k]
            fill[rows.column[k]] = place + 1


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
    lists: Lists, tree: Tree, search: Search, n_block: int, tolerance: float
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
    lists: Lists,
    tree: Tree,
    search: Search,
    n_block: int,
    tolerance: float,
    budget: int,
    max_pivots: int,
) -> int:
    """Pivot as `run` does, on candidate arcs only."""
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
