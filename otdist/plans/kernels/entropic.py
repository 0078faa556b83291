"""Entries and sums of an entropic plan, computed from its potentials."""

import numpy as np

from otdist.compiled.costs import MATRIX, Costs, power_of_distance, slacks_of
from otdist.compiled.exp2 import soft_points, soft_row
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
reordering_kernel = njit(**_FLAGS, fastmath={"contract", "nsz", "reassoc"})
inner = njit(**_INNER)


@inner
def write_row(
    costs: Costs,
    i: int,
    f: float,
    g: np.ndarray,
    scale: float,
    nothing: np.ndarray,
    row: np.ndarray,
) -> None:
    """Write ``2**(scale * (f + g - c))`` for a row; `nothing` (m,) is zero."""
    power = power_of_distance(costs)
    if costs.kind == MATRIX:
        soft_row(costs.matrix[i], g, f, scale, row)
    elif power > 0:
        soft_points(costs.x, i, costs.y, 0, power == 1, g, f, scale, row)
    else:
        slacks_of(costs, i, nothing, row)
        soft_row(row, g, f, scale, row)


@kernel
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
    for k in range(out.shape[0]):
        i, row = start + k, out[k]
        write_row(costs, i, f[i], g, scale, nothing, row)
        r_i, u_i = r[i], u[i]
        for j in range(row.size):
            row[j] = r_i * row[j] * s[j] + u_i * v[j]


@reordering_kernel
def rounded_sums(
    costs: Costs,
    start: int,
    stop: int,
    f: np.ndarray,
    g: np.ndarray,
    scale: float,
    s: np.ndarray,
    mass: np.ndarray,
    nothing: np.ndarray,
    row: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> None:
    """Write row sums of ``2**(scale * (f + g - c)) s`` from `start` to `stop`.

    Rows above their masses are scaled down to them, and all rows are then added to the columns.
    `row` (m,) is scratch, `nothing` (m,) is zero.
    """
    for i in range(start, stop):
        write_row(costs, i, f[i], g, scale, nothing, row)
        total = 0.0
        for j in range(row.size):
            row[j] *= s[j]
            total += row[j]
        rows[i] = total
        factor = mass[i] / total if total > mass[i] else 1.0
        for j in range(row.size):
            columns[j] += factor * row[j]
