"""Pairs of histograms: validated, normalised, and evaluated lane by lane.

A lane is one histogram along the given axis. Normalised weights are stored as ``high +
low``, since two histograms may differ by less than the rounding of p / sum(p), and scaled to
a sum of 2**900, so that weights down to 1e-560 of the sum keep their digits.
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
from otdist.inputs import validate as _validate
from otdist.inputs.convert import first_index
from otdist.inputs.labels import matched_bins
from otdist.typing import FloatArray, IntArray

SHIFT, TOTAL = 900, 2.0**900
SMALL = 2.0**-1000  # below every scaled weight that has all its digits
_DENORMAL = 2.0**-900  # scaled weights below may have lost digits
SERIES_LIMIT = 0.125  # largest |t| for which ten terms of a series are exact to 2**-63
ATANH_SERIES = [1.0 / (2 * k + 3) for k in range(9, -1, -1)]


class Histogram(NamedTuple):
    """Histograms ``(lanes, k)``, as given and normalised."""

    raw: FloatArray
    high: FloatArray  # every lane sums to 2**900
    low: FloatArray
    mass: FloatArray  # (lanes, 1): the sum of raw is (mass + mass_low) * 2**exponent
    mass_low: FloatArray
    exponent: IntArray

    def log(self) -> DoubleDouble:
        """Return the logarithm of the weights, of any size; at 0 finite, and below all others."""
        empty = self.raw == 0.0
        raw = np.where(empty, 1.0, self.raw)
        sums = log((self.mass, self.mass_low), self.exponent)
        return add(log((raw, np.zeros_like(raw)), np.where(empty, -3200, 0)), negative(sums))

    def of_lanes(self, chosen: NDArray[Any]) -> Histogram:
        """Return some of the lanes."""
        raw, high, low, mass, mass_low = (part[chosen] for part in self[:5])
        return Histogram(raw, high, low, mass, mass_low, self.exponent[chosen])

    def mantissa(self) -> tuple[FloatArray, IntArray]:
        """Return m and e with weights m * 2**e, which may be outside the range of floats."""
        mantissa, exponent = np.frexp(self.raw)
        return mantissa / self.mass, exponent - self.exponent


class Pair(NamedTuple):
    """Two histograms on one support."""

    p: Histogram
    q: Histogram
    shape: tuple[int, ...]  # of the result

    def of_lanes(self, chosen: NDArray[np.bool_]) -> Pair:
        """Return some of the lanes."""
        return Pair(self.p.of_lanes(chosen), self.q.of_lanes(chosen), self.shape)

    def difference(self) -> DoubleDouble:
        """Return p - q, precise where they are nearly equal."""
        p, q = self.p, self.q
        # For weights a, b with sums A, B, p - q = (a B - b A)/(A B): the quotients a/A and
        # b/B, even as high + low, may differ by less than their rounding.
        a, b = (np.ldexp(one.raw, SHIFT - one.exponent) for one in (p, q))
        left = *two_product(a, q.mass), *two_product(a, q.mass_low)
        right = *two_product(-b, p.mass), *two_product(-b, p.mass_low)
        # In alternating order, the parts of equal histograms cancel exactly.
        cross = sum_exactly([part for both in zip(left, right, strict=True) for part in both])
        sums = multiply((p.mass, p.mass_low), (q.mass, q.mass_low))
        return divide(cross, sums)

    def contrast(self) -> tuple[DoubleDouble, DoubleDouble, DoubleDouble]:
        """Return p - q, p + q and their ratio t, which is 0 where both are 0."""
        difference = self.difference()
        high, low = add((self.p.high, self.p.low), (self.q.high, self.q.low))
        together = np.maximum(high, SMALL), low
        return difference, together, divide(difference, together)

    def log_ratio(self) -> FloatArray:
        """Return log(p/q), precise near 0; finite where a weight is 0."""
        _, together, (t, _) = self.contrast()
        ratio = 2.0 * (t + t * t * t * np.polyval(ATANH_SERIES, t * t))
        # Weights far below 1e-300 may have lost their difference, but not their logarithms.
        far = (np.abs(t) > SERIES_LIMIT) | (together[0] < _DENORMAL)
        return np.where(far, self.far_log_ratio()[0], ratio) if far.any() else ratio

    def far_log_ratio(self) -> DoubleDouble:
        """Return log(p/q), imprecise near 0; finite where a weight is 0."""
        return add(self.p.log(), negative(self.q.log()))

    def escapes(self) -> NDArray[np.bool_]:
        """Return where p > 0 and q = 0."""
        outside: NDArray[np.bool_] = (self.p.raw > 0.0) & (self.q.raw == 0.0)
        return outside

    def shared(self) -> NDArray[np.bool_]:
        """Return where p > 0 and q > 0."""
        both: NDArray[np.bool_] = (self.p.raw > 0.0) & (self.q.raw > 0.0)
        return both

    def disjoint(self) -> NDArray[np.bool_]:
        """Return the lanes in which no bin has p > 0 and q > 0."""
        return np.logical_not(self.shared().any(axis=-1))

    def unscaled(self, total: FloatArray, shift: int = SHIFT) -> float | FloatArray:
        """Return ``total * 2**-shift`` in the shape of the result."""
        with np.errstate(all="ignore"):
            values: FloatArray = np.ldexp(total, -shift)
        return values.reshape(self.shape) if self.shape else float(values[0])


def as_pair(p: ArrayLike, q: ArrayLike, axis: int, normalize: bool) -> Pair:
    """Validate two arrays of histograms along one axis, and match their lanes."""
    q = matched_bins(p, q)
    (first, tolerance_p), (second, tolerance_q) = _as_float("p", p), _as_float("q", q)
    first, second, shape = matched(first, second, axis)
    one = _histogram("p", first, None if normalize else tolerance_p)
    other = _histogram("q", second, None if normalize else tolerance_q)
    lanes_p, lanes_q = (row_numbers(side.shape[:-1], shape) for side in (first, second))
    return Pair(one.of_lanes(lanes_p), other.of_lanes(lanes_q), shape)


def pair_of_rows(p: tuple[FloatArray, float], q: tuple[FloatArray, float]) -> Pair:
    """Validate two arrays (rows, k) of histograms with the tolerances of their sums."""
    one, other = (
        _histogram(name, _as_float(name, rows)[0], None if math.isinf(tolerance) else tolerance)
        for name, (rows, tolerance) in (("p", p), ("q", q))
    )
    return Pair(one, other, (len(one.raw),))


def matched(
    p: NDArray[Any], q: NDArray[Any], axis: int
) -> tuple[NDArray[Any], NDArray[Any], tuple[int, ...]]:
    """Return both with the support as the last of equally many axes, and the shape of lanes."""
    if p.ndim == q.ndim == 0:
        raise InputError("p and q must have at least one axis, got numbers (0-d)")
    ndim = max(p.ndim, q.ndim)
    axis = _validate.as_axis("p" if p.ndim == ndim else "q", axis, ndim)
    first, second = (
        np.moveaxis(side.reshape((1,) * (ndim - side.ndim) + side.shape), axis, -1)
        for side in (p, q)
    )
    if first.shape[-1] == second.shape[-1]:
        try:
            return first, second, np.broadcast_shapes(first.shape[:-1], second.shape[:-1])
        except ValueError:
            pass
    raise InputError(
        f"p and q must have equally many bins along axis {axis}, and other axes that broadcast"
        f" as in NumPy, got shapes {p.shape} and {q.shape}; align() puts points on one support"
    )


def row_numbers(lead: tuple[int, ...], shape: tuple[int, ...]) -> IntArray:
    """Return the row of each lane, for rows of the shape `lead` broadcast to `shape`."""
    rows = np.arange(math.prod(lead))
    return rows if lead == shape else np.broadcast_to(rows.reshape(lead), shape).ravel()


def validated(name: str, rows: ArrayLike, normalize: bool) -> Histogram:
    """Validate histograms along the last axis."""
    values, tolerance = _as_float(name, rows)
    return _histogram(name, values, None if normalize else tolerance)


def log_of_base(base: float | None) -> float:
    """Return the natural logarithm of a validated base, 1 for None."""
    wanted = "a finite number above 1, or None"
    return 1.0 if base is None else math.log(_validate.as_inside("base", base, 1, math.inf, wanted))


def _as_float(name: str, values: ArrayLike) -> tuple[FloatArray, float]:
    """Return finite float64 values >= 0, and the tolerance of sums for their dtype."""
    array = _validate.as_float64(name, values)
    if array.size == 0:
        raise InputError(f"{name} must not be empty, got shape {array.shape}")
    _validate.require_finite(name, array)
    if (negative := array < 0.0).any():
        where = first_index(negative)
        raise InputError(f"{name}{where} must be nonnegative, got {array[negative][0]}")
    return array, _validate.sum_tolerance(np.asarray(values).dtype)


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
    """Raise for a sum that is not 1 or, without a tolerance, for a sum of 0."""
    off = sums == 0.0 if tolerance is None else ~(np.abs(sums - 1.0) <= tolerance)
    if off.any():
        index = tuple(np.argwhere(off)[0].tolist())
        wanted = f"sum to 1 within {tolerance} (normalize=True divides by the sum)"
        wanted = wanted if sums[index] else "have a positive weight"
        where = f" at index {index} of the other axes" if index else ""
        raise InputError(f"{name} must {wanted}, got the sum {sums[index]!s}{where}")
