"""Divergences of the ratio p/q: chi-square, Renyi, and any convex generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from otdist.divergences.double_double import sum_last
from otdist.divergences.histograms import SHIFT, Pair, as_pair, by_lanes, log_of_base
from otdist.divergences.shannon import kl_divergence
from otdist.errors import InputError
from otdist.inputs import validate as _validate
from otdist.typing import FloatArray

# (exp(x) - 1 - x) / x**2 = sum of x**k / (k + 2)!, to the last place for |x| <= 1.
_EXP_SERIES = [1.0 / math.factorial(k + 2) for k in range(18, -1, -1)]
_LARGEST_EXPONENT = 700.0
_ENDLESS = 1e300  # larger orders give the limit for an infinite order


def chi2_divergence(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, normalize: bool = False
) -> float | FloatArray:
    r"""Pearson chi-square divergence of `p` from `q`, which is in the denominator.

    .. math:: \chi^2(p \| q) = \sum_i (p_i - q_i)^2 / q_i = \sum_i p_i^2 / q_i - 1

    It is inf if some ``p[i] > 0`` where ``q[i] == 0``. The chi-square test statistic is the
    sample size times this. KL <= log(1 + chi2).
    For parameters, returned types, errors and cost see `kl_divergence`.
    Source: Tsybakov, *Introduction to Nonparametric Estimation*, section 2.4.

    Examples
    --------
    >>> chi2_divergence([0.5, 0.5, 0.0], [0.25, 0.5, 0.25])
    0.5
    >>> chi2_divergence([0.5, 0.5], [1.0, 0.0])
    inf
    """
    return by_lanes(_chi2, p, q, axis, normalize)


def _chi2(pair: Pair) -> float | FloatArray:
    with np.errstate(all="ignore"):
        root, exponent = np.frexp(pair.difference()[0])
        mass, mass_exponent = pair.q.mantissa()
        terms = np.where(root == 0.0, 0.0, root * root / mass)
        exponent = 2 * (exponent - SHIFT) - mass_exponent
        exponent[root == 0.0] = exponent.min()
        # The sum is in units of the largest term, as squares can overflow.
        top = exponent.max(axis=-1)
        total = sum_last(np.ldexp(terms, exponent - top[:, None]))[0]
        values = np.where(pair.escapes().any(axis=-1), math.inf, np.ldexp(total, top))
    return pair.unscaled(values, 0)


def renyi_divergence(
    p: ArrayLike,
    q: ArrayLike,
    alpha: float,
    *,
    axis: int = -1,
    base: float | None = None,
    normalize: bool = False,
) -> float | FloatArray:
    r"""Renyi divergence of order `alpha`, the weight of the first argument, `p`.

    .. math:: D_\alpha(p \| q) = \frac{1}{\alpha - 1}
              \log \sum_i p_i^\alpha q_i^{1-\alpha} \ge 0

    It grows with `alpha`. Orders 0, 1 and inf are the limits: ``-log q(p > 0)``, KL and
    ``log max p/q``. It is inf on disjoint supports, and for ``alpha >= 1`` if some
    ``p[i] > 0`` where ``q[i] == 0``.

    Parameters
    ----------
    p, q, axis, base, normalize
        See `kl_divergence`, also for returned types, units, errors and cost.
    alpha : float
        Order, at least 0; inf is allowed.

    Notes
    -----
    With ``b = 1 - alpha`` and ``r = log(p/q)`` the sum is ``1 - b A``. All terms of
    ``A = sum p (1 - exp(-b r))/b - p + q`` are >= 0, and the limit for ``b = 0`` is KL, so
    that near-equal histograms and orders near 1 keep their precision.

    References
    ----------
    T. van Erven and P. Harremoës, "Rényi divergence and Kullback-Leibler divergence", 2014.

    Examples
    --------
    >>> renyi_divergence([0.5, 0.5], [1.0, 0.0], 0.5, base=2)
    1.0
    >>> renyi_divergence([0.75, 0.25], [0.5, 0.5], float("inf"), base=2)
    0.5849625007211562
    """
    order, unit = _as_order(alpha), log_of_base(base)
    if order == 1.0:
        return kl_divergence(p, q, axis=axis, base=base, normalize=normalize)
    plain = partial(_renyi, order=order)
    return by_lanes(plain, p, q, axis, normalize) / unit


def f_divergence(
    p: ArrayLike,
    q: ArrayLike,
    f: Callable[[FloatArray], ArrayLike],
    *,
    recession: float | None = None,
    axis: int = -1,
    normalize: bool = False,
) -> float | FloatArray:
    r"""Divergence with the generator `f`, convex with f(1) = 0 (Csiszar, 1967).

    .. math:: D_f(p \| q) = \sum_{q_i > 0} q_i f(p_i / q_i)
              + f'(\infty) \sum_{q_i = 0} p_i

    ``f(t) = t log t`` gives KL(p || q) and ``f(t) = -log t`` gives KL(q || p).

    Parameters
    ----------
    p, q, axis, normalize
        See `kl_divergence`, also for returned types.
    f : callable
        Takes an array of ratios >= 0 and returns as many numbers; f(0) may be inf.
    recession : float, optional
        The limit f'(inf) of f(t)/t, which may be inf. Needed only if some ``p[i] > 0``
        where ``q[i]`` is 0 or so small that the ratio overflows.

    Raises
    ------
    InputError
        As for `kl_divergence`; for an f that is not callable, has f(1) != 0, or returns
        NaN, -inf or another shape; for a recession that is missing, NaN or -inf.

    Notes
    -----
    Near-equal histograms keep their digits only if f(t) does near t = 1: pass ``t log t - t
    + 1`` rather than ``t log t``. The convexity of f is not checked. f is called once with
    all ratios; O(size) memory.

    Examples
    --------
    >>> f_divergence([0.5, 0.5, 0], [0.25, 0.5, 0.25], lambda t: (t - 1) ** 2)
    0.5
    >>> f_divergence([1.0, 0.0], [0.0, 1.0], lambda t: abs(t - 1) / 2, recession=0.5)
    1.0
    """
    pair = as_pair(p, q, axis, normalize)
    with np.errstate(all="ignore"):
        ratio = np.where(pair.q.raw > 0.0, _ratio(pair), 0.0)
        singular = pair.escapes() | np.isinf(ratio)
        ratio[singular] = 1.0
        heights = _heights(f, ratio)
        heights[pair.q.raw == 0.0] = 0.0
        terms = np.where(singular, 0.0, pair.q.high * heights)
        slope = _as_recession(recession, needed=bool(singular.any()))
        terms[singular] = pair.p.high[singular] * slope
        infinite = np.isinf(terms) | (np.isinf(heights) & ~singular)
        terms[infinite] = 0.0
        total = np.where(infinite.any(axis=-1), math.inf, sum_last(terms)[0])
    return pair.unscaled(total)


# ------------------------------------------------------------------------------- Renyi


def _as_order(alpha: Any) -> float:
    order = _validate.as_number("alpha", alpha, "a number >= 0, or inf")
    if not order >= 0.0:
        raise InputError(f"alpha must be a number >= 0, or inf, got {alpha!r}")
    return order


def _renyi(pair: Pair, *, order: float) -> float | FloatArray:
    with np.errstate(all="ignore"):
        if order > _ENDLESS:
            scaled = np.ldexp(_largest_ratio(pair), SHIFT)
        else:
            scaled = _scaled_renyi(pair, order)
        if order > 1.0:
            scaled[pair.escapes().any(axis=-1)] = math.inf
        scaled[pair.disjoint()] = math.inf
    return pair.unscaled(scaled)


def _scaled_renyi(pair: Pair, order: float) -> FloatArray:
    """Return 2**600 times the divergence of a finite order other than 1."""
    b, both = 1.0 - order, pair
    if order < 0.5:
        # With p and q exchanged the sum is the same, and b <= 1/2 loses no digit.
        b, both = order, Pair(pair.q, pair.p, pair.shape)
    if b == 0.0:
        return np.ldexp(_order_zero(pair), SHIFT)
    ratio = both.log_ratio()
    total = sum_last(_power_terms(both, ratio, b))[0]
    lost = b * np.ldexp(total, -SHIFT)  # 1 - lost is the sum of p**a q**(1-a)
    part = np.where(np.abs(lost) < 2.0**-60, 1.0, -np.log1p(-lost) / lost)
    scaled: FloatArray = total * (b / (1.0 - order)) * part
    # For a sum far from 1 its logarithm is as precise, and cannot overflow.
    away = ~(np.abs(lost) < 0.5)
    if away.any():
        logs = _log_of_power_sum(both, ratio, b)
        scaled[away] = np.ldexp(-logs / (1.0 - order), SHIFT)[away]
    return scaled


def _order_zero(pair: Pair) -> FloatArray:
    """Return -log q(p > 0), from the smaller of q(p > 0) and q(p = 0)."""
    parts = [pair.p.raw > 0.0, pair.p.raw == 0.0]
    sums = (sum_last(np.where(part, pair.q.high, 0.0))[0] for part in parts)
    inside, outside = (np.ldexp(total, -SHIFT) for total in sums)
    return -np.where(outside < 0.5, np.log1p(-outside), np.log(inside))


def _log_of_power_sum(pair: Pair, ratio: FloatArray, b: float) -> FloatArray:
    """Return the log of the sum of p exp(-b r); -inf for disjoint supports."""
    powers = -b * ratio
    shared = (pair.p.raw > 0.0) & (pair.q.raw > 0.0)
    size = np.where(shared, pair.p.log()[0] + powers, -math.inf)
    top = np.take_along_axis(powers, size.argmax(axis=-1)[:, None], axis=-1)
    exponents = np.minimum(powers - top, _LARGEST_EXPONENT)
    terms = np.where(shared, pair.p.high * np.exp(exponents), 0.0)
    return top[:, 0] + np.log(np.ldexp(sum_last(terms)[0], -SHIFT))


def _power_terms(pair: Pair, ratio: FloatArray, b: float) -> FloatArray:
    """Return p (1 - exp(-b r))/b - p + q >= 0, for r = log(p/q)."""
    p, q = pair.p.high, pair.q.high
    terms = p * ratio * ratio * (_exp_rest(-ratio) - b * _exp_rest(-b * ratio))
    far = np.abs(ratio) > 1.5
    p, q, ratio = p[far], q[far], ratio[far]
    exponent = np.minimum(-b * ratio, _LARGEST_EXPONENT) if b > 0.0 else -b * ratio
    powers = -np.expm1(exponent) / b
    powers[pair.q.raw[far] == 0.0] = 1.0 / b
    terms[far] = np.where(p == 0.0, 0.0, p * powers) - p + q
    return terms


def _exp_rest(x: FloatArray) -> FloatArray:
    """Return (exp(x) - 1 - x) / x**2."""
    rest = np.asarray(np.polyval(_EXP_SERIES, x), dtype=np.float64)
    large = np.abs(x) > 1.0
    rest[large] = (np.expm1(x[large]) - x[large]) / x[large] ** 2
    return rest


def _largest_ratio(pair: Pair) -> FloatArray:
    """Return the largest log(p/q) where p > 0."""
    ratio = np.where(pair.p.raw > 0.0, pair.log_ratio(), -math.inf)
    largest: FloatArray = np.maximum(ratio.max(axis=-1), 0.0)
    return largest


# --------------------------------------------------------------------------- generic f


def _ratio(pair: Pair) -> FloatArray:
    """Return p/q, rounded about once; inf where it overflows or q = 0."""
    (p, p_exponent), (q, q_exponent) = pair.p.mantissa(), pair.q.mantissa()
    far: FloatArray = np.ldexp(p / q, p_exponent - q_exponent)
    difference = pair.difference()[0]
    near = np.abs(difference) < 0.5 * pair.q.high
    far[near] = 1.0 + difference[near] / pair.q.high[near]
    return far


def _heights(f: Any, ratio: FloatArray) -> FloatArray:
    """Return f at the ratios, or raise if f is not a generator."""
    if not callable(f):
        raise InputError(f"f must be a function of an array of ratios, got {f!r}")
    values = np.asarray(f(np.append(ratio.reshape(-1), 1.0)))
    if values.shape != (ratio.size + 1,) or values.dtype.kind not in "iuf":
        raise InputError(
            f"f must return one real number for each of its {ratio.size + 1} ratios,"
            f" got dtype {values.dtype} and shape {values.shape}"
        )
    heights = values.astype(np.float64)
    bad = np.isnan(heights) | np.isneginf(heights)
    if bad.any():
        at = np.append(ratio.reshape(-1), 1.0)[bad][0]
        raise InputError(
            f"f must be a number or inf at each ratio, got f({at}) = {heights[bad][0]};"
            " define f there by its limit"
        )
    if abs(heights[-1]) > 1e-12:
        raise InputError(f"f(1) must be 0, got {heights[-1]}; subtract it from f")
    return heights[:-1].reshape(ratio.shape)


def _as_recession(recession: Any, *, needed: bool) -> float:
    """Return the slope of f at infinity."""
    if recession is None and not needed:
        return 0.0
    wanted = "the limit of f(t)/t, a number or inf, as some p > 0 where q = 0"
    slope = _validate.as_number("recession", recession, wanted)
    if not slope > -math.inf:
        raise InputError(f"recession must be {wanted}, got {recession!r}")
    return slope
