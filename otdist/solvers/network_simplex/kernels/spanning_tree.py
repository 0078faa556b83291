"""The spanning tree of the network simplex: flow, potentials, pivots.

The atoms are the n sources ``0 .. n-1``, the m sinks ``n .. n+m-1`` and an artificial one,
``n+m``, which is the root. A basis is a spanning tree; the arc between a node and its parent
is stored at the node, so the state is O(n + m). The direction of a tree arc needs no storage:
arcs go from sources to sinks, so the arc above a source leads up and the arc above a sink
leads down. The root is a sink for the sources and a source for the sinks.

Flows are integers, which makes ties exact, and every basis is *strongly
feasible*: an arc that leads down (above a sink) carries flow > 0. The leaving
rule keeps it so, and with it the method ends however degenerate the problem is
(Cunningham, 1976; Ahuja, Magnanti, Orlin, *Network Flows*, 1993, 11.6).

Potentials satisfy ``f[i] + g[j] = cost[i, j]`` on tree arcs.
"""

from typing import Any, NamedTuple

import numpy as np

from otdist.compiled.thread_order import rehang, thread_by_number
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
inlined = njit(**_FLAGS, inline="always")


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
