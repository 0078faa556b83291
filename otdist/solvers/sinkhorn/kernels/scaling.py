"""Sinkhorn's iteration on a plan ``a u K v b``, with ``K = exp(-c / epsilon)`` as a matrix."""

import numpy as np

from otdist.compiled.costs import Costs
from otdist.compiled.simd import smaller
from otdist.plans.kernels.entropic import write_row
from otdist.runtime.kernel_cache import njit
from otdist.solvers.sinkhorn.kernels.anderson import Memory, next_iterate

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
finite_kernel = njit(**_FLAGS, fastmath={"nnan", "nsz"})
reordering_kernel = njit(**_FLAGS, fastmath={"contract", "nsz", "reassoc"})
reordering_inner = njit(
    **_FLAGS,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    fastmath={"contract", "nsz", "reassoc"},
)


@finite_kernel
def gibbs_rows(
    costs: Costs, start: int, scale: float, nothing: np.ndarray, out: np.ndarray
) -> tuple[float, float]:
    """Write ``2**(-scale * c)`` for the rows from `start` on, and return the range of entries.

    `nothing` (m,) is zero.
    """
    least = least_negated = np.inf
    for k in range(out.shape[0]):
        row = out[k]
        write_row(costs, start + k, 0.0, nothing, scale, nothing, row)
        for j in range(row.size):
            least = smaller(row[j], least)
            least_negated = smaller(-row[j], least_negated)
    return least, -least_negated


@reordering_inner
def _scale_rows(
    gibbs: np.ndarray, a: np.ndarray, scaled_b: np.ndarray, u: np.ndarray, sums: np.ndarray
) -> None:
    """Write ``1 / (K v b)`` to u and the sums of ``a u K``; `scaled_b` is ``v b``.

    Four rows at a time, which share what they read of `scaled_b` and `sums`.
    """
    n, m = gibbs.shape
    sums[:] = 0.0
    first = n - n % 4
    for i in range(0, first, 4):
        row0, row1, row2, row3 = gibbs[i], gibbs[i + 1], gibbs[i + 2], gibbs[i + 3]
        total0 = total1 = total2 = total3 = 0.0
        for j in range(m):
            total0 += row0[j] * scaled_b[j]
            total1 += row1[j] * scaled_b[j]
            total2 += row2[j] * scaled_b[j]
            total3 += row3[j] * scaled_b[j]
        u[i], u[i + 1], u[i + 2], u[i + 3] = 1 / total0, 1 / total1, 1 / total2, 1 / total3
        part0, part1 = a[i] * u[i], a[i + 1] * u[i + 1]
        part2, part3 = a[i + 2] * u[i + 2], a[i + 3] * u[i + 3]
        for j in range(m):
            sums[j] += (part0 * row0[j] + part1 * row1[j]) + (part2 * row2[j] + part3 * row3[j])
    for i in range(first, n):
        row, total = gibbs[i], 0.0
        for j in range(m):
            total += row[j] * scaled_b[j]
        u[i] = 1 / total
        for j in range(m):
            sums[j] += a[i] * u[i] * row[j]


@reordering_kernel
def iterate(
    gibbs: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    wanted: tuple[float, float],
    most: int,
    log_v: np.ndarray,
    u: np.ndarray,
    scaled_b: np.ndarray,
    columns: np.ndarray,
    image: np.ndarray,
    weight: np.ndarray,
    memory: Memory,
) -> tuple[int, float, float]:
    """Iterate until the columns of the plan are right, `most` times at most.

    `wanted` are the errors of all columns, in mass, and of the logarithm of a column, that are
    good enough. Returns how many iterations were made and these two errors, inf where a number has
    left the range of float64. u and `scaled_b` make the plan, `columns` are its sums, and
    `log_v` is where the iteration goes on.
    """
    error = worst = 0.0
    for n in range(1, most + 1):
        for j in range(b.size):
            scaled_b[j] = b[j] * np.exp(log_v[j])
        _scale_rows(gibbs, a, scaled_b, u, columns)
        error = worst = 0.0
        for j in range(b.size):
            image[j] = -np.log(columns[j])
            off = abs(image[j] - log_v[j])
            if not off < np.inf:
                return n, np.inf, np.inf
            columns[j] *= scaled_b[j]
            error += abs(columns[j] - b[j])
            worst = max(worst, off)
        if error <= wanted[0] and worst <= wanted[1]:
            return n, error, worst
        next_iterate(memory, log_v, image, error, weight, log_v)
    return most, error, worst
