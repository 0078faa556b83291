"""An initial spanning tree from a nearly optimal flow.

Potentials and flows improve from phase to phase: each allows edges a sixth of the error of the
phase before. The edges with the most flow, and those closest to being used, form the tree.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from otdist.solvers.flow.kernels import push as kernel
from otdist.solvers.flow.network import Network
from otdist.typing import IntArray, NDArray

# Each phase allows a smaller error of an edge by this factor; the first allows the mean length.
_SHRINK = 6
_PHASES = 4
# Arcs that a phase may look at, as a multiple of the number of arcs.
_EFFORT = 400


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
