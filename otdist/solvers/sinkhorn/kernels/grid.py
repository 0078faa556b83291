"""Sums of exponentials along one axis of a grid, where products would underflow."""

import numpy as np

from otdist.compiled.simd import smaller
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
kernel = njit(**_FLAGS)
finite_kernel = njit(**_FLAGS, fastmath={"nnan", "nsz"})

# Terms below exp(-_DEEP) of the largest do not change a sum.
_DEEP = 45.0


@finite_kernel
def _log_sum(line: np.ndarray, cost: np.ndarray) -> float:
    """Return ``log sum_i exp(line[i] - cost[i])``; some line[i] must be finite."""
    least = np.inf
    for i in range(line.size):
        least = smaller(cost[i] - line[i], least)
    total = 0.0
    for i in range(line.size):
        depth = (cost[i] - line[i]) - least
        if depth < _DEEP:
            total += np.exp(-depth)
    return np.log(total) - least


@kernel
def log_sums_at(
    lines: np.ndarray, cost: np.ndarray, where: np.ndarray, columns: np.ndarray, out: np.ndarray
) -> None:
    """Write ``log sum_i exp(lines[k, i] - cost[i, j])`` for the listed k and j.

    `cost` is symmetric, and every line listed has a finite entry.
    """
    for q in range(where.size):
        k, j = where[q], columns[q]
        out[k, j] = _log_sum(lines[k], cost[j])
