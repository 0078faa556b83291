"""The entries of an entropic plan, computed when somebody wants to see them."""

import numpy as np
from numba import njit

from otdist._kernels.costs import MATRIX, Costs, power_of_distance, slacks_of
from otdist._kernels.exponential import soft_points, soft_row


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def entropic_rows(
    costs: Costs,
    start: int,
    f: np.ndarray,
    g: np.ndarray,
    scale: float,
    r: np.ndarray,
    s: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    nothing: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write ``r 2**(scale * (f + g - c)) s + u v`` for the rows from `start` on.

    `nothing` (m,) is zero.
    """
    power = power_of_distance(costs)
    for k in range(out.shape[0]):
        i, row = start + k, out[k]
        if costs.kind == MATRIX:
            soft_row(costs.matrix[i], g, f[i], scale, row)
        elif power > 0:
            soft_points(costs.x, i, costs.y, power == 1, g, f[i], scale, row)
        else:
            slacks_of(costs, i, nothing, row)
            soft_row(row, g, f[i], scale, row)
        r_i, u_i = r[i], u[i]
        for j in range(row.size):
            row[j] = r_i * row[j] * s[j] + u_i * v[j]
