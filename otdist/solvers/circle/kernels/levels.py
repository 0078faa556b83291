"""Distribution functions in integers, exact sums, and powers of distances: line and circle.

A level, the value of a distribution function, has two limbs: ``high + low / 2**LOW_BITS``
units. The sum of all masses has 61 bits in the high limb, so that a mass above 2**-66 of it is
as exact as in float64, and levels that are equal meet.
"""

import math
from typing import NamedTuple

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**_INNER)

# As in `plans.staircase`, whose compiled twin this is.
_TOTAL_BITS = 61
LOW_BITS = 58
LOW_MASK = (1 << LOW_BITS) - 1
_LOW_UNITS = 2.0**LOW_BITS
_HALF_BITS = 2.0**27 + 1.0
# Whole powers up to this one are products.
_MOST_FACTORS = 8.0


class Levels(NamedTuple):
    """Levels of a (n,) and b (m,) at the upper ends of their masses."""

    a: np.ndarray  # (n,) int64, the high limb
    b: np.ndarray  # (m,) int64
    low_a: np.ndarray  # (n,) int64, in 0 … LOW_MASK
    low_b: np.ndarray  # (m,) int64


@inner
def write_levels(a: np.ndarray, b: np.ndarray, factor: float, levels: Levels) -> tuple[float, bool]:
    """Write the levels of a, and of b with its sum brought to that of a.

    Returns the unit, and whether all low limbs are 0. The unit is 0 where the masses, or the
    ratio of their sums `factor`, are out of range.
    """
    n, m, total = a.size, b.size, 0.0
    for i in range(n):
        total += a[i]
    if not (0.0 < total < np.inf and 0.0 < factor < np.inf):
        return 0.0, True
    if _are_equal(a) and _are_equal(b):
        common = math.gcd(n, m)
        for i in range(n):
            levels.a[i], levels.low_a[i] = (i + 1) * (m // common), 0
        for j in range(m):
            levels.b[j], levels.low_b[j] = (j + 1) * (n // common), 0
        return a[0] / (m // common), True
    shift = _TOTAL_BITS - math.frexp(total)[1]
    # In two steps, since the scale of a very small total is not a number.
    first, second = math.ldexp(1.0, shift // 2), math.ldexp(1.0, shift - shift // 2)
    _split(a, first, second, 1.0, 0.0, levels.a, levels.low_a)
    low_bits = _add_up(levels.a, levels.low_a)
    _split(b, first, second, 1.0, 0.0, levels.b, levels.low_b)
    low_bits |= _add_up(levels.b, levels.low_b)
    missing, low = levels.a[n - 1] - levels.b[m - 1], levels.low_a[n - 1] - levels.low_b[m - 1]
    if missing != 0 or low != 0:
        ratio, low_ratio = _ratio(levels)
        _split(b, first, second, ratio, low_ratio, levels.b, levels.low_b)
        low_bits |= _add_up(levels.b, levels.low_b)
        low_bits |= _end_alike(b, levels)
    return math.ldexp(1.0, -shift), low_bits == 0


@inner
def _are_equal(mass: np.ndarray) -> bool:
    i = 1
    while i < mass.size and mass[i] == mass[0]:
        i += 1
    return i >= mass.size


@inner
def _split(
    mass: np.ndarray,
    first: float,
    second: float,
    ratio: float,
    low_ratio: float,
    high: np.ndarray,
    low: np.ndarray,
) -> None:
    """Write ``mass * first * second * (ratio + low_ratio)`` in two limbs.

    A positive mass becomes a positive number.
    """
    for i in range(mass.size):
        scaled, rest = (mass[i] * first) * second, 0.0
        if ratio != 1.0 or low_ratio != 0.0:
            product, error = _multiply_exactly(scaled, ratio)
            scaled, rest = product, error + scaled * low_ratio
        whole, whole_rest = np.trunc(scaled), np.trunc(rest)
        units = int(np.rint((scaled - whole) * _LOW_UNITS))
        units += int(np.rint((rest - whole_rest) * _LOW_UNITS))
        high[i] = int(whole) + int(whole_rest) + (units >> LOW_BITS)
        low[i] = units & LOW_MASK
        low[i] += high[i] == 0 and low[i] == 0 and mass[i] > 0.0


@inner
def _add_up(high: np.ndarray, low: np.ndarray) -> int:
    """Replace masses by their running sums; return the bits in use of the low limbs."""
    level, rest, bits = 0, 0, 0
    for i in range(high.size):
        rest += low[i]
        level += high[i] + (rest >> LOW_BITS)
        rest &= LOW_MASK
        bits |= rest
        high[i], low[i] = level, rest
    return bits


@inner
def _ratio(levels: Levels) -> tuple[float, float]:
    """Return the ratio of the sums of a and b, as a sum of two numbers."""
    n, m = levels.a.size, levels.b.size
    high_a, high_b = float(levels.a[n - 1]), float(levels.b[m - 1])
    low_a = float(levels.a[n - 1] - int(high_a)) + levels.low_a[n - 1] / _LOW_UNITS
    low_b = float(levels.b[m - 1] - int(high_b)) + levels.low_b[m - 1] / _LOW_UNITS
    ratio = high_a / high_b
    product, error = _multiply_exactly(ratio, high_b)
    return ratio, (((high_a - product) - error) + (low_a - ratio * low_b)) / high_b


@inner
def _end_alike(b: np.ndarray, levels: Levels) -> int:
    """Let the largest mass of b take what its sum misses; return the bits of low limbs."""
    largest, n, m, bits = 0, levels.a.size, b.size, 0
    for j in range(m):
        if b[j] > b[largest]:
            largest = j
    missing, low = levels.a[n - 1] - levels.b[m - 1], levels.low_a[n - 1] - levels.low_b[m - 1]
    for j in range(largest, m):
        units = levels.low_b[j] + low
        levels.b[j] += missing + (units >> LOW_BITS)
        levels.low_b[j] = units & LOW_MASK
        bits |= levels.low_b[j]
    return bits


@inner
def northwest(
    levels: Levels,
    is_short: bool,
    unit: float,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
) -> int:
    """Write the arcs with mass of the staircase coupling; return their number.

    `is_short` tells that all low limbs are 0.
    """
    i, j, k, below, low_below = 0, 0, 0, 0, 0
    while i < levels.a.size and j < levels.b.size:
        ends_a, ends_b, low, part = levels.a[i], levels.b[j], 0, 0.0
        order = ends_a - ends_b
        level = min(ends_a, ends_b)
        flow = level - below
        if not is_short:
            low_a, low_b = levels.low_a[i], levels.low_b[j]
            if order == 0:
                order = low_a - low_b
            low = low_a if order <= 0 else low_b
            # What the low limb lacks is borrowed from the high one: no digits cancel.
            part = float((low - low_below) & LOW_MASK) / _LOW_UNITS
            flow += (low - low_below) >> LOW_BITS
        rows[k], columns[k], mass[k] = i, j, (flow + part) * unit
        k += flow > 0 or part > 0.0
        i += order <= 0
        j += order >= 0
        below, low_below = level, low
    return k


@inner
def _multiply_exactly(left: float, right: float) -> tuple[float, float]:
    """Return the rounded product of two numbers and its rounding error (Dekker)."""
    product = left * right
    part = _HALF_BITS * left
    high_left = part - (part - left)
    part = _HALF_BITS * right
    high_right = part - (part - right)
    low_left, low_right = left - high_left, right - high_right
    error = ((high_left * high_right - product) + high_left * low_right) + low_left * high_right
    return product, error + low_left * low_right


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
