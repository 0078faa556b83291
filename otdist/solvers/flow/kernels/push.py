"""Push and relabel: a flow that is optimal up to an error for each edge.

Excess mass is pushed along edges down which potentials fall by more than their length, and back
along edges whose flow no longer pays. Where there is no such edge, the potential of the node is
raised (Goldberg and Tarjan, *Finding minimum-cost circulations by successive
approximation*, 1990). Lengths and masses are integers.
"""

from typing import NamedTuple

import numpy as np

from otdist.runtime.kernel_cache import njit

kernel = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)


class Arcs(NamedTuple):
    """Every edge out of either end, by nodes."""

    start: np.ndarray  # (N + 1,) int64, where the arcs out of a node begin
    other: np.ndarray  # (2 M,) uint32, where they end
    edge: np.ndarray  # (2 M,) uint32
    sign: np.ndarray  # (2 M,) int8, 1 from the edge's tail to its head, else -1
    length: np.ndarray  # (2 M,) int64


class Queue(NamedTuple):
    """Nodes that wait their turn; room for all of them."""

    node: np.ndarray  # (N,) int64
    waits: np.ndarray  # (N,) bool
    cursor: np.ndarray  # (N,) int64, the arc that a node looks at next


@kernel
def flatten(arcs: Arcs, potential: np.ndarray, queue: Queue) -> None:
    """Lower potentials until they fall along no arc by more than its length."""
    n = potential.size
    node, waits = queue.node, queue.waits
    for u in range(n):
        node[u] = u
        waits[u] = True
    first, count = 0, n
    while count > 0:
        u = node[first]
        first = first + 1 if first + 1 < n else 0
        count -= 1
        waits[u] = False
        for k in range(arcs.start[u], arcs.start[u + 1]):
            v = arcs.other[k]
            highest = potential[u] + arcs.length[k]
            if potential[v] > highest:
                potential[v] = highest
                if not waits[v]:
                    waits[v] = True
                    place = first + count
                    node[place if place < n else place - n] = v
                    count += 1


@kernel
def push(
    arcs: Arcs,
    potential: np.ndarray,
    flow: np.ndarray,
    excess: np.ndarray,
    queue: Queue,
    step: int,
    budget: int,
) -> int:
    """Push all excess to where mass is missing, unless the budget is used up first.

    Potentials are raised by `step` more than necessary, which is the largest error of an edge in
    the end. The budget counts arcs looked at; returns the rest of it.
    """
    n = potential.size
    start, other, edge = arcs.start, arcs.other, arcs.edge
    sign, length = arcs.sign, arcs.length
    node, waits, cursor = queue.node, queue.waits, queue.cursor
    first, count = 0, 0
    for u in range(n):
        cursor[u] = start[u]
        waits[u] = excess[u] > 0
        if excess[u] > 0:
            node[count] = u
            count += 1
    while count > 0 and budget > 0:
        u = node[first]
        first = first + 1 if first + 1 < n else 0
        count -= 1
        waits[u] = False
        while excess[u] > 0:
            k = cursor[u]
            if k == start[u + 1]:
                # No arc is left: raise the node above its best neighbour.
                lowest = np.int64(9223372036854775807)
                for k in range(start[u], start[u + 1]):
                    leads_back = flow[edge[k]] * sign[k] < 0
                    cost = -length[k] if leads_back else length[k]
                    lowest = min(lowest, potential[other[k]] + cost)
                potential[u] = lowest + step
                cursor[u] = start[u]
                budget -= start[u + 1] - start[u]
                continue
            budget -= 1
            v, e = other[k], edge[k]
            along = flow[e] * sign[k]
            fall = potential[u] - potential[v]
            if fall > length[k]:
                amount = excess[u]
            elif along < 0 and fall > -length[k]:
                amount = min(excess[u], -along)
                cursor[u] += amount == -along
            else:
                cursor[u] += 1
                continue
            flow[e] += sign[k] * amount
            excess[u] -= amount
            excess[v] += amount
            if excess[v] > 0 and not waits[v]:
                waits[v] = True
                place = first + count
                node[place if place < n else place - n] = v
                count += 1
    return budget
