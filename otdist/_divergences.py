"""Divergences between two measures on one support, and how to get such a support.

None of these see how far apart two atoms are: where the supports do not meet, KL is
inf, JS is log 2, total variation and Hellinger are 1, at any distance.

All terms are >= 0 and free of cancellation. Masses are ``high + low``, as histograms
may differ by less than the rounding of p / sum(p), scaled to 2**600, for subnormals.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist._errors import InputError
from otdist._typing import FloatArray

_Pair: TypeAlias = tuple[FloatArray, FloatArray]

_LOG_2 = math.log(2.0)
_SHIFT, _TOTAL = 600, 2.0**600
_SMALL = 2.0**-1000  # below every scaled mass that is not 0
_SERIES_LIMIT = 0.75  # of |t|: there, 60 terms leave less than 2**-55 of the sum
_JS_SERIES = [1.0 / ((2 * k + 1) * (2 * k + 2)) for k in range(59, -1, -1)]
_ATANH_SERIES = [1.0 / (2 * k + 3) for k in range(59, -1, -1)]


def kl_divergence(
    p: ArrayLike,
    q: ArrayLike,
    *,
    axis: int = -1,
    base: float | None = None,
    normalize: bool = False,
) -> float | FloatArray:
    r"""Kullback-Leibler divergence KL(p || q), the expectation under the first, `p`.

    .. math:: KL(p \| q) = \sum_i p_i \log(p_i / q_i) \ge 0, \qquad 0 \log 0 = 0

    It is inf as soon as some ``p[i] > 0`` where ``q[i] == 0``. O(size) time, and about
    fifteen temporary arrays of the size of `p`. Summed in the Bregman form ``p
    log(p/q) - p + q`` (Csiszar, 1967): near-equal histograms keep full precision.

    Parameters
    ----------
    p, q : array_like
        Histograms on one common support, of equal shapes (nothing is broadcast);
        integers or floats of at most 64 bits, computed in float64.
    axis : int, default -1
        The axis that runs over the support.
    base : float, optional
        Base of the logarithm, above 1. The default is natural: the unit is the nat.
    normalize : bool, default False
        Divide each histogram by its sum. If False, sums must equal 1 within 1e-9
        (float32: 1e-5, float16: 1e-2), and those that do are rescaled to exactly 1.

    Returns
    -------
    float or ndarray
        A float for 1-D input, else a float64 array without `axis`.

    Raises
    ------
    InputError
        For a wrong type, shape, axis, base or sum; empty, non-finite, negative input.

    Examples
    --------
    >>> kl_divergence([1.0, 0.0], [0.5, 0.5], base=2)
    1.0
    >>> kl_divergence([0.5, 0.5], [1.0, 0.0])
    inf
    """
    log_base = _log_of_base(base)
    both = _measures(p, q, axis, normalize)
    with np.errstate(all="ignore"):
        total = _sum(_kl_terms(both))[0] / log_base
    escapes = np.any((both.p.raw > 0.0) & (both.q.raw == 0.0), axis=-1)
    return _unscaled(np.where(escapes, math.inf, total), both)


def js_divergence(
    p: ArrayLike,
    q: ArrayLike,
    *,
    axis: int = -1,
    base: float | None = None,
    normalize: bool = False,
) -> float | FloatArray:
    r"""Jensen-Shannon divergence, with the factor 1/2: symmetric, in [0, log 2].

    .. math:: JS(p, q) = \tfrac12 KL(p \| m) + \tfrac12 KL(q \| m), \quad m = (p+q)/2

    Not a metric (its root, `js_distance`, is), and exactly ``math.log(2)`` on disjoint
    supports. Arguments, shapes, unit, errors and cost: as for `kl_divergence`.

    With ``t = (p-q)/(p+q)`` each term is ``(p+q)/2 * phi(t)``, where ``phi(t) =
    ((1+t) log1p(t) + (1-t) log1p(-t)) / 2 = t**2/2 + t**4/12 + t**6/30 + ...``.
    Source: Lin, *Divergence measures based on the Shannon entropy* (1991).

    Examples
    --------
    >>> js_divergence([1.0, 0.0], [0.0, 1.0])
    0.6931471805599453
    >>> js_divergence([[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]], base=2)
    array([1., 0.])
    """
    log_base = _log_of_base(base)
    both = _measures(p, q, axis, normalize)
    return _unscaled(_scaled_js(both) / log_base, both)


def js_distance(
    p: ArrayLike,
    q: ArrayLike,
    *,
    axis: int = -1,
    base: float | None = None,
    normalize: bool = False,
) -> float | FloatArray:
    r"""Jensen-Shannon distance, the root of `js_divergence`: a metric, <= sqrt(log 2).

    .. math:: \sqrt{\tfrac12 KL(p \| m) + \tfrac12 KL(q \| m)}, \quad m = (p+q)/2

    The base is that of the logarithm inside the root, which is taken before the value
    could underflow. Arguments, shapes, errors and cost: as for `kl_divergence`.
    Source: Endres and Schindelin, *A new metric for probability distributions* (2003).

    Examples
    --------
    >>> js_distance([1.0, 0.0], [0.0, 1.0], base=2)
    1.0
    """
    log_base = _log_of_base(base)
    both = _measures(p, q, axis, normalize)
    return _unscaled(np.sqrt(_scaled_js(both) / log_base), both, _SHIFT // 2)


def total_variation(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, normalize: bool = False
) -> float | FloatArray:
    r"""Total variation distance, half of the L1 distance: symmetric, in [0, 1].

    .. math:: TV(p, q) = \tfrac12 \sum_i |p_i - q_i| = \max_A |p(A) - q(A)|

    Without unit. Arguments, shapes, errors and cost: as for `kl_divergence`.
    Source: Tsybakov, *Introduction to Nonparametric Estimation*, section 2.4.

    Examples
    --------
    >>> total_variation([0.5, 0.5, 0.0], [0.25, 0.5, 0.25])
    0.25
    """
    both = _measures(p, q, axis, normalize)
    with np.errstate(all="ignore"):
        total = 0.5 * _sum(np.abs(_contrast(both)[0]))[0]
    return _unscaled(_capped(total, 1.0, both), both)


def hellinger_distance(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, normalize: bool = False
) -> float | FloatArray:
    r"""Hellinger distance, with the factor 1/2 under the root: symmetric, in [0, 1].

    .. math:: H(p, q) = \sqrt{\tfrac12 \sum_i (\sqrt{p_i} - \sqrt{q_i})^2}

    The difference of roots is computed as ``(p-q) / (sqrt(p)+sqrt(q))``.
    Without unit. Arguments, shapes, errors and cost: as for `kl_divergence`. Source:
    Tsybakov, *Introduction to Nonparametric Estimation*, 2.4 (there without the 1/2).

    Examples
    --------
    >>> hellinger_distance([1.0, 0.0], [0.0, 1.0])
    1.0
    """
    both = _measures(p, q, axis, normalize)
    with np.errstate(all="ignore"):
        roots = np.sqrt(both.p.high) + np.sqrt(both.q.high)
        terms = (_contrast(both)[0] / np.maximum(roots, _SMALL)) ** 2
        total = _capped(0.5 * _sum(terms)[0], 1.0, both)
    return _unscaled(np.sqrt(total), both, _SHIFT // 2)


class _Measure(NamedTuple):
    """Histograms ``(lanes, k)``: as given, and normalised as ``high + low``."""

    raw: FloatArray
    high: FloatArray  # every lane sums to 2**600
    low: FloatArray
    log_mass: FloatArray  # (lanes, 1), log of the sum of raw


class _Both(NamedTuple):
    p: _Measure
    q: _Measure
    shape: tuple[int, ...]  # of the result


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
    tolerance = {"e": 1e-2, "f": 1e-5}.get(array.dtype.char, 1e-9)
    return array.astype(np.float64), tolerance


def _refuse(name: str, array: NDArray[Any], bad: NDArray[Any], wanted: str) -> None:
    if bad.any():
        index = np.argwhere(bad)[0].tolist()
        got = array[tuple(index)]
        raise InputError(f"{name}{index} must be {wanted}, got {got}")


def _measures(p: ArrayLike, q: ArrayLike, axis: int, normalize: bool) -> _Both:
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
    first_measure = _measure("p", first, None if normalize else tolerance_p)
    second_measure = _measure("q", second, None if normalize else tolerance_q)
    return _Both(first_measure, second_measure, first.shape[:-1])


def _measure(name: str, lanes: FloatArray, tolerance: float | None) -> _Measure:
    raw = np.ascontiguousarray(lanes.reshape(-1, lanes.shape[-1]))
    with np.errstate(all="ignore"):
        exponent = np.frexp(raw.max(axis=-1, keepdims=True))[1]
        scaled = np.ldexp(raw, _SHIFT - exponent)
        mass, mass_low = (part[:, None] for part in _sum(scaled))
        sums = np.ldexp(mass, exponent - _SHIFT).reshape(lanes.shape[:-1])
        _check_sums(name, sums, tolerance)
        high, low = _divide(scaled, mass / _TOTAL, mass_low / _TOTAL)
        log_mass = np.log(mass) + (exponent - _SHIFT) * _LOG_2
    return _Measure(raw, high, low, log_mass)


def _check_sums(name: str, sums: FloatArray, tolerance: float | None) -> None:
    """Refuse sums that are not 1, or, without a tolerance, only those that are 0."""
    off = sums == 0.0 if tolerance is None else ~(np.abs(sums - 1.0) <= tolerance)
    if off.any():
        index = tuple(np.argwhere(off)[0].tolist())
        wanted = f"sum to 1 within {tolerance} (normalize=True divides by the sum)"
        wanted = wanted if sums[index] else "have mass"
        where = f" at index {index} of the other axes" if index else ""
        raise InputError(f"{name} must {wanted}, got the sum {sums[index]!s}{where}")


def _log_of_base(base: float | None) -> float:
    if base is None:
        return 1.0
    number = isinstance(base, (int, float, np.integer, np.floating))
    if not number or not 1.0 < base < math.inf:
        raise InputError(f"base must be finite and above 1, or None, got {base!r}")
    return math.log(base)


def _contrast(both: _Both) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return p - q, p + q and their ratio t, which is 0 where both vanish."""
    (_, p, p_low, _), (_, q, q_low, _) = both.p, both.q
    difference, together = (p - q) + (p_low - q_low), (p + q) + (p_low + q_low)
    return difference, together, difference / np.maximum(together, _SMALL)


def _scaled_js(both: _Both) -> FloatArray:
    """Return 2**600 JS, from (p + q) phi(t), which is twice the share of each atom."""
    with np.errstate(all="ignore"):
        difference, together, t = _contrast(both)
        terms = difference * t * np.polyval(_JS_SERIES, t * t)
        far = np.abs(t) > _SERIES_LIMIT
        large, sums = np.abs(t[far]), together[far]
        small = 2.0 * np.minimum(both.p.high, both.q.high)[far] / sums  # 1 - |t|
        logs = (1.0 + large) * np.log1p(large) + small * _log(small)
        terms[far] = 0.5 * sums * logs
        return _capped(0.5 * _sum(terms)[0], _LOG_2, both)


def _kl_terms(both: _Both) -> FloatArray:
    """Return p log(p/q) - p + q; finite where q = 0 < p, which the caller sees to."""
    difference, _, t = _contrast(both)
    # With log(p/q) = 2 atanh(t) the term is (p - q) (t + (1 + t) (atanh(t) - t)/t).
    series = np.polyval(_ATANH_SERIES, t * t)
    terms = difference * t * (1.0 + (1.0 + t) * t * series)
    far = np.abs(t) > _SERIES_LIMIT
    p, q = both.p.high[far], both.q.high[far]
    logs = _log(p / q)
    beyond = q < p * _SMALL  # p / q may overflow, or q have been rounded
    if beyond.any():
        log_p, log_q = (_log(each.raw) - each.log_mass for each in both[:2])
        logs[beyond] = (log_p - log_q)[far][beyond]
    terms[far] = p * logs - difference[far]
    return terms


def _capped(total: FloatArray, bound: float, both: _Both) -> FloatArray:
    """Set lanes of disjoint supports to the bound, and clip 4 ulp of rounding to it."""
    top = bound * _TOTAL
    disjoint = ~np.any((both.p.raw > 0.0) & (both.q.raw > 0.0), axis=-1)
    above = (total > top) & (total <= top + 4.0 * math.ulp(top))
    return np.where(disjoint | above, top, total)


def _unscaled(total: FloatArray, both: _Both, n: int = _SHIFT) -> float | FloatArray:
    with np.errstate(all="ignore"):
        values: FloatArray = np.ldexp(total, -n)
    return values.reshape(both.shape) if both.shape else float(values[0])


def _log(values: FloatArray) -> FloatArray:
    """Return the logarithm, but finite at 0, where it is multiplied by 0."""
    return np.log(np.maximum(values, math.ulp(0.0)))


def _sum(terms: FloatArray) -> _Pair:
    """Sum over the last axis as ``high + low``, by halves, to about 2**-100."""
    high, low = terms, np.zeros_like(terms)
    while (size := high.shape[-1]) > 1:
        half, rest = (size + 1) // 2, size // 2
        head, error = _two_sum(high[:, :rest], high[:, half:])
        tail = low[:, :rest] + low[:, half:] + error
        high = np.concatenate([head, high[:, rest:half]], axis=1)
        low = np.concatenate([tail, low[:, rest:half]], axis=1)
    return _two_sum(high[:, 0], low[:, 0])


def _two_sum(a: FloatArray, b: FloatArray) -> _Pair:
    """Return a + b exactly, as high + low (Knuth)."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


def _split(a: FloatArray) -> _Pair:
    """Return two halves of 26 bits, with the sum `a` (Veltkamp)."""
    shifted = (2.0**27 + 1.0) * a
    high = shifted - (shifted - a)
    return high, a - high


def _divide(a: FloatArray, mass: FloatArray, mass_low: FloatArray) -> _Pair:
    """Return a / (mass + mass_low) as high + low, from Dekker's exact product."""
    quotient = a / mass
    (left, left_low), (right, right_low) = _split(quotient), _split(mass)
    product = quotient * mass
    error = left * right - product + left * right_low + left_low * right
    error += left_low * right_low
    low = ((a - product) - error - quotient * mass_low) / mass
    return _two_sum(quotient, low)
