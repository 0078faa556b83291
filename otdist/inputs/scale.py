"""The unit of length: large and small coordinates are computed in a unit 2**k near their size.

Distances grow with the points, but their powers and squares leave float64 far from 1. A power
of two changes no digit, so results are exact multiples of those in the unit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from otdist.typing import FloatArray

#: Lengths from 2**-FAR to 2**FAR have squares, and sums of those, far inside of float64.
FAR = 200
#: Orders of which every step commutes with powers of two. Other powers do not, to the last
#: digit, and are always computed in a unit.
_EXACT = (1.0, 2.0, math.inf)


def exponents(sizes: Any, p: float) -> Any:
    """Return k for differences of coordinates up to `sizes`, a number or an array.

    In the unit 2**k they are at most 1. Concave costs, p < 1, have no root to take, and
    stay in their unit.
    """
    k = np.frexp(sizes)[1]
    if p < 1:
        return np.zeros_like(k)
    return np.where(np.abs(k) > FAR, k, 0) if p in _EXACT else k


def is_near(largest: float, p: float) -> bool:
    """Whether costs up to `largest`, of order p, need no other unit than 1."""
    return p < 1 or (p in _EXACT and 2.0**-FAR < largest < 2.0**FAR)


def in_unit(array: FloatArray, k: Any) -> FloatArray:
    """Return lengths in the unit 2**k."""
    return np.ldexp(array, np.negative(k))


def from_unit(value: float, k: int) -> float:
    """Return a length given in the unit 2**k."""
    return math.ldexp(value, int(k)) if k else value
