"""The coupling of sorted distributions, with masses as exact as the weights.

A level, the value of a distribution function, is an integer of two limbs: levels that are equal
meet, and masses, which are differences of levels, keep their digits however small they are.
"""

from __future__ import annotations

import math

import numpy as np

from otdist.plans.plans import Arcs
from otdist.runtime.blocks import exact_sum
from otdist.typing import FloatArray, IntArray, NDArray

# The sum of all masses stays below this many bits of the high limb, so that none overflows.
_TOTAL_BITS = 61
# Bits of the low limb.
_LOW_BITS = 58
_LOW_MASK = (1 << _LOW_BITS) - 1
_LOW_UNITS = 2.0**_LOW_BITS
# Sums of half a low limb fit in 64 bits.
_HALF_BITS = _LOW_BITS // 2
_HALF_MASK = (1 << _HALF_BITS) - 1
# Splits a float64 in two halves.
_SPLITTER = 2.0**27 + 1.0
# Masses above this part of the sum are as exact in two limbs as in float64.
_RESOLVED = 2.0**-66


def is_resolved(a: FloatArray, b: FloatArray) -> bool:
    """Whether two limbs hold all masses with the precision of float64."""
    return bool(min(a.min(), b.min()) > _RESOLVED * a.sum())


def staircase(a: FloatArray, b: FloatArray) -> Arcs:
    """Fill a coupling of positive weights from the north-west corner.

    The sum of b is brought to that of a. Returns at most n + m - 1 arcs with mass, in the order
    of the staircase.
    """
    high, low, unit = levels(a, b)
    # Two sorted runs: a stable sort merges them in linear time.
    order = high.argsort(kind="stable")
    high, low = high[order], low[order]
    same = high[1:] == high[:-1]
    if (same & (low[1:] < low[:-1])).any():
        _sort_alike(order, low, high, same)
    high[1:] -= high[:-1].copy()
    low[1:] -= low[:-1].copy()
    flow, rest = high + (low >> _LOW_BITS), low & _LOW_MASK
    # Levels below the end of an arc are those before it: others that are equal end no mass.
    is_row = order < len(a)
    before = is_row.cumsum() - is_row
    used = np.flatnonzero((flow | rest) != 0)
    mass = (flow + rest / _LOW_UNITS)[used] * unit
    rows = before[used]
    return Arcs(rows, used - rows, mass)


def _sort_alike(order: IntArray, low: IntArray, high: IntArray, same: NDArray[np.bool_]) -> None:
    """Sort by the low limbs where high limbs are the same as before."""
    alike = np.flatnonzero(np.append(same, False) | np.append(False, same))
    by_low = alike[np.lexsort((low[alike], high[alike]))]
    order[alike], low[alike] = order[by_low], low[by_low]


def levels(a: FloatArray, b: FloatArray) -> tuple[IntArray, IntArray, float]:
    """Return the levels of a, then those of b with its sum brought to that of a, and the unit.

    A level is ``high + low / 2**58`` units.
    """
    n, m = len(a), len(b)
    if not np.count_nonzero(a != a[0]) and not np.count_nonzero(b != b[0]):
        # The least common multiple of n and m is the total.
        common = math.gcd(n, m)
        sides = np.arange(1, n + 1) * (m // common), np.arange(1, m + 1) * (n // common)
        return np.concatenate(sides), np.zeros(n + m, np.int64), float(a[0]) / (m // common)
    shift = _TOTAL_BITS - math.frexp(exact_sum(a))[1]
    scaled = np.ldexp(np.concatenate([a, b]), shift)
    high, low = _split(scaled)
    low += (high | low) == 0  # so that every atom has mass
    total, other = _sum(high[:n], low[:n]), _sum(high[n:], low[n:])
    if total != other:
        # The ratio of the sums is that of two numbers, and a rest.
        ratio = total / other
        over, under = ratio.as_integer_ratio()
        rest = (total * under - over * other) / (under * other)
        product, error = _product(scaled[n:], ratio)
        high[n:], low[n:] = _split(product)
        more, rest_of_b = _split(error + scaled[n:] * rest)
        high[n:] += more
        low[n:] += rest_of_b
        # The largest mass takes what the sum still misses.
        largest = n + int(b.argmax())
        missing = total - _sum(high[n:], low[n:]) + int(low[largest])
        high[largest] += missing >> _LOW_BITS
        low[largest] = missing & _LOW_MASK
    for side in (slice(n), slice(n, None)):
        _add_up(high[side], low[side])
    return high, low, math.ldexp(1.0, -shift)


def _split(scaled: FloatArray) -> tuple[IntArray, IntArray]:
    """Write numbers in two limbs."""
    whole = np.trunc(scaled)
    low = np.rint((scaled - whole) * _LOW_UNITS).astype(np.int64)
    return whole.astype(np.int64) + (low >> _LOW_BITS), low & _LOW_MASK


def _sum(high: IntArray, low: IntArray) -> int:
    """Return the sum of numbers in two limbs, in units of the low one."""
    rest = (int((low >> _HALF_BITS).sum()) << _HALF_BITS) + int((low & _HALF_MASK).sum())
    return (int(high.sum()) << _LOW_BITS) + rest


def _add_up(high: IntArray, low: IntArray) -> None:
    """Replace numbers in two limbs by their running sums."""
    upper, lower = (low >> _HALF_BITS).cumsum(), (low & _HALF_MASK).cumsum()
    upper += lower >> _HALF_BITS
    high.cumsum(out=high)
    high += upper >> _HALF_BITS
    low[:] = ((upper & _HALF_MASK) << _HALF_BITS) + (lower & _HALF_MASK)


def _product(left: FloatArray, right: float) -> tuple[FloatArray, FloatArray]:
    """Return rounded products and their rounding errors (Dekker, 1971)."""
    product = left * right
    part = _SPLITTER * left
    high_left = part - (part - left)
    high_right = _SPLITTER * right - (_SPLITTER * right - right)
    low_left, low_right = left - high_left, right - high_right
    error = ((high_left * high_right - product) + high_left * low_right) + low_left * high_right
    return product, error + low_left * low_right
