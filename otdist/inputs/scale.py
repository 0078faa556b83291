"""The unit of length: distances are computed in a unit 2**k near the size of the points.

Distances grow with the points, but their squares and powers leave float64 far from 1. A power
of two changes no digit, so results are exact multiples of those in the unit.
"""

from __future__ import annotations

import math
from operator import sub
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.typing import FloatArray, IntArray

#: Lengths from 2**-FAR to 2**FAR have squares, and sums of those, far inside of float64.
FAR = 200
#: For these orders every step commutes with powers of two. Other powers do not, to the last
#: digit, and are always computed in a unit.
EXACT = (1.0, 2.0, math.inf)
# The largest lengths of other orders in their unit are 2**16 at most, and costs 2**600: the
# costs of short ways beside long ones underflow later.
_LONGEST, _LARGEST = 16, 600


def exponent(size: float, p: float) -> int:
    """Return k for differences of coordinates up to `size`.

    It is 0 for concave costs, p < 1, which have no root to take, and for differences that
    overflow.
    """
    k = math.frexp(size)[1]
    if p in EXACT:
        return k if abs(k) > FAR else 0
    return k - room(p) if p > 1 and 0 < size < math.inf else 0


def exponents(sizes: FloatArray, p: float) -> IntArray:
    """Return `exponent` for many sizes."""
    k = np.frexp(sizes)[1]
    if p in EXACT:
        return np.where(np.abs(k) > FAR, k, 0)
    return np.where((sizes > 0) & (sizes < np.inf) & (p > 1), k - room(p), 0)


def room(p: float) -> int:
    """Return the binary exponent of the largest lengths in their unit."""
    return min(_LONGEST, int(_LARGEST / p))


def largest_difference(low: FloatArray, high: FloatArray) -> float:
    """Return the longest side of a box, inf where it overflows."""
    sides: list[float] = list(map(sub, high.tolist(), low.tolist()))
    return max(sides)


def in_unit(array: FloatArray, k: Any) -> FloatArray:
    """Return lengths in the unit 2**k."""
    scaled: FloatArray = np.ldexp(array, -k)
    return scaled


def keeps_digits(array: FloatArray, k: Any) -> NDArray[np.bool_]:
    """Whether lengths keep all digits in the unit 2**k."""
    kept: NDArray[np.bool_] = in_unit(in_unit(array, k), -k) == array
    return kept


def from_unit(value: float, k: int) -> float:
    """Return a length given in the unit 2**k."""
    return math.ldexp(value, k) if k else value
