"""An initial spanning tree: from a coarser graph, or from a nearly optimal flow.

Every node is joined to its nearest neighbour (Borůvka, 1926), which leaves less than half of
the nodes. The optimal tree of the groups, together with the edges that join nodes, is a
spanning tree of the graph whose flow differs from the optimum only locally.

Where groups would have many neighbours, potentials and flows improve from phase to phase
instead: each phase allows edges a sixth of the error of the one before. The edges with the most
flow, and those closest to being used, form the tree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra, minimum_spanning_tree

from otdist.solvers.flow.kernels import push as kernel
from otdist.solvers.flow.network import Network
from otdist.solvers.flow.simplex import Tree, optimise
from otdist.solvers.registry import Options
from otdist.typing import IntArray, NDArray

# If groups have this many times as many neighbours as nodes have, no node is far from another.
# The coarser graph then has little to do with the finer one, and takes as long to solve.
_SPREAD = 1.5
# With fewer nodes than this any start is good enough.
_FEW = 2000
# Each phase allows a smaller error of an edge by this factor; the first allows the mean length.
_SHRINK = 6
_PHASES = 4
# Arcs that a phase may look at, as a multiple of the number of arcs.
_EFFORT = 400


def solve(network: Network, options: Options) -> Tree:
    """Return an optimal spanning tree, or the best one when a limit is met."""
    rng, levels, edges = np.random.default_rng(0), [], np.empty(0, np.int64)
    # Groups have two or more nodes, so that their number at least halves, down to one.
    while network.n_nodes > 1:
        coarse = coarsened(network, rng)
        if network.n_nodes > _FEW and _degree(coarse.network) > _SPREAD * _degree(network):
            edges = nearly_optimal(network)
            break
        levels.append((network, coarse))
        network = coarse.network
    tree = optimise(network, edges, options)
    for network, coarse in reversed(levels):
        edges = np.concatenate([coarse.inner, coarse.edges[tree.edge]])
        tree = optimise(network, edges, options, tree.n_pivots)
    return tree


def _degree(network: Network) -> float:
    return len(network.tail) / network.n_nodes


class Coarse(NamedTuple):
    """A graph whose nodes are groups of nodes of another."""

    network: Network
    edges: IntArray  # (M',) the number of each edge in the finer graph
    inner: IntArray  # the edges within groups, a tree in each


def coarsened(network: Network, rng: np.random.Generator) -> Coarse:
    """Join every node to its nearest neighbour."""
    inner = _nearest(network, rng)
    n, tail, head = network.n_nodes, network.tail, network.head
    ends = (np.concatenate([tail[inner], head[inner]]), np.concatenate([head[inner], tail[inner]]))
    lengths = np.tile(network.length[inner].astype(np.float64), 2)
    forest = csr_array((lengths, ends), shape=(n, n))
    n_groups, group = connected_components(forest, directed=False)
    # The first node of a group represents it: edges are lengthened by the paths to it.
    first = np.empty(n_groups, np.int64)
    first[group[::-1]] = np.arange(n)[::-1]
    within = dijkstra(forest, indices=first, min_only=True).astype(np.int64)
    between = np.flatnonzero(group[tail] != group[head])
    low, high = group[tail[between]], group[head[between]]
    low, high = np.minimum(low, high), np.maximum(low, high)
    length = network.length[between] + within[tail[between]] + within[head[between]]
    # Keep the shortest of parallel edges.
    order = np.lexsort((length, high, low))
    low, high, length, between = (part[order] for part in (low, high, length, between))
    is_first = np.ones(len(low), bool)
    is_first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    excess = np.zeros(n_groups, np.int64)
    np.add.at(excess, group, network.excess)
    coarse = Network(
        n_groups,
        low[is_first].astype(np.uint32),
        high[is_first].astype(np.uint32),
        length[is_first],
        excess,
    )
    return Coarse(coarse, between[is_first], inner)


def _nearest(network: Network, rng: np.random.Generator) -> IntArray:
    """Return the edges to the nearest neighbours.

    Ties are broken by one random order of all edges, so that no cycle arises.
    """
    order = np.lexsort((rng.random(len(network.length)), network.length))
    ends = np.stack([network.tail[order], network.head[order]], axis=1).ravel()
    nearest = np.empty(network.n_nodes, np.int64)
    # Where a node is assigned several times the last value stays: that of its shortest edge.
    nearest[ends[::-1]] = np.repeat(order, 2)[::-1]
    return np.unique(nearest)


def nearly_optimal(network: Network) -> IntArray:
    """Return the edges of a spanning tree whose flow is nearly optimal."""
    n, n_edges = network.n_nodes, len(network.tail)
    arcs, queue = _arcs_of(network), _queue_of(n)
    potential, flow = np.zeros(n, np.int64), np.zeros(n_edges, np.int64)
    step = max(int(network.length.mean()), 1)
    budget = _EFFORT * (n + 2 * n_edges)
    for _ in range(_PHASES):
        kernel.flatten(arcs, potential, queue)
        flow[:] = 0
        excess = network.excess.copy()
        if kernel.push(arcs, potential, flow, excess, queue, step, budget) <= 0:
            break
        step = max(step // _SHRINK, 1)
    fall = np.abs(potential[network.tail] - potential[network.head])
    order = np.lexsort((network.length - fall, -np.abs(flow)))
    rank = np.empty(n_edges)
    rank[order] = np.arange(1, n_edges + 1)
    ends = network.tail.astype(np.int32), network.head.astype(np.int32)
    tree = minimum_spanning_tree(csr_array((rank, ends), shape=(n, n)))
    return np.asarray(order[tree.data.astype(np.int64) - 1])


def _arcs_of(network: Network) -> kernel.Arcs:
    n, n_edges = network.n_nodes, len(network.tail)
    tail, head = network.tail.astype(np.int64), network.head.astype(np.int64)
    ends = np.concatenate([tail, head])
    order = np.argsort(ends, kind="stable")
    start = np.searchsorted(ends[order], np.arange(n + 1))
    edge, is_back = (order % n_edges).astype(np.uint32), order >= n_edges
    other = np.concatenate([head, tail])[order].astype(np.uint32)
    sign = np.where(is_back, -1, 1).astype(np.int8)
    return kernel.Arcs(start, other, edge, sign, network.length[edge])


def _queue_of(n: int) -> kernel.Queue:
    node, cursor = np.empty((2, n), np.int64)
    waits: NDArray[np.bool_] = np.empty(n, bool)
    return kernel.Queue(node, waits, cursor)
