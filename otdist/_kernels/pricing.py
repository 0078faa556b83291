"""Prices all arcs of some rows: which are violated.

The bound that a pricing pass proves comes for free: the smallest slack of every row.
"""

import numpy as np
from numba import njit

from otdist._kernels.costs import EUCLIDEAN, Costs, Found, cost_of, minimum, slacks_of

_NOISE = 2.0**-49  # rounding of a reduced cost, as a part of the two potentials
_SCREEN = 4096  # pairs between two looks at whether one may violate


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    fastmath={"contract", "nsz"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _may_violate(
    point: np.ndarray, others: np.ndarray, f: float, g: np.ndarray
) -> bool:
    """Whether a distance in the plane or in space may be below ``f + g[j]`` for some j.

    Squares are compared, since a root takes longer than all the rest.
    """
    x0, x1, x2 = point[0], point[1], point[point.size - 1]
    for start in range(0, g.size, _SCREEN):
        stop = start + _SCREEN
        y0, y1 = others[0][start:stop], others[1][start:stop]
        y2 = others[point.size - 1][start:stop]
        part = g[start:stop]
        hits = 0
        if point.size == 2:
            for j in range(part.size):
                d0, d1, most = x0 - y0[j], x1 - y1[j], f + part[j]
                hits += (d0 * d0 + d1 * d1 < most * most) & (most > 0.0)
        else:
            for j in range(part.size):
                d0, d1, d2 = x0 - y0[j], x1 - y1[j], x2 - y2[j]
                most = f + part[j]
                hits += (d0 * d0 + d1 * d1 + d2 * d2 < most * most) & (most > 0.0)
        if hits > 0:
            return True
    return False


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def violations(
    costs: Costs,
    rows: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    tolerance: float,
    slacks: np.ndarray,
    least: np.ndarray,
    arcs: Found,
) -> None:
    """Find arcs with ``cost - f - g < -tolerance`` in the rows given.

    Every pair of them is priced. Of each chunk of columns the most violated arc counts,
    and of those the first `width` of a row are kept. `least` (n,) receives the
    smallest slack of each of the rows, or no more than that; `slacks` (m,) is scratch.
    """
    found, count = arcs.end, arcs.number
    width = found.shape[1]
    chunk = max(8, min(128, g.size // (2 * width)))
    is_distance = costs.kind == EUCLIDEAN and costs.p == 1.0
    is_screened = is_distance and costs.x.shape[0] in (2, 3)
    for i in rows:
        count[i] = 0
        if is_screened:
            # Half the tolerance is for the rounding of the squares.
            point, level = costs.x[:, i], f[i] - 0.5 * tolerance
            if not _may_violate(point, costs.y, level, g):
                least[i] = f[i] - tolerance
                continue
        slacks_of(costs, False, i, g, slacks)
        least[i] = minimum(slacks)
        if not least[i] - f[i] < -tolerance:
            continue
        n_chunks = (slacks.size + chunk - 1) // chunk
        begin = (i * 7919) % n_chunks
        for turn in range(n_chunks):
            left = (begin + turn) % n_chunks * chunk
            part = slacks[left : left + chunk]
            smallest = minimum(part)
            if smallest - f[i] < -tolerance:
                j = 0
                while part[j] > smallest:
                    j += 1
                j += left
                cost = cost_of(costs, i, j)
                # As the network simplex computes it, or that would not take the arc.
                noise = max(tolerance, _NOISE * (abs(f[i]) + abs(g[j])))
                if (cost - g[j]) - f[i] < -noise:
                    found[i, count[i]] = j
                    arcs.cost[i, count[i]] = cost
                    count[i] += 1
                if count[i] == width:
                    break


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def carry_over(
    costs: Costs,
    rows: np.ndarray,
    f: np.ndarray,
    columns: np.ndarray,
    nothing: np.ndarray,
    slacks: np.ndarray,
    g: np.ndarray,
) -> None:
    """Lower g to ``min c[i, j] - f[i]`` over the rows given, for the columns given.

    `nothing` (m,) is zero, `slacks` (m,) is scratch.
    """
    for k in range(rows.size):
        slacks_of(costs, False, rows[k], nothing, slacks)
        f_k = f[k]
        for j in range(g.size):
            slack = slacks[columns[j]] - f_k
            g[j] = slack if slack < g[j] else g[j]  # noqa: FURB136
