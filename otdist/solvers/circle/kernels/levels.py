"""Running sums of integer masses, exact sums, and powers of distances: line and circle."""

import numpy as np

from otdist.plans.kernels.integer_masses import quantise
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**_INNER)

# Whole powers up to this one are products.
_MOST_FACTORS = 8.0


@inner
def integer_levels(
    a: np.ndarray, b: np.ndarray, factor: float, level_a: np.ndarray, level_b: np.ndarray
) -> float:
    """Write running sums of a and ``factor * b`` as integers; return their unit.

    The unit is 0 where the masses are out of range.
    """
    total = 0.0
    for i in range(a.size):
        total += a[i]
    if not (1e-250 < total < 1e250 and 0.0 < factor < np.inf):
        return 0.0
    unit = quantise(a, b, factor, total, level_a, level_b)[0]
    for i in range(1, a.size):
        level_a[i] += level_a[i - 1]
    for j in range(1, b.size):
        level_b[j] += level_b[j - 1]
    return unit


@inner
def northwest(
    level_a: np.ndarray,
    level_b: np.ndarray,
    unit: float,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
) -> int:
    """Write the arcs with mass of the staircase coupling; return their number."""
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
def add_exactly(total: float, term: float) -> tuple[float, float]:
    """Return the rounded sum of two numbers and its rounding error (Knuth)."""
    new = total + term
    part = new - total
    return new, (total - (new - part)) + (term - part)


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
