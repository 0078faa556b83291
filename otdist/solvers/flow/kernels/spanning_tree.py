"""The spanning tree of the network simplex method on a graph: flow, potentials, pivots.

A basis is a spanning tree of the graph, rooted at node 0; the edge between a node and
its parent is stored at the node. Every edge may be used in both directions, without
a limit, so that any spanning tree carries a feasible flow.

Flows, lengths and potentials are integers: nothing is rounded, and ties are ties. Every
basis is *strongly feasible*: an edge without flow leads up, to the root. The leaving
rule keeps it so, and with it the method ends however degenerate the problem is
(Cunningham, 1976; Ahuja, Magnanti, Orlin, *Network Flows*, 1993, 11.6).

Potentials fall along a tree edge, in the direction of its flow, by its length.
"""

from typing import Any, NamedTuple

import numpy as np

from otdist.compiled.thread_order import replace_last
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)


class Tree(NamedTuple):
    """A rooted spanning tree of N nodes with flow and potentials.

    The thread visits every node after its parent, subtree by subtree (preorder), and
    ends where it began, at the root: a subtree is `size` nodes in a row. Indices are
    unsigned, which spares a test for negative ones at every step.
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

    The flow takes the excess of every subtree to its parent, or brings what it lacks.
    """
    n = tree.parent.size
    for k in range(n):
        tree.thread[k] = k + 1 if k + 1 < n else 0
        tree.back[k] = k - 1 if k > 0 else n - 1
        tree.size[k] = 1
        tree.flow[k] = excess[k]
    for k in range(n - 1, 0, -1):
        above = tree.parent[k]
        tree.size[above] += tree.size[k]
        tree.flow[above] += tree.flow[k]
    tree.flow[0] = 0
    tree.up[0] = True
    tree.potential[0] = 0
    tree.last[0] = n - 1
    for k in range(1, n):
        tree.last[k] = k + tree.size[k] - 1
        tree.up[k] = tree.flow[k] >= 0
        above = tree.potential[tree.parent[k]]
        if tree.up[k]:
            tree.potential[k] = above + length[tree.edge[k]]
        else:
            tree.flow[k] = -tree.flow[k]
            tree.potential[k] = above - length[tree.edge[k]]


@kernel
def preorder(order: np.ndarray, parent: np.ndarray, number: np.ndarray, size: np.ndarray) -> None:
    """Deal out numbers subtree by subtree, given an order in which parents come first.

    `size` is room: of subtrees, then where the next child of each node begins.
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

    Each node has to be read before it tells the next: two walks wait half as long.
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
def _rehang(tree: Tree, lower: Any, out: Any, upper: Any, edge: Any, flow: Any, up: bool) -> None:
    """Cut the subtree of `out` and hang it by its node `lower` under `upper`.

    The path lower .. out is turned around, with the edges and flows on it. In the new
    preorder the subtree of `lower` comes first; then, for each node of the path, what
    it had before and behind the subtree just placed.
    """
    parent, thread, back = tree.parent, tree.thread, tree.back
    size, last = tree.size, tree.last
    moved, before_all, last_of_all = size[out], back[out], last[out]
    child, child_size = lower, size[lower]
    child_last, child_back = last[lower], back[lower]
    node, old_edge = parent[lower], tree.edge[lower]
    old_flow, old_up = tree.flow[lower], tree.up[lower]
    tail, behind = last[lower], thread[last[lower]]
    size[lower] = moved
    parent[lower], tree.edge[lower] = upper, edge
    tree.flow[lower], tree.up[lower] = flow, up
    while child != out:
        node_size, node_last, node_back = size[node], last[node], back[node]
        next_node, next_edge = parent[node], tree.edge[node]
        next_flow, next_up = tree.flow[node], tree.up[node]
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
        parent[node], tree.edge[node] = child, old_edge
        tree.flow[node], tree.up[node] = old_flow, not old_up
        child, child_size = node, node_size
        child_last, child_back = node_last, node_back
        node, old_edge, old_flow, old_up = next_node, next_edge, next_flow, next_up
    # Every node of the path now has all that follows it below itself.
    child = out
    while child != upper:
        last[child] = tail
        child = parent[child]
    thread[before_all] = behind
    back[behind] = before_all
    replace_last(tree, node, last_of_all, before_all)
    following = thread[upper]
    thread[upper] = lower
    back[lower] = upper
    thread[tail] = following
    back[following] = tail
    replace_last(tree, upper, upper, tail)


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
    leaves_u = delta_u < delta_v
    if leaves_u:
        delta, out, lower, upper = delta_u, out_u, u, v
    else:
        delta, out, lower, upper = delta_v, out_v, v, u
    moved = np.int64(size[out])
    x = u
    while x != apex:
        flow[x] += -delta if up[x] else delta
        x = parent[x]
    x = v
    while x != apex:
        flow[x] += delta if up[x] else -delta
        x = parent[x]
    # The subtree of `out` leaves the nodes above it and comes below `upper`.
    x = parent[out]
    while x != apex:
        size[x] -= moved
        x = parent[x]
    x = upper
    while x != apex:
        size[x] += moved
        x = parent[x]
    _rehang(tree, lower, out, upper, edge, delta, leaves_u)
    # Moving one side by a step or the other side back makes the same differences.
    step = -excess if leaves_u else excess
    others = np.int64(parent.size) - moved
    if moved <= others:
        _shift(tree, lower, tree.last[lower], moved, step)
        return work + moved
    first, last = tree.thread[tree.last[lower]], tree.back[lower]
    _shift(tree, first, last, others, -step)
    return work + others
