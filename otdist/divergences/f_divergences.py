"""Divergences made from the ratio p/q: chi-square, Renyi, and any convex generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from otdist.divergences.batched import by_lanes
from otdist.divergences.double_double import sum_last
from otdist.divergences.histograms import SHIFT, Pair, as_pair, log_of_base
from otdist.divergences.shannon import kl_divergence
from otdist.errors import InputError
from otdist.typing import FloatArray

# (exp(x) - 1 - x) / x**2 = sum of x**k / (k + 2)!, to the last place for |x| <= 1.
_EXP_SERIES = [1.0 / math.factorial(k + 2) for k in range(18, -1, -1)]
_LARGEST_EXPONENT = 700.0
_ENDLESS = 1e300  # an order so large, times any log(p/q) but 0, exceeds all logarithms


def chi2_divergence(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, normalize: bool = False
) -> float | FloatArray:
    r"""Pearson chi-square divergence of `p` from `q`, which is in the denominator.

    .. math:: \chi^2(p \| q) = \sum_i (p_i - q_i)^2 / q_i = \sum_i p_i^2 / q_i - 1

    In [0, inf]: inf as soon as some ``p[i] > 0`` where ``q[i] == 0``. Without unit; not
    the test statistic, which is the sample size times this. KL <= log(1 + chi2).
    Arguments, shapes, errors and cost: as for `kl_divergence`.
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
        # The sum in units of the largest term: squares leave the range of floats.
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
    ``log max p/q``. It is inf on disjoint supports, and for ``alpha >= 1`` as soon as
    some ``p[i] > 0`` where ``q[i] == 0``.

    Parameters
    ----------
    p, q, axis, base, normalize
        As for `kl_divergence`, as are the shapes, the unit, the errors and the cost.
    alpha : float
        Order, at least 0; inf is allowed.

    Returns
    -------
    float or ndarray
        A float for 1-D input, else a float64 array without `axis`.

    Raises
    ------
    InputError
        See `kl_divergence`; an order that is negative, NaN or no number.

    Notes
    -----
    With ``b = 1 - alpha`` and ``r = log(p/q)`` the sum is ``1 - b A``, where all terms
    of ``A = sum p (1 - exp(-b r))/b - p + q`` are >= 0, as those of KL, the limit for
    ``b = 0``: near-equal histograms and orders near 1 keep their precision. Source:
    van Erven and Harremoes, *Renyi divergence and Kullback-Leibler divergence* (2014).

    Examples
    --------
    >>> renyi_divergence([0.5, 0.5], [1.0, 0.0], 0.5, base=2)
    1.0
    >>> renyi_divergence([0.75, 0.25], [0.5, 0.5], float("inf"), base=2)
    0.5849625007211562
    """
    order = _as_order(alpha)
    if order == 1.0:
        return kl_divergence(p, q, axis=axis, base=base, normalize=normalize)
    plain = partial(_renyi, order=order)
    return by_lanes(plain, p, q, axis, normalize, log_base=log_of_base(base))


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

    ``q`` weighs: ``f(t) = t log t`` gives KL(p || q), ``f(t) = -log t`` KL(q || p).

    Parameters
    ----------
    p, q, axis, normalize
        As for `kl_divergence`, as are the shapes and the other errors.
    f : callable
        Takes an array of ratios >= 0, returns as many numbers; f(0) may be inf.
    recession : float, optional
        The slope f'(inf), the limit of f(t)/t, which may be inf. Needed only where `p`
        has mass and `q` has none, or so little that the ratio overflows.

    Returns
    -------
    float or ndarray
        A float for 1-D input, else a float64 array without `axis`.

    Raises
    ------
    InputError
        See `kl_divergence`; an f that is not callable, has f(1) != 0, or returns NaN,
        -inf or another shape; a recession that is missing where needed, NaN or -inf.

    Notes
    -----
    `f` is applied as given: near-equal histograms keep their digits only if f(t) does
    near t = 1, without a linear part: ``t log t - t + 1`` rather than ``t log t``. It is
    not checked that f is convex. One call of f on all ratios, O(size) memory.

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
    number = isinstance(alpha, (int, float, np.integer, np.floating))
    if isinstance(alpha, bool) or not number or not alpha >= 0.0:
        raise InputError(f"alpha must be a number >= 0, or inf, got {alpha!r}")
    return float(alpha)


def _renyi(pair: Pair, log_base: float = 1.0, *, order: float) -> float | FloatArray:
    with np.errstate(all="ignore"):
        if order > _ENDLESS:
            scaled = np.ldexp(_largest_ratio(pair), SHIFT)
        else:
            scaled = _scaled_renyi(pair, order)
        if order > 1.0:
            scaled[pair.escapes().any(axis=-1)] = math.inf
        scaled[pair.disjoint()] = math.inf
    return pair.unscaled(scaled / log_base)


def _scaled_renyi(pair: Pair, order: float) -> FloatArray:
    """Return 2**600 times the divergence of a finite order other than 1."""
    b, both = 1.0 - order, pair
    if order < 0.5:
        # The sum is the same from the other side, where b <= 1/2 loses no digit.
        b, both = order, Pair(pair.q, pair.p, pair.shape)
    if b == 0.0:
        return np.ldexp(_order_zero(pair), SHIFT)
    ratio = both.log_ratio()
    total = sum_last(_power_terms(both, ratio, b))[0]
    lost = b * np.ldexp(total, -SHIFT)  # 1 - lost is the sum of p**a q**(1-a)
    part = np.where(np.abs(lost) < 2.0**-60, 1.0, -np.log1p(-lost) / lost)
    scaled: FloatArray = total * (b / (1.0 - order)) * part
    # Away from 1 the logarithm of the sum itself is as precise, and cannot overflow.
    away = ~(np.abs(lost) < 0.5)
    if away.any():
        logs = _log_of_power_sum(both, ratio, b)
        scaled[away] = np.ldexp(-logs / (1.0 - order), SHIFT)[away]
    return scaled


def _order_zero(pair: Pair) -> FloatArray:
    """Return -log q(p > 0), from the smaller one of that mass and the rest."""
    parts = [pair.p.raw > 0.0, pair.p.raw == 0.0]
    masses = (sum_last(np.where(part, pair.q.high, 0.0))[0] for part in parts)
    inside, outside = (np.ldexp(mass, -SHIFT) for mass in masses)
    return -np.where(outside < 0.5, np.log1p(-outside), np.log(inside))


def _log_of_power_sum(pair: Pair, ratio: FloatArray, b: float) -> FloatArray:
    """Return the log of the sum of p exp(-b r), -inf if no bin has mass of both."""
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
    """Return the largest log(p/q) where p has mass."""
    ratio = np.where(pair.p.raw > 0.0, pair.log_ratio(), -math.inf)
    largest: FloatArray = np.maximum(ratio.max(axis=-1), 0.0)
    return largest


# --------------------------------------------------------------------------- generic f


def _ratio(pair: Pair) -> FloatArray:
    """Return p/q, rounded about once, inf where it overflows or q has no mass."""
    (p, p_exponent), (q, q_exponent) = pair.p.mantissa(), pair.q.mantissa()
    far: FloatArray = np.ldexp(p / q, p_exponent - q_exponent)
    difference = pair.difference()[0]
    near = np.abs(difference) < 0.5 * pair.q.high
    far[near] = 1.0 + difference[near] / pair.q.high[near]
    return far


def _heights(f: Any, ratio: FloatArray) -> FloatArray:
    """Return f at the ratios, refusing what is no generator."""
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
            " define its limit there"
        )
    if abs(heights[-1]) > 1e-12:
        raise InputError(f"f(1) must be 0, got {heights[-1]}; subtract it from f")
    return heights[:-1].reshape(ratio.shape)


def _as_recession(recession: Any, *, needed: bool) -> float:
    """Return the slope of f at infinity."""
    if recession is None and not needed:
        return 0.0
    number = isinstance(recession, (int, float, np.integer, np.floating))
    if not number or not -math.inf < recession <= math.inf:
        raise InputError(
            "recession must be the limit of f(t)/t, a number or inf, where p has mass"
            f" and q has none; got {recession!r}"
        )
    return float(recession)
