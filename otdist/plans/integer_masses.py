"""Masses as exact integers, so that sums, ties and zeros are exact too."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from otdist.plans.plans import Arcs
from otdist.runtime.blocks import exact_sum
from otdist.typing import FloatArray, IntArray

# The total mass in integer units stays below this, so that no sum overflows.
_TOTAL_BITS = 61


class IntegerMasses(NamedTuple):
    """Positive integers a (n,), b (m,) of one sum; mass = integer * unit."""

    a: IntArray
    b: IntArray
    unit: float
    is_exact: bool  # none was rounded


def quantise(a: FloatArray, b: FloatArray) -> IntegerMasses:
    """Write positive masses of (nearly) one sum as integer multiples of a unit.

    Exact for two uniform measures and wherever the masses have a common binary
    unit (counts, 0.25, …). Otherwise every mass is rounded to 2**-61 of the
    total, and the masses of b take the difference of the sums, each its part.
    """
    if _is_constant(a) and _is_constant(b):
        return _uniform(a, b)
    shift = _TOTAL_BITS - math.frexp(exact_sum(a))[1]
    scaled_a, scaled_b = np.ldexp(a, shift), np.ldexp(b, shift)
    whole_a = np.maximum(np.rint(scaled_a), 1).astype(np.int64)
    whole_b = np.maximum(np.rint(scaled_b), 1).astype(np.int64)
    missing = int(whole_a.sum()) - int(whole_b.sum())
    is_exact = missing == 0 and _are_equal(whole_a, scaled_a) and _are_equal(whole_b, scaled_b)
    if missing != 0:
        # Of b each mass takes its part, and the largest one what rounding leaves.
        largest = whole_b.argmax()
        more = np.rint(whole_b * (missing / int(whole_b.sum()))).astype(np.int64)
        whole_b += more
        whole_b[largest] += missing - int(more.sum())
    return IntegerMasses(whole_a, whole_b, math.ldexp(1.0, -shift), is_exact)


def northwest(a: IntArray, b: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Fill a coupling of integer masses from the north-west corner.

    Returns rows, columns and flow of at most n + m - 1 arcs with flow > 0,
    ordered along the staircase. O(n + m) memory. For sorted points on the line
    and a convex cost of the difference this coupling is optimal.
    """
    level_a, level_b = np.cumsum(a), np.cumsum(b)
    # Two sorted runs: a stable sort merges them in linear time.
    level = np.sort(np.concatenate([level_a, level_b]), kind="stable")
    flow = np.diff(level, prepend=0)
    level, flow = level[flow > 0], flow[flow > 0]
    rows = np.searchsorted(level_a, level, side="left")
    columns = np.searchsorted(level_b, level, side="left")
    return rows, columns, flow


def fitted(arcs: Arcs, a: FloatArray, b: FloatArray) -> Arcs:
    """Scale rows, then columns, to the masses that were rounded to integers.

    Changes a mass by no more than its rounding: little, unless it is below 2**-61
    of the total, where it matters.
    """
    rows, columns, mass = arcs
    tiny = float(np.finfo(float).tiny)
    mass = mass * (a / np.maximum(exact_sums(rows, mass, len(a)), tiny))[rows]
    mass = mass * (b / np.maximum(exact_sums(columns, mass, len(b)), tiny))[columns]
    return Arcs(rows, columns, mass)


def completed(arcs: Arcs, a: FloatArray, b: FloatArray) -> Arcs:
    """Scale down rows and columns that are too heavy; couple the missing mass in order."""
    rows, columns, mass = arcs
    mass = mass * shrink(a, exact_sums(rows, mass, len(a)))[rows]
    mass = mass * shrink(b, exact_sums(columns, mass, len(b)))[columns]
    left_a = np.maximum(a - exact_sums(rows, mass, len(a)), 0.0)
    left_b = np.maximum(b - exact_sums(columns, mass, len(b)), 0.0)
    left = min(left_a.sum(), left_b.sum())
    if left == 0:
        return Arcs(rows, columns, mass)
    # Both rests have one sum up to rounding; 52 bits of it are all there is.
    unit = left / 2.0**52
    i, j, flow = northwest(
        np.rint(left_a / unit).astype(np.int64), np.rint(left_b / unit).astype(np.int64)
    )
    i, j = np.minimum(i, len(a) - 1), np.minimum(j, len(b) - 1)
    return Arcs(
        np.concatenate([rows, i]),
        np.concatenate([columns, j]),
        np.concatenate([mass, flow * unit]),
    )


def exact_sums(index: IntArray, mass: FloatArray, size: int) -> FloatArray:
    """Add up masses by index: multiples of a unit, exactly, and the remainders.

    In plain sums of many equal masses all roundings go in one direction.
    """
    shift = math.ldexp(1.5, math.frexp(float(mass.sum()))[1])
    high = (mass + shift) - shift
    sums = np.bincount(index, high, size) + np.bincount(index, mass - high, size)
    return sums.astype(np.float64, copy=False)


def shrink(wanted: FloatArray, got: FloatArray) -> FloatArray:
    """Return the factors <= 1 that bring sums down to the wanted ones."""
    return np.minimum(1.0, wanted / np.maximum(got, np.finfo(float).tiny))


def _uniform(a: FloatArray, b: FloatArray) -> IntegerMasses:
    """All masses of a side are equal: the least common multiple is the total."""
    n, m = len(a), len(b)
    common = math.gcd(n, m)
    per_a, per_b = m // common, n // common
    unit = float(a[0]) / per_a
    return IntegerMasses(np.full(n, per_a), np.full(m, per_b), unit, True)


def _is_constant(mass: FloatArray) -> bool:
    return not np.count_nonzero(mass != mass[0])


def _are_equal(whole: IntArray, scaled: FloatArray) -> bool:
    return not np.count_nonzero(whole != scaled)
