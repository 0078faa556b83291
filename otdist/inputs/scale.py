"""The unit of length: distances are computed in a unit 2**k near the size of the points.

Distances grow with the points, but their squares and powers leave float64 far from 1. A power
of two changes no digit, so results are exact multiples of those in the unit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.typing import FloatArray

#: Lengths from 2**-FAR to 2**FAR have squares, and sums of those, far inside of float64.
FAR = 200
#: For these orders every step commutes with powers of two. Other powers do not, to the last
#: digit, and are always computed in a unit.
EXACT = (1.0, 2.0, math.inf)
# The largest lengths of other orders in their unit are 2**16 at most, and costs 2**600: the
# costs of short ways beside long ones underflow later.
_LONGEST, _LARGEST = 16, 600


def exponents(low: Any, high: Any, p: float) -> Any:
    """Return k for coordinates, or arrays of them, from `low` to `high`.

    It is 0 for concave costs, p < 1, which have no root to take, and for differences that
    overflow.
    """
    with np.errstate(over="ignore"):
        size = high - low
    k = np.frexp(size)[1]
    if p in EXACT:
        return np.where(np.abs(k) > FAR, k, 0)
    is_usual = (size > 0) & (size < np.inf) & (p > 1)
    return np.where(is_usual, k - min(_LONGEST, int(_LARGEST / p)), 0)


def exponent(low: FloatArray, high: FloatArray, p: float) -> int:
    """Return k for points from the corner `low` (d,) to the corner `high`; see `exponents`."""
    largest = np.argmax(0.5 * high - 0.5 * low)
    return int(exponents(low[largest], high[largest], p))


def in_unit(array: FloatArray, k: Any) -> FloatArray:
    """Return lengths in the unit 2**k."""
    scaled: FloatArray = np.ldexp(array, np.negative(k))
    return scaled


def is_exact(array: FloatArray, k: Any) -> NDArray[np.bool_]:
    """Whether lengths keep all digits in the unit 2**k, or are too small to count in powers."""
    # Most units are near 1, and nothing is looked at.
    if np.all(np.asarray(k) <= FAR):
        return np.ones(array.shape, np.bool_)
    kept: NDArray[np.bool_] = in_unit(in_unit(array, k), np.negative(k)) == array
    return kept | (np.asarray(k) <= FAR)


def from_unit(value: float, k: int) -> float:
    """Return a length given in the unit 2**k."""
    return math.ldexp(value, int(k)) if k else value
