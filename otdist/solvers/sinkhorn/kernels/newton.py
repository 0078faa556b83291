"""Products with the larger entries of a plan, for Newton's method.

The matrix Q is the plan with every row divided by its mass. Row i of Q is
``values[start[i]:start[i + 1]]``, blocks of `WIDTH` entries at the places `place` of the row.
With factors v on the columns and rows scaled to their masses, the column sums are ``v * y``
with y from `scaled_columns`. Vectors over columns are padded to whole blocks.
"""

import numpy as np

from otdist.compiled.exp2 import WIDTH, block_add, block_dot
from otdist.runtime.kernel_cache import njit
from otdist.solvers.sinkhorn.kernels.sweep import Pool

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
kernel = njit(**_FLAGS)
fusing_kernel = njit(**_FLAGS, fastmath={"contract"})


@kernel
def scaled_columns(
    pool: Pool,
    first: int,
    v: np.ndarray,
    mass: np.ndarray,
    rest: np.ndarray,
    sums: np.ndarray,
    y: np.ndarray,
) -> None:
    """Write the row sums of ``Q v`` and add ``Qᵀ (mass / sums)`` to y."""
    for i in range(mass.size):
        begin, end = pool.start[first + i], pool.start[first + i + 1]
        found = rest[i] + block_dot(pool.place, pool.values, begin, end, v)
        sums[i] = found
        block_add(pool.place, pool.values, begin, end, mass[i] / found, y)


@kernel
def normal_matvec(pool: Pool, first: int, x: np.ndarray, weight: np.ndarray, y: np.ndarray) -> None:
    """Add ``Qᵀ (weight * (Q x))`` to y."""
    for i in range(weight.size):
        begin, end = pool.start[first + i], pool.start[first + i + 1]
        found = block_dot(pool.place, pool.values, begin, end, x)
        block_add(pool.place, pool.values, begin, end, weight[i] * found, y)


@fusing_kernel
def diagonal(
    pool: Pool, first: int, v: np.ndarray, weight: np.ndarray, sums: np.ndarray, y: np.ndarray
) -> None:
    """Add ``sum_i weight[i] q[i, j] (sums[i] - q[i, j])`` to y, with ``q = Q v``.

    Products are summed rather than taken from a difference of two masses, which would lose
    all digits where one row supplies almost a whole column.
    """
    for i in range(weight.size):
        for k in range(pool.start[first + i], pool.start[first + i + 1]):
            place = WIDTH * pool.place[k]
            entries = pool.values[k]
            for j in range(WIDTH):
                entry = v[place + j] * entries[j]
                y[place + j] += weight[i] * entry * (sums[i] - entry)
