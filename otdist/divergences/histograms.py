"""Pairs of histograms: validated, and normalised without the rounding of p / sum(p).

Masses are ``high + low``, as histograms may differ by less than that rounding, and
scaled to a sum of 2**600, for subnormals.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.divergences.double_double import (
    DoubleDouble,
    add,
    divide,
    log,
    multiply,
    negative,
    sum_exactly,
    sum_last,
    two_product,
)
from otdist.errors import InputError
from otdist.typing import FloatArray, IntArray

SHIFT, TOTAL = 600, 2.0**600
SMALL = 2.0**-1000  # below every scaled mass that is not 0
#: How far from 1 a sum may be, by the type that the masses came in.
SUM_TOLERANCE = {"e": 1e-2, "f": 1e-5, "d": 1e-9}
SERIES_LIMIT = 0.125  # of |t|: there, ten terms leave less than 2**-63 of the sum
ATANH_SERIES = [1.0 / (2 * k + 3) for k in range(9, -1, -1)]


class Histogram(NamedTuple):
    """Histograms ``(lanes, k)``: as given, and normalised as ``high + low``."""

    raw: FloatArray
    high: FloatArray  # every lane sums to 2**600
    low: FloatArray
    mass: FloatArray  # (lanes, 1): the sum of raw is (mass + mass_low) * 2**exponent
    mass_low: FloatArray
    exponent: IntArray

    def log(self) -> DoubleDouble:
        """Return the logarithm of the masses, of any size; finite at 0."""
        raw = np.maximum(self.raw, math.ulp(0.0))
        sums = log((self.mass, self.mass_low), self.exponent)
        return add(log((raw, np.zeros_like(raw))), negative(sums))

    def mantissa(self) -> tuple[FloatArray, IntArray]:
        """Return m, e: the masses are m * 2**e, also where they leave the floats."""
        mantissa, exponent = np.frexp(self.raw)
        return mantissa / self.mass, exponent - self.exponent


class Pair(NamedTuple):
    """Two histograms on one support."""

    p: Histogram
    q: Histogram
    shape: tuple[int, ...]  # of the result

    def difference(self) -> DoubleDouble:
        """Return p - q, precise where they are nearly equal."""
        p, q = self.p, self.q
        # For masses a, b and sums A, B, p - q = (a B - b A)/(A B): the quotients a/A
        # and b/B, as high + low, may differ by less than they were rounded by.
        a, b = (np.ldexp(one.raw, SHIFT - one.exponent) for one in (p, q))
        left = *two_product(a, q.mass), *two_product(a, q.mass_low)
        right = *two_product(-b, p.mass), *two_product(-b, p.mass_low)
        # One beside the other, they cancel exactly where the histograms are equal.
        cross = sum_exactly([part for both in zip(left, right, strict=True) for part in both])
        sums = multiply((p.mass, p.mass_low), (q.mass, q.mass_low))
        return divide(cross, sums)

    def contrast(self) -> tuple[DoubleDouble, DoubleDouble, DoubleDouble]:
        """Return p - q, p + q and their ratio t, which is 0 where both vanish."""
        difference = self.difference()
        high, low = add((self.p.high, self.p.low), (self.q.high, self.q.low))
        together = np.maximum(high, SMALL), low
        return difference, together, divide(difference, together)

    def log_ratio(self) -> FloatArray:
        """Return log(p/q), precise near 0; finite where a mass is 0."""
        t = self.contrast()[2][0]
        ratio = 2.0 * (t + t * t * t * np.polyval(ATANH_SERIES, t * t))
        far = np.abs(t) > SERIES_LIMIT
        return np.where(far, self.far_log_ratio()[0], ratio) if far.any() else ratio

    def far_log_ratio(self) -> DoubleDouble:
        """Return log(p/q), without digits where it is near 0; finite at 0."""
        return add(self.p.log(), negative(self.q.log()))

    def escapes(self) -> NDArray[np.bool_]:
        """Return where p has mass and q has none."""
        outside: NDArray[np.bool_] = (self.p.raw > 0.0) & (self.q.raw == 0.0)
        return outside

    def disjoint(self) -> NDArray[np.bool_]:
        """Return the lanes in which no bin has mass of both."""
        shared = (self.p.raw > 0.0) & (self.q.raw > 0.0)
        return np.logical_not(shared.any(axis=-1))

    def unscaled(self, total: FloatArray, shift: int = SHIFT) -> float | FloatArray:
        """Return ``total * 2**-shift`` in the shape of the result."""
        with np.errstate(all="ignore"):
            values: FloatArray = np.ldexp(total, -shift)
        return values.reshape(self.shape) if self.shape else float(values[0])


def as_pair(p: ArrayLike, q: ArrayLike, axis: int, normalize: bool) -> Pair:
    """Validate two arrays of histograms along one axis."""
    (first, tolerance_p), (second, tolerance_q) = _as_float("p", p), _as_float("q", q)
    if first.shape != second.shape:
        got = f"{first.shape} and {second.shape}; align() puts points on one support"
        raise InputError(f"p and q must have equal shapes (no broadcasting), got {got}")
    ndim = first.ndim
    if ndim == 0:
        raise InputError("p and q must have at least one axis, got numbers (0-d)")
    if not isinstance(axis, (int, np.integer)) or not -ndim <= axis < ndim:
        raise InputError(f"axis must be an integer in [{-ndim}, {ndim}), got {axis!r}")
    _refuse("p", first, first < 0.0, "nonnegative")
    _refuse("q", second, second < 0.0, "nonnegative")
    first, second = np.moveaxis(first, axis, -1), np.moveaxis(second, axis, -1)
    first_histogram = _histogram("p", first, None if normalize else tolerance_p)
    second_histogram = _histogram("q", second, None if normalize else tolerance_q)
    return Pair(first_histogram, second_histogram, first.shape[:-1])


def log_of_base(base: float | None) -> float:
    """Return the natural logarithm of a validated base, 1 for None."""
    if base is None:
        return 1.0
    number = isinstance(base, (int, float, np.integer, np.floating))
    if not number or not 1.0 < base < math.inf:
        raise InputError(f"base must be finite and above 1, or None, got {base!r}")
    return math.log(base)


def _as_float(name: str, values: ArrayLike) -> tuple[FloatArray, float]:
    """Return finite float64 values, and the tolerance their own dtype deserves."""
    try:
        array: NDArray[Any] = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} must be rectangular, got uneven rows") from error
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        got = f"dtype {array.dtype}; convert it first if nothing is lost by that"
        raise InputError(f"{name} must hold real numbers of at most 64 bits, got {got}")
    if array.size == 0:
        raise InputError(f"{name} must not be empty, got shape {array.shape}")
    if array.dtype.kind != "f":
        large = (array > 2**53) | (array < -(2**53))
        _refuse(name, array, large, "at most 2**53 to be exact in float64")
    _refuse(name, array, ~np.isfinite(array), "finite")
    return array.astype(np.float64), SUM_TOLERANCE.get(array.dtype.char, 1e-9)


def _refuse(name: str, array: NDArray[Any], bad: NDArray[Any], wanted: str) -> None:
    if bad.any():
        index = np.argwhere(bad)[0].tolist()
        got = array[tuple(index)]
        raise InputError(f"{name}{index} must be {wanted}, got {got}")


def _histogram(name: str, lanes: FloatArray, tolerance: float | None) -> Histogram:
    raw = np.ascontiguousarray(lanes.reshape(-1, lanes.shape[-1]))
    with np.errstate(all="ignore"):
        exponent = np.frexp(raw.max(axis=-1, keepdims=True))[1]
        scaled = np.ldexp(raw, SHIFT - exponent)
        mass, mass_low = (part[:, None] for part in sum_last(scaled))
        sums = np.ldexp(mass, exponent - SHIFT).reshape(lanes.shape[:-1])
        _check_sums(name, sums, tolerance)
        mass, mass_low = mass / TOTAL, mass_low / TOTAL
        high, low = divide((scaled, np.zeros_like(scaled)), (mass, mass_low))
    return Histogram(raw, high, low, mass, mass_low, exponent)


def _check_sums(name: str, sums: FloatArray, tolerance: float | None) -> None:
    """Refuse sums that are not 1, or, without a tolerance, only those that are 0."""
    off = sums == 0.0 if tolerance is None else ~(np.abs(sums - 1.0) <= tolerance)
    if off.any():
        index = tuple(np.argwhere(off)[0].tolist())
        wanted = f"sum to 1 within {tolerance} (normalize=True divides by the sum)"
        wanted = wanted if sums[index] else "have mass"
        where = f" at index {index} of the other axes" if index else ""
        raise InputError(f"{name} must {wanted}, got the sum {sums[index]!s}{where}")
