"""C-transforms and sums of exponentials along one axis of a grid, for certificates.

Each has a NumPy twin that tests compare it with.
"""

import numpy as np

from otdist.certificate.kernels.points import lower_all
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
kernel = njit(**_FLAGS)
finite_fusing_kernel = njit(**_FLAGS, fastmath={"contract", "nnan", "nsz"})

# Terms below exp(-_DEEP) of the largest are raised to that.
_DEEP = 45.0
# Sums between two looks at a count.
_SCREEN = 64


@kernel
def _smallest_sums(line: np.ndarray, cost: np.ndarray, least: np.ndarray) -> None:
    """Write ``min_i line[i] + cost[i, j]`` for every j."""
    least[:] = np.inf
    for i in range(line.size):
        if line[i] < np.inf:
            lower_all(cost[i], -line[i], least)


@kernel
def smallest_sums(lines: np.ndarray, cost: np.ndarray, least: np.ndarray) -> None:
    """Write ``min_i lines[k, i] + cost[i, j]`` to ``least[k, j]``; inf is legal."""
    for k in range(lines.shape[0]):
        _smallest_sums(lines[k], cost, least[k])


@finite_fusing_kernel
def _add_exponentials(value: float, cost: np.ndarray, least: np.ndarray, sums: np.ndarray) -> None:
    """Add ``exp(least - value - cost)`` where that counts, with a relative error of 2**-44.

    By arithmetic alone, which the compiler turns into vectors: the 128th power of
    ``cosh(x / 128) + sinh(x / 128)``, from their series.
    """
    hits = 0
    for j in range(sums.size):
        hits += least[j] - (value + cost[j]) > -_DEEP
    if hits == 0:
        return
    for j in range(sums.size):
        x = least[j] - (value + cost[j])
        x = x if x > -_DEEP else -_DEEP  # noqa: FURB136 (max() would stay scalar)
        x *= 1.0 / 128.0
        z = x * x
        even = z * (1.0 / 479001600.0) + 1.0 / 3628800.0
        odd = z * (1.0 / 6227020800.0) + 1.0 / 39916800.0
        even = even * z + 1.0 / 40320.0
        odd = odd * z + 1.0 / 362880.0
        even = even * z + 1.0 / 720.0
        odd = odd * z + 1.0 / 5040.0
        even = even * z + 1.0 / 24.0
        odd = odd * z + 1.0 / 120.0
        even = even * z + 0.5
        odd = odd * z + 1.0 / 6.0
        even = even * z + 1.0
        odd = odd * z + 1.0
        y = odd * x + even
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        y *= y
        sums[j] += y


@kernel
def log_sums(lines: np.ndarray, cost: np.ndarray, least: np.ndarray, sums: np.ndarray) -> None:
    """Write ``-log sum_i exp(-lines[k, i] - cost[i, j])`` over ``lines[k, j]``.

    An entry or a cost of inf stands for no term, and a result of inf for no terms at all.
    `least` and `sums` are scratch for one line.
    """
    for k in range(lines.shape[0]):
        line = lines[k]
        _smallest_sums(line, cost, least)
        for j in range(line.size):
            sums[j] = 0.0
            # Where there is no term, differences from it must not be inf - inf.
            least[j] = least[j] if least[j] < np.inf else -np.inf
        for i in range(line.size):
            if line[i] < np.inf:
                for start in range(0, line.size, _SCREEN):
                    part = slice(start, start + _SCREEN)
                    _add_exponentials(line[i], cost[i, part], least[part], sums[part])
        for j in range(line.size):
            line[j] = least[j] - np.log(sums[j]) if least[j] > -np.inf else np.inf
