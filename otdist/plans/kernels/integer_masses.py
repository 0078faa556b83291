"""Masses as exact integers: the compiled twin of `plans.integer_masses`."""

import math

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**_INNER)
inlined = njit(**_FLAGS, inline="always")

# As in `plans.integer_masses`, where it is explained.
_TOTAL_BITS = 61


@inlined
def quantise(
    a: np.ndarray,
    b: np.ndarray,
    factor: float,
    total: float,
    whole_a: np.ndarray,
    whole_b: np.ndarray,
) -> tuple[float, bool]:
    """Write masses a and ``factor * b`` that sum to `total` as integers.

    Positive masses become positive integers, and zeros stay zeros. Returns the unit, and
    whether every mass is exact.
    """
    n, m = a.size, b.size
    # In loops: expressions on whole arrays take longer to compile than all of this.
    n_other = 0
    for i in range(n):
        n_other += a[i] != a[0]
    for j in range(m):
        n_other += b[j] != b[0]
    if n_other == 0:
        common = math.gcd(n, m)
        for i in range(n):
            whole_a[i] = m // common
        for j in range(m):
            whole_b[j] = n // common
        return a[0] / (m // common), True
    shift = _TOTAL_BITS - math.frexp(total)[1]
    # In two steps, since the scale of a very small total is not a number.
    first, second = math.ldexp(1.0, shift // 2), math.ldexp(1.0, shift - shift // 2)
    sum_a, _, is_exact_a = _round(a, first, second, whole_a)
    sum_b, largest_b, is_exact_b = _round(b, first, factor * second, whole_b)
    missing = sum_a - sum_b
    is_exact = is_exact_a and is_exact_b and missing == 0
    if missing != 0:
        # Of b each mass takes its part, and the largest one what rounding leaves.
        part = missing / sum_b
        for j in range(m):
            more = int(np.rint(whole_b[j] * part))
            whole_b[j] += more
            missing -= more
        whole_b[largest_b] += missing
    return math.ldexp(1.0, -shift), is_exact


@inner
def _round(
    mass: np.ndarray, first: float, second: float, whole: np.ndarray
) -> tuple[int, int, bool]:
    """Round ``mass * first * second``; return the sum, where the largest is, exactness."""
    total, largest, where, n_rounded = 0, 0, 0, 0
    for i in range(mass.size):
        scaled = (mass[i] * first) * second
        part = int(np.rint(scaled))
        part = max(part, 1) if mass[i] > 0.0 else 0
        n_rounded += part != scaled
        whole[i] = part
        total += part
        if part > largest:
            largest, where = part, i
    return total, where, n_rounded == 0
