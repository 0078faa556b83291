"""Masses as running sums of integers, and powers of distances: for line and circle."""

import math

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**_INNER)

# The total mass in integer units stays below 2**61, so that no sum overflows.
_TOTAL_BITS = 61
# Whole powers up to this one are products.
_MOST_FACTORS = 8.0


@inner
def integer_levels(
    a: np.ndarray,
    b: np.ndarray,
    factor: float,
    level_a: np.ndarray,
    level_b: np.ndarray,
) -> float:
    """Write running sums of masses as integers, and return their unit.

    As `plans.integer_masses.quantise` does: exact for uniform measures and for masses with a common
    binary unit; else rounded, and the largest mass takes what is then missing.
    """
    n, m = a.size, b.size
    total, spread = 0.0, 0
    for i in range(n):
        total += a[i]
        spread += a[i] != a[0]
    for j in range(m):
        spread += b[j] != b[0]
    if not (1e-250 < total < 1e250 and 0.0 < factor < np.inf):
        return 0.0
    if spread == 0:
        common = math.gcd(n, m)
        for i in range(n):
            level_a[i] = (i + 1) * (m // common)
        for j in range(m):
            level_b[j] = (j + 1) * (n // common)
        return a[0] / (m // common)
    shift = _TOTAL_BITS - math.frexp(total)[1]
    scale = math.ldexp(1.0, shift)
    whole_a, largest_a = _round_up(a, scale, level_a)
    whole_b, largest_b = _round_up(b, factor * scale, level_b)
    # What is missing is far less than the largest mass.
    if whole_a < whole_b:
        level_a[largest_a] += whole_b - whole_a
    else:
        level_b[largest_b] += whole_a - whole_b
    for i in range(1, n):
        level_a[i] += level_a[i - 1]
    for j in range(1, m):
        level_b[j] += level_b[j - 1]
    return math.ldexp(1.0, -shift)


@inner
def _round_up(mass: np.ndarray, scale: float, whole: np.ndarray) -> tuple[int, int]:
    """Write masses times `scale` as integers, no positive one as 0.

    Returns their sum and the index of the largest.
    """
    total, largest, where = 0, 0, 0
    for i in range(mass.size):
        part = int(np.rint(mass[i] * scale))
        part = max(part, 1) if mass[i] > 0.0 else 0
        whole[i] = part
        total += part
        if part > largest:
            largest, where = part, i
    return total, where


@inner
def northwest(
    level_a: np.ndarray,
    level_b: np.ndarray,
    unit: float,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
) -> int:
    """Write the arcs with mass of the staircase; return how many there are."""
    i, j, k, below = 0, 0, 0, 0
    while i < level_a.size and j < level_b.size:
        ends_a, ends_b = level_a[i], level_b[j]
        level = min(ends_a, ends_b)
        rows[k], columns[k], mass[k] = i, j, (level - below) * unit
        k += level > below
        i += ends_a <= ends_b
        j += ends_b <= ends_a
        below = level
    return k


@inner
def power(distance: float, p: float) -> float:
    """Return ``distance ** p``, by products where p is a small whole number."""
    if p == 1.0:
        return distance
    if p > _MOST_FACTORS or p != np.floor(p):
        return distance**p
    result = distance * distance
    for _ in range(int(p) - 2):
        result *= distance
    return result
