"""The coupling of sorted distributions, with masses as exact as the weights.

A level, the value of a distribution function, is an integer of two limbs: levels that are equal
meet, and masses, which are differences of levels, keep their digits however small they are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.plans.plans import Arcs
from otdist.typing import FloatArray, IntArray

# The sum of all masses stays below this many bits of the high limb, so that none overflows.
_TOTAL_BITS = 61
# Bits of the low limb.
_LOW_BITS = 58
_LOW_MASK = (1 << _LOW_BITS) - 1
_LOW_UNITS = 2.0**_LOW_BITS
_HALF_BITS = 2.0**27 + 1.0
# Masses above this part of the sum are as exact in two limbs as in float64.
_RESOLVED = 2.0**-66


class Levels(NamedTuple):
    """Running sums of weights; a level is ``high + low / 2**58`` units."""

    high: IntArray
    low: IntArray


def is_resolved(a: FloatArray, b: FloatArray) -> bool:
    """Whether two limbs hold all masses with the precision of float64."""
    return bool(min(a.min(), b.min()) > _RESOLVED * a.sum())


def staircase(a: FloatArray, b: FloatArray) -> Arcs:
    """Fill a coupling of positive weights from the north-west corner.

    The sum of b is brought to that of a. Returns at most n + m - 1 arcs with mass, in the order
    of the staircase.
    """
    first, second, unit = levels(a, b)
    n, high, low = len(a), *(np.concatenate(limbs) for limbs in zip(first, second, strict=True))
    # Two sorted runs: a stable sort merges them in linear time.
    order = np.argsort(high, kind="stable")
    high, low = high[order], low[order]
    if low.any():
        _sort_alike(order, high, low)
    rest = np.diff(low, prepend=0)
    flow = np.diff(high, prepend=0) + (rest >> _LOW_BITS)
    mass = (flow + (rest & _LOW_MASK) / _LOW_UNITS) * unit
    # Levels below the end of an arc are those before it, since the others that are equal
    # end no mass.
    is_row = order < n
    before = np.cumsum(is_row) - is_row
    used = np.flatnonzero((flow > 0) | (rest & _LOW_MASK > 0))
    return Arcs(before[used], used - before[used], mass[used])


def _sort_alike(order: IntArray, high: IntArray, low: IntArray) -> None:
    """Sort by the low limbs where high limbs are equal."""
    same = high[1:] == high[:-1]
    if not same.any():
        return
    alike = np.flatnonzero(np.append(same, False) | np.append(False, same))
    by_low = alike[np.lexsort((low[alike], high[alike]))]
    order[alike], low[alike] = order[by_low], low[by_low]


def levels(a: FloatArray, b: FloatArray) -> tuple[Levels, Levels, float]:
    """Return the levels of a, those of b with its sum brought to that of a, and the unit."""
    n, m = len(a), len(b)
    if not np.count_nonzero(a != a[0]) and not np.count_nonzero(b != b[0]):
        # The least common multiple of n and m is the total.
        common = math.gcd(n, m)
        first = Levels(np.arange(1, n + 1) * (m // common), np.zeros(n, np.int64))
        second = Levels(np.arange(1, m + 1) * (n // common), np.zeros(m, np.int64))
        return first, second, float(a[0]) / (m // common)
    shift = _TOTAL_BITS - math.frexp(math.fsum(a.tolist()))[1]
    scaled_a, scaled_b = np.ldexp(a, shift), np.ldexp(b, shift)
    first, second = _summed(*_split(scaled_a)), _summed(*_split(scaled_b))
    if first.high[-1] != second.high[-1] or first.low[-1] != second.low[-1]:
        ratio, low_ratio = _ratio(first, second)
        product, error = _product(scaled_b, ratio)
        high, low = _split(product)
        high_rest, low_rest = _split(error + scaled_b * low_ratio)
        low += low_rest
        second = _summed(high + high_rest + (low >> _LOW_BITS), low & _LOW_MASK)
        # The largest mass takes what the sum still misses.
        largest = slice(int(b.argmax()), None)
        high, low = first.high[-1] - second.high[-1], first.low[-1] - second.low[-1]
        second.low[largest] += low
        second.high[largest] += high + (second.low[largest] >> _LOW_BITS)
        second.low[largest] &= _LOW_MASK
    return first, second, math.ldexp(1.0, -shift)


def _split(scaled: FloatArray) -> tuple[IntArray, IntArray]:
    """Write numbers in two limbs."""
    whole = np.trunc(scaled)
    low = np.rint((scaled - whole) * _LOW_UNITS).astype(np.int64)
    high = whole.astype(np.int64) + (low >> _LOW_BITS)
    return high, low & _LOW_MASK


def _summed(high: IntArray, low: IntArray) -> Levels:
    """Sum up positive masses in two limbs, each of which is one unit at least."""
    low[(high == 0) & (low == 0)] = 1
    # Sums modulo 2**64, and how often they passed it.
    sums: NDArray[np.uint64] = np.cumsum(low.astype(np.uint64))
    wraps = np.cumsum(sums < low.astype(np.uint64)) << (64 - _LOW_BITS)
    carries = wraps + (sums >> np.uint64(_LOW_BITS)).astype(np.int64)
    return Levels(np.cumsum(high) + carries, (sums & np.uint64(_LOW_MASK)).astype(np.int64))


def _ratio(first: Levels, second: Levels) -> tuple[float, float]:
    """Return the ratio of the sums of a and b, as a sum of two numbers."""
    whole_a, whole_b = int(first.high[-1]), int(second.high[-1])
    high_a, high_b = float(whole_a), float(whole_b)
    low_a = (whole_a - int(high_a)) + int(first.low[-1]) / _LOW_UNITS
    low_b = (whole_b - int(high_b)) + int(second.low[-1]) / _LOW_UNITS
    ratio = high_a / high_b
    product, error = _product(np.array([ratio]), high_b)
    rest = ((high_a - float(product[0])) - float(error[0])) + (low_a - ratio * low_b)
    return ratio, rest / high_b


def _product(left: FloatArray, right: float) -> tuple[FloatArray, FloatArray]:
    """Return rounded products and their rounding errors (Dekker, 1971)."""
    product = left * right
    high_left = _HALF_BITS * left - (_HALF_BITS * left - left)
    high_right = _HALF_BITS * right - (_HALF_BITS * right - right)
    low_left, low_right = left - high_left, right - high_right
    error = ((high_left * high_right - product) + high_left * low_right) + low_left * high_right
    return product, error + low_left * low_right
