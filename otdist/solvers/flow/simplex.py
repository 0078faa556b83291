"""The network simplex method on a graph: a tree, and pivots until it is optimal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from otdist.plans.plans import Flow
from otdist.solvers.flow.kernels import simplex as kernel
from otdist.solvers.flow.network import Network, Scale
from otdist.solvers.registry import Options
from otdist.typing import FloatArray, IntArray, NDArray

# Edges priced at a time, as a part of the root of their number: with small blocks the search
# stays in one part of the graph for a while.
_BLOCK = 0.15
# Work between two looks at the clock, some 50 ms.
_CHUNK = 1 << 25


class Tree(NamedTuple):
    """A spanning tree of a network, optimal or not, with node numbers of its own."""

    basis: kernel.Tree
    number: IntArray  # (N,) the number in the tree of each node
    edge: IntArray  # (N - 1,) the edge above each node of the tree but the root
    finished: bool
    n_pivots: int


def optimise(network: Network, edges: IntArray, options: Options, n_pivots: int = 0) -> Tree:
    """Pivot from a spanning tree, given by its edges, to an optimal one."""
    basis, number = _planted(network, edges)
    tail, head = number[network.tail], number[network.head]
    # Nodes and edges near each other in the tree lie together in memory.
    order = np.argsort(np.minimum(tail, head), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    basis.edge[1:] = place[basis.edge[1:]]
    tail, head = tail[order].astype(np.uint32), head[order].astype(np.uint32)
    length, excess = network.length[order], np.empty(network.n_nodes, np.int64)
    excess[number] = network.excess
    kernel.hang(basis, length, excess)
    cursor, state = np.array([0, n_pivots]), kernel.MORE
    n_block = max(10, int(_BLOCK * len(length) ** 0.5))
    budget = max(_CHUNK, 2 * len(length))
    while state == kernel.MORE and options.limit_met(int(cursor[1])) is None:
        state = kernel.run(tail, head, length, basis, cursor, n_block, budget, options.max_iter)
        if options.report is not None:
            options.report(int(cursor[1]), np.nan)
    return Tree(basis, number, order[basis.edge[1:]], state == kernel.DONE, int(cursor[1]))


def answer(network: Network, tree: Tree, scale: Scale) -> tuple[Flow, FloatArray]:
    """Read the flow and the potentials of all nodes off the tree."""
    basis = tree.basis
    node = np.empty(network.n_nodes, np.int64)
    node[tree.number] = np.arange(network.n_nodes)
    used = np.flatnonzero(basis.flow[1:] > 0)
    edge, units = tree.edge[used], basis.flow[1:][used]
    tail, head = network.tail[edge].astype(np.int64), network.head[edge].astype(np.int64)
    forward = (tail == node[1:][used]) == basis.up[1:][used]
    tails, heads = np.where(forward, tail, head), np.where(forward, head, tail)
    flow = Flow(tails, heads, units, scale.mass, network.n_nodes)
    potential = basis.potential[tree.number]
    # Measured from the middle of their range potentials keep the most digits.
    middle = (int(potential.max()) + int(potential.min())) // 2
    return flow, (potential - middle) * scale.length


def _planted(network: Network, edges: IntArray) -> tuple[kernel.Tree, IntArray]:
    """Return a tree with parents and edges only, numbered in preorder."""
    n, tail, head = network.n_nodes, network.tail[edges], network.head[edges]
    ends = np.concatenate([tail, head]), np.concatenate([head, tail])
    forest = csr_array((np.ones(len(ends[0]), np.int8), ends), shape=(n, n))
    order, above = breadth_first_order(forest, 0)
    above[0] = 0
    number, room = np.empty((2, n), np.int64)
    kernel.preorder(order, above, number, room)
    edge, parent = np.zeros(n, np.int64), np.empty(n, np.uint32)
    edge[number[np.where(above[head] == tail, head, tail)]] = edges
    parent[number] = number[above]
    thread, back, last, size = np.empty((4, n), np.uint32)
    flow, potential = np.empty((2, n), np.int64)
    up: NDArray[np.bool_] = np.empty(n, bool)
    basis = kernel.Tree(parent, thread, back, last, size, edge, flow, up, potential)
    return basis, number
