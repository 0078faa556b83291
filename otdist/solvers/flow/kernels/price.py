"""Network simplex on a graph: which edge enters the tree next.

Potentials may fall along an edge by no more than its length; an edge along which they
fall by more enters. Edges are priced a block at a time, and the worst of a block enters.
"""

from typing import Any

import numpy as np

from otdist.runtime.kernel_cache import njit
from otdist.solvers.flow.kernels.spanning_tree import Tree, pivot

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

DONE = 0  # along no edge do potentials fall by more than its length
MORE = 1  # the work budget of this call is used up


@inner
def _worst(
    tail: np.ndarray,
    head: np.ndarray,
    length: np.ndarray,
    potential: np.ndarray,
    least: Any,
) -> tuple[int, Any]:
    """Return the edge whose fall exceeds its length most, -1 if none by `least`."""
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
    """Pivot until no edge has too steep potentials, or a limit is met.

    The budget counts edges priced and nodes touched; `cursor` holds the next edge to
    price and the number of pivots. All state is in `tree` and `cursor`.
    """
    n_edges = length.size
    n_idle = 0
    while budget > 0 and cursor[1] < max_pivots:
        begin = cursor[0]
        end = min(begin + n_block, n_edges)
        e, excess = _worst(
            tail[begin:end],
            head[begin:end],
            length[begin:end],
            tree.potential,
            np.int64(0),
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
