"""Decomposition of a flow without cycles into mass from sources to sinks."""

import numpy as np

from otdist.runtime.kernel_cache import njit

kernel = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)


@kernel
def decompose(
    start: np.ndarray,
    heads: np.ndarray,
    units: np.ndarray,
    excess: np.ndarray,
    lots: np.ndarray,
    nodes: np.ndarray,
    found: np.ndarray,
) -> tuple[int, int]:
    """Pass lots of mass from node to node, and write the pairs of nodes that they join.

    A lot is mass from one source. A node is processed after all nodes that send to it. The lots
    at a node form a linked list; they are taken from its front, and split where an edge takes
    only a part.

    Parameters
    ----------
    start : (N + 1,) int64
        Where the edges out of each node begin in `heads` and `units`.
    excess : (N,) int64
        Outflow minus inflow of each node.
    lots : (3, N + K) int64
        Scratch: source, units and next lot.
    nodes : (3, N) int64
        Scratch: incoming edges not yet processed, the queue, the first lot of each node.
    found : (3, 2 N + K) int64
        Source, sink and units of the pairs.

    Returns
    -------
    n_found, n_done : int
        Number of pairs, and of nodes processed: all nodes, unless there is a cycle.
    """
    source, amount, following = lots[0], lots[1], lots[2]
    waiting, queue, first = nodes[0], nodes[1], nodes[2]
    n = excess.size
    for u in range(n):
        waiting[u] = 0
        first[u] = -1
    for e in range(heads.size):
        waiting[heads[e]] += 1
    end = 0
    for u in range(n):
        if waiting[u] == 0:
            queue[end] = u
            end += 1
    n_lots = n_found = done = 0
    while done < end:
        u = queue[done]
        done += 1
        if excess[u] > 0:
            source[n_lots] = u
            amount[n_lots] = excess[u]
            following[n_lots] = first[u]
            first[u] = n_lots
            n_lots += 1
        need = -excess[u]
        while need > 0:
            lot = first[u]
            part = min(need, amount[lot])
            found[0, n_found] = source[lot]
            found[1, n_found] = u
            found[2, n_found] = part
            n_found += 1
            need -= part
            amount[lot] -= part
            if amount[lot] == 0:
                first[u] = following[lot]
        for e in range(start[u], start[u + 1]):
            v, need = heads[e], units[e]
            while need > 0:
                lot = first[u]
                if amount[lot] <= need:
                    first[u] = following[lot]
                    moved = lot
                else:
                    moved = n_lots
                    n_lots += 1
                    source[moved] = source[lot]
                    amount[moved] = need
                    amount[lot] -= need
                need -= amount[moved]
                following[moved] = first[v]
                first[v] = moved
            waiting[v] -= 1
            if waiting[v] == 0:
                queue[end] = v
                end += 1
    return n_found, done
