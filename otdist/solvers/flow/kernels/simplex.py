"""The network simplex method on a graph: spanning tree, pivots, and pricing of edges.

A basis is a spanning tree of the graph, rooted at node 0; the edge between a node and
its parent is stored at the node. Every edge may be used in both directions, without
a limit, so that any spanning tree carries a feasible flow.

Flows, lengths and potentials are integers: nothing is rounded, and ties are ties. Every
basis is *strongly feasible*: an edge without flow leads up, to the root. The leaving
rule keeps it so, and with it the method ends however degenerate the problem is
(Cunningham, 1976; Ahuja, Magnanti, Orlin, *Network Flows*, 1993, 11.6).

Potentials fall along a tree edge, in the direction of its flow, by its length. An edge along
which they fall by more than its length enters. Edges are priced a block at a time, and the
worst edge of a block enters.
"""

from typing import Any, NamedTuple

import numpy as np

from otdist.compiled.thread_order import rehang, thread_by_number
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

DONE = 0  # potentials fall along no edge by more than its length
MORE = 1  # the work budget of this call is used up


class Tree(NamedTuple):
    """A rooted spanning tree of N nodes with flow and potentials.

    The thread visits every node after its parent, subtree by subtree (preorder), and
    ends where it began, at the root: a subtree is `size` nodes in a row. Indices are
    unsigned, which avoids a test for negative ones at every step.
    """

    parent: np.ndarray  # (N,) uint32, of the root the root itself
    thread: np.ndarray  # (N,) uint32, next node in preorder
    back: np.ndarray  # (N,) uint32, previous node in preorder
    last: np.ndarray  # (N,) uint32, last node of the subtree in preorder
    size: np.ndarray  # (N,) uint32, nodes of the subtree
    edge: np.ndarray  # (N,) int64, the number of the edge to the parent
    flow: np.ndarray  # (N,) int64 >= 0, on that edge
    up: np.ndarray  # (N,) bool, whether that flow leads to the parent
    potential: np.ndarray  # (N,) int64


@kernel
def hang(tree: Tree, length: np.ndarray, excess: np.ndarray) -> None:
    """Fill in a tree whose nodes are numbered in preorder, given parents and edges.

    The flow of an edge is the excess of the subtree below it.
    """
    n = tree.parent.size
    for k in range(n):
        tree.size[k] = 1
        tree.flow[k] = excess[k]
    for k in range(n - 1, 0, -1):
        above = tree.parent[k]
        tree.size[above] += tree.size[k]
        tree.flow[above] += tree.flow[k]
    tree.flow[0] = 0
    tree.up[0] = True
    tree.potential[0] = 0
    thread_by_number(tree)
    for k in range(1, n):
        tree.up[k] = tree.flow[k] >= 0
        above = tree.potential[tree.parent[k]]
        if tree.up[k]:
            tree.potential[k] = above + length[tree.edge[k]]
        else:
            tree.flow[k] = -tree.flow[k]
            tree.potential[k] = above - length[tree.edge[k]]


@kernel
def preorder(order: np.ndarray, parent: np.ndarray, number: np.ndarray, size: np.ndarray) -> None:
    """Give nodes numbers subtree by subtree, from an order in which parents come first.

    `size` is scratch: of subtrees, then where the next child of each node begins.
    """
    for k in range(order.size):
        size[k] = 1
    for k in range(order.size - 1, 0, -1):
        size[parent[order[k]]] += size[order[k]]
    number[order[0]] = 0
    size[order[0]] = 1
    for k in range(1, order.size):
        node, above = order[k], parent[order[k]]
        number[node] = size[above]
        size[above] += size[node]
        size[node] = number[node] + 1


@inner
def _shift(tree: Tree, first: Any, last: Any, count: Any, step: Any) -> None:
    """Add `step` to the potentials of `count` nodes in a row, from both ends.

    A node has to be read before the next is known: two walks at once wait half as long.
    """
    potential, thread, back = tree.potential, tree.thread, tree.back
    for _ in range(count // 2):
        potential[first] += step
        potential[last] += step
        first = thread[first]
        last = back[last]
    if count % 2 == 1:
        potential[first] += step


@inner
def pivot(tree: Tree, u: Any, v: Any, edge: Any, excess: Any) -> Any:
    """Bring an edge into the tree, from u to v, which fall by `excess` too much.

    Returns the work done, in nodes touched.
    """
    flow, parent, size, up = tree.flow, tree.parent, tree.size, tree.up
    # Flow grows along u -> v and around the cycle. On u's side, which it runs down, it
    # falls on edges that lead up; on v's side on those that lead down. Of the edges
    # that block first, the last one met when the cycle is walked from its apex in the
    # direction of the new flow leaves: `<` on u's side, `<=` on v's side.
    x, y = u, v
    out_u, out_v = u, v
    delta_u = delta_v = np.int64(9223372036854775807)
    work = 0
    while x != y:
        work += 1
        if size[x] <= size[y]:
            if up[x] and flow[x] < delta_u:
                delta_u = flow[x]
                out_u = x
            x = parent[x]
        else:
            if not up[y] and flow[y] <= delta_v:
                delta_v = flow[y]
                out_v = y
            y = parent[y]
    apex = x
    leaves_u = bool(delta_u < delta_v)
    if leaves_u:
        delta, out, lower, upper = delta_u, out_u, u, v
    else:
        delta, out, lower, upper = delta_v, out_v, v, u
    # Up edges on the side that is cut lose what the new edge carries, and the others gain it;
    # on the other side it is the reverse.
    change = -delta if leaves_u else delta
    # On the path lower .. out, which turns around, every node takes the edge below it.
    x, new_edge, new_flow, new_up = lower, edge, delta, leaves_u
    while x != out:
        old_edge, old_up = tree.edge[x], up[x]
        old_flow = flow[x] + (change if old_up else -change)
        tree.edge[x], flow[x], up[x] = new_edge, new_flow, new_up
        new_edge, new_flow, new_up = old_edge, old_flow, not old_up
        x = parent[x]
    tree.edge[out], flow[out], up[out] = new_edge, new_flow, new_up
    # The subtree of `out` leaves the nodes above it and comes below `upper`.
    moved = np.int64(size[out])
    x = parent[out]
    while x != apex:
        flow[x] += change if up[x] else -change
        size[x] -= moved
        x = parent[x]
    x = upper
    while x != apex:
        flow[x] += -change if up[x] else change
        size[x] += moved
        x = parent[x]
    rehang(tree, lower, out, upper)
    # Moving one side by a step or the other side back makes the same differences.
    step = -excess if leaves_u else excess
    others = np.int64(parent.size) - moved
    if moved <= others:
        _shift(tree, lower, tree.last[lower], moved, step)
        return work + moved
    first, last = tree.thread[tree.last[lower]], tree.back[lower]
    _shift(tree, first, last, others, -step)
    return work + others


@inner
def _worst(
    tail: np.ndarray, head: np.ndarray, length: np.ndarray, potential: np.ndarray, least: Any
) -> tuple[int, Any]:
    """Return the edge whose fall exceeds its length most, or -1 if none does by `least`."""
    worst = -1
    for e in range(length.size):
        excess = abs(potential[tail[e]] - potential[head[e]]) - length[e]
        if excess > least:
            least = excess
            worst = e
    return worst, least


@kernel
def run(
    tail: np.ndarray,
    head: np.ndarray,
    length: np.ndarray,
    tree: Tree,
    cursor: np.ndarray,
    n_block: int,
    budget: int,
    max_pivots: int,
) -> int:
    """Pivot until potentials are too steep along no edge, or a limit is met.

    The budget counts edges priced and nodes touched; `cursor` holds the next edge to
    price and the number of pivots. All state is in `tree` and `cursor`.
    """
    n_edges = length.size
    n_idle = 0
    while budget > 0 and cursor[1] < max_pivots:
        begin = cursor[0]
        end = min(begin + n_block, n_edges)
        e, excess = _worst(
            tail[begin:end], head[begin:end], length[begin:end], tree.potential, np.int64(0)
        )
        budget -= end - begin
        cursor[0] = end if end < n_edges else 0
        if e < 0:
            n_idle += end - begin
            if n_idle >= n_edges:
                return DONE
            continue
        n_idle = 0
        e += begin
        u, v = tail[e], head[e]
        if tree.potential[u] < tree.potential[v]:
            u, v = v, u
        budget -= 8 * pivot(tree, u, v, e, excess)
        cursor[1] += 1
    return MORE
