"""Closed forms for normal distributions, and quadrature for the others.

After a change of coordinates the second distribution is N(0, I) and the first has a diagonal
covariance, so that all but the Wasserstein distances are sums over the axes. The new variances
minus 1 are computed from C1 - C2: near-equal distributions keep their digits.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from otdist.errors import InputError, NotCertifiedError, short
from otdist.gaussian.bures import as_normal, difference, distances, require_in_range
from otdist.inputs import validate as _validate
from otdist.typing import ArrayLike, FloatArray

_NEAR = 0.5  # |x| up to which log1p(x) - x is summed as a series
# Variances whose inverses are numbers.
_SMALLEST = 2.0**-1024
_FAR = 500  # binary exponents between covariances from which they are scaled apart
_MOST_LOG = 690.0  # largest logarithm of a quotient of variances on the line
_ATANH_SERIES = [1.0 / (2 * k + 3) for k in range(17, -1, -1)]  # for |t| <= 1/3
_JS_SERIES = [1.0 / ((2 * k + 1) * (2 * k + 2)) for k in range(14, -1, -1)]
# Breakpoints of the quadrature for JS, in standard deviations; beyond 39 densities underflow.
_BREAKS = (-39.0, -12.0, -6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0, 12.0, 39.0)
_APART = 80.0  # standard deviations between distributions that overlap by less than 1e-300


def kl_divergence(m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike) -> float:
    r"""Kullback-Leibler divergence KL(N(m1, C1) || N(m2, C2)), in nats.

    .. math:: \tfrac12 \bigl(\operatorname{tr} C_2^{-1} C_1 - d + (m_1 - m_2)^T
              C_2^{-1} (m_1 - m_2) + \log \det C_2 - \log \det C_1\bigr)

    Parameters
    ----------
    m1, m2 : float or array_like (d,)
        Means, in units of length.
    C1, C2 : float or array_like (d, d)
        Variance along every axis, or covariance matrix, in units of length squared.

    Returns
    -------
    float
        At least 0, and inf above the largest float.

    Raises
    ------
    InputError
        For wrong types or shapes, numbers that are not finite, or a covariance that is not
        positive definite and symmetric (within 1e-12 of its largest entry), and for means
        whose difference overflows.

    Notes
    -----
    Computed, not proved: against 60 digits the relative error was below ``d * k * 2**-52``,
    for the larger condition number k of the two covariances. On the line that is 1.

    Examples
    --------
    >>> from otdist import gaussian
    >>> gaussian.kl_divergence(0, 1, 2, 1)
    2.0
    """
    normal = _diagonalised(m1, C1, m2, C2)
    return math.fsum([*(0.5 * normal.shift**2), *(-0.5 * _log_rest(normal))])


def renyi_divergence(
    m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike, alpha: float
) -> float:
    r"""Renyi divergence of order `alpha`, the exponent of the first density, in nats.

    .. math:: \tfrac{\alpha}{2} (m_1 - m_2)^T C_\alpha^{-1} (m_1 - m_2)
              - \tfrac{1}{2 (\alpha - 1)} \log \frac{\det C_\alpha}
              {\det(C_1)^{1-\alpha} \det(C_2)^\alpha}, \qquad
              C_\alpha = (1 - \alpha) C_1 + \alpha C_2

    It is inf if ``alpha > 1`` and C_alpha is not positive definite, as the integral
    diverges. Order 1 is KL. Source: Gil, Alajaji and Linder, *Renyi divergence measures* (2013).

    Parameters
    ----------
    m1, C1, m2, C2
        See `kl_divergence`.
    alpha : float
        Order, finite and at least 0.

    Returns
    -------
    float
        In [0, inf].

    Raises
    ------
    InputError
        As for `kl_divergence`, and for an order that is negative or not finite.

    Notes
    -----
    Computed, not proved: against 80 digits the relative error for orders below 1 was at most
    ``20 * d * k * 2**-52``, with k as for `kl_divergence`. For larger orders the condition of
    C_alpha counts, too; whether it is positive definite is decided by computed eigenvalues.

    Examples
    --------
    >>> from otdist import gaussian
    >>> gaussian.renyi_divergence(0, 1, 2, 1, alpha=0.5)
    1.0
    """
    order = _validate.as_number("alpha", alpha, "a finite number >= 0")
    if not 0.0 <= order < math.inf:
        raise InputError(f"alpha must be a finite number >= 0, got {short(alpha)}")
    if order == 1.0:
        return kl_divergence(m1, C1, m2, C2)
    normal = _diagonalised(m1, C1, m2, C2)
    excess, b = normal.excess, 1.0 - order
    mixed = 1.0 + b * excess
    if not mixed.min() > 0.0:
        return math.inf
    near = np.abs(excess) * max(1.0, abs(b)) <= _NEAR
    small = b * np.where(near, excess, 0.0)
    # A quotient of variances may overflow where its logarithm does not.
    log_mixed = np.log1p(np.where(np.isfinite(excess), b * excess, 0.0))
    log_mixed += np.where(np.isfinite(excess), 0.0, math.log(abs(b)) + normal.log_variance)
    logs = np.where(
        near,
        _log1p_rest(small) / b - _log_rest(normal),
        log_mixed / b - normal.log_variance,
    )
    return 0.5 * math.fsum([*order * normal.shift**2 / mixed, *logs])


def chi2_divergence(m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike) -> float:
    """Chi-square divergence, the integral of (p1 - p2)**2 / p2: exp(Renyi_2) - 1.

    It is inf unless 2 C2 - C1 is positive definite, and above the largest float. Its relative
    error is that of Renyi_2 times its value. For parameters and errors see
    `kl_divergence`.

    Examples
    --------
    >>> from otdist import gaussian
    >>> gaussian.chi2_divergence(0, 1, 0, 1), gaussian.chi2_divergence(0, 2, 0, 1)
    (0.0, inf)
    """
    exponent = renyi_divergence(m1, C1, m2, C2, 2.0)
    return math.expm1(exponent) if exponent < 709.0 else math.inf


def hellinger_distance(m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike) -> float:
    r"""Hellinger distance, with the factor 1/2 under the root: a metric, in [0, 1].

    .. math:: H^2 = 1 - \frac{\det(C_1)^{1/4} \det(C_2)^{1/4}}{\det(C)^{1/2}}
              \exp\bigl(-\tfrac18 (m_1 - m_2)^T C^{-1} (m_1 - m_2)\bigr),
              \qquad C = (C_1 + C_2) / 2

    For parameters and errors see `kl_divergence`.

    Examples
    --------
    >>> from otdist import gaussian
    >>> round(gaussian.hellinger_distance(0, 1, 4, 1) ** 2, 10)
    0.8646647168
    """
    return math.sqrt(-math.expm1(-0.5 * renyi_divergence(m1, C1, m2, C2, 0.5)))


def total_variation(m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike) -> float:
    """Total variation distance, in [0, 1], on the line or for equal covariances.

    For equal covariances it is ``erf(s / sqrt(8))``, with the Mahalanobis distance s of the
    means. On the line it is the difference of the probabilities of the interval between
    the two points where the densities are equal. Otherwise there is no closed form. On the
    line the relative error, against 60 digits, was at most 1e-14.

    For parameters and other errors see `kl_divergence`.

    Raises
    ------
    InputError
        As for `kl_divergence`, and for unequal covariances with d > 1.

    Examples
    --------
    >>> from otdist import gaussian
    >>> gaussian.total_variation(0, 1, 2, 1)
    0.6826894921370859
    """
    shift, variance, excess = _on_the_line(m1, C1, m2, C2)
    if excess == 0.0:
        return math.erf(shift / math.sqrt(8.0))
    # The densities cross where x**2 - (x - shift)**2 / variance = log(variance).
    log_variance = math.log1p(excess) if abs(excess) < _NEAR else math.log(variance)
    half = shift + math.sqrt(variance * (shift**2 + excess * log_variance))
    roots = sorted((-half / excess, (shift**2 + variance * log_variance) / half))
    scale = math.sqrt(variance)
    # From a root as the second distribution sees it to where the first one does.
    steps = [-(root * excess / (1.0 + scale) + shift) / scale for root in roots]
    below, above = (_gain(root, step) for root, step in zip(roots, steps, strict=True))
    return min(abs(above - below), 1.0)


def js_divergence(m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike) -> float:
    """Jensen-Shannon divergence, with the factor 1/2, in [0, log 2] nats.

    It is available on the line, and for equal covariances, where it equals that of N(0, 1)
    and N(s, 1) for the Mahalanobis distance s of the means. There is no closed form: it is
    computed by adaptive quadrature with an estimated relative error below 1e-10
    (against 30-digit arithmetic: below 1e-13).

    For parameters and other errors see `kl_divergence`.

    Raises
    ------
    InputError
        As for `kl_divergence`, and for unequal covariances with d > 1.
    NotCertifiedError
        If the quadrature does not reach a relative error of 1e-10.

    Examples
    --------
    >>> from otdist import gaussian
    >>> round(gaussian.js_divergence(0, 1, 2, 1), 9)
    0.33683082
    """
    from scipy.integrate import quad

    shift, variance, excess = _on_the_line(m1, C1, m2, C2)
    scale = math.sqrt(variance)
    if shift == excess == 0.0:
        return 0.0
    if shift > _APART * max(1.0, scale):
        return math.log(2.0)
    log_variance = math.log1p(excess) if abs(excess) < _NEAR else math.log(variance)

    def integrand(x: float) -> float:
        first, second = -0.5 * ((x - shift) / scale) ** 2, -0.5 * x * x
        # Without cancellation: x**2 - (x - shift)**2 / variance.
        square = (x * x * excess + shift * (2.0 * x - shift)) / variance
        density = math.exp(first - 0.5 * log_variance) + math.exp(second)
        return 0.5 * density * _js_generator(0.5 * (square - log_variance))

    middle = [] if excess else [0.5 * shift]  # where densities are equal, in a narrow notch
    breaks = sorted({*_BREAKS, *(shift + scale * k for k in _BREAKS), *middle})
    parts = [
        quad(integrand, low, high, epsabs=1e-300, epsrel=1e-12, limit=200)[:2]
        for low, high in pairwise(breaks)
    ]
    value = math.fsum(part for part, _ in parts) / math.sqrt(2.0 * math.pi)
    error = math.fsum(error for _, error in parts) / math.sqrt(2.0 * math.pi)
    if not error <= 1e-10 * value:
        message = (
            f"the quadrature gave {value} with an error up to {error:.1e}, above 1e-10 relative"
        )
        raise NotCertifiedError(message, None)
    return min(value, math.log(2.0))


def wasserstein_distance(
    m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike, *, p: float = 1
) -> float:
    r"""Wasserstein distance of order 2, and on the line of order 1.

    .. math:: W_2^2 = |m_1 - m_2|^2 + \operatorname{tr}\bigl(C_1 + C_2
              - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2}\bigr)

    This is `otdist.bures_wasserstein_distance`, whose notes bound its error. On the line
    ``W_1 = E |m1 - m2 + (s1 - s2) Z|`` for standard deviations s and a standard normal Z.

    Parameters
    ----------
    m1, C1, m2, C2
        See `kl_divergence`; here covariances may be singular.
    p : {1, 2}, default 1
        Order; for d > 1 there is no closed form of order 1.

    Returns
    -------
    float
        A metric, in units of length.

    Raises
    ------
    InputError
        As for `kl_divergence`, and for another order, or order 1 with d > 1.

    Examples
    --------
    >>> from otdist import gaussian
    >>> gaussian.wasserstein_distance(0, 1, 3, 25, p=2)
    5.0
    """
    if _validate.as_number("p", p, "1 or 2") not in (1, 2):
        raise InputError(f"p must be 1 or 2, got {short(p)}; other orders have no closed form")
    mean, C1, C2 = _as_pair(m1, C1, m2, C2)
    if p == 1 and len(mean) == 1:
        step = float(distances(np.zeros(1), C1, C2))
        value = _mean_distance(abs(float(mean[0])), step)
    elif p == 1:
        raise InputError(
            f"p=1 has a closed form on the line only, not for {len(mean)} coordinates;"
            " p=2 gives an upper bound of it"
        )
    else:
        value = float(distances(mean, C1, C2))
    require_in_range(np.asarray(value))
    return value


# ----------------------------------------------------------------------------- reduced


class _Diagonalised(NamedTuple):
    """Parameters of N(shift, 1 + excess) on every axis; the other is N(0, 1)."""

    shift: FloatArray
    excess: FloatArray
    log_variance: FloatArray


def _diagonalised(m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike) -> _Diagonalised:
    """Validate two distributions with densities, and make the second standard."""
    mean, C1, C2 = _as_pair(m1, C1, m2, C2)
    for name, covariance in (("C1", C1), ("C2", C2)):
        _require_density(name, covariance)
    # Of variances whose ratio would leave the range of floats, the exponents are apart.
    apart = int(np.frexp(C1.max())[1]) - int(np.frexp(C2.max())[1])
    apart = apart if abs(apart) > _FAR else 0
    excess, variance, axes = _spectrum(np.ldexp(C1, -apart), C2)
    near = (np.abs(excess) <= _NEAR) & (apart == 0)
    with np.errstate(over="ignore"):
        far_excess = np.ldexp(variance, apart) - 1.0
        shift = axes.T @ mean
    log_variance = np.log(variance) + apart * math.log(2.0)
    log_variance = np.where(near, np.log1p(np.where(near, excess, 0.0)), log_variance)
    return _Diagonalised(shift, np.where(near, excess, far_excess), log_variance)


def _spectrum(C1: FloatArray, C2: FloatArray) -> tuple[FloatArray, ...]:
    """Return variances minus 1, variances and axes of C1 in coordinates in which C2 is I."""
    from scipy.linalg import eigh

    if len(C1) == 1:
        return ((C1 - C2) / C2)[0], (C1 / C2)[0], 1.0 / np.sqrt(C2)
    excess, axes = eigh(C1 - C2, C2)
    # Variances far from 1 are computed from C1 itself, as sums of squares.
    variance = ((np.linalg.cholesky(C1).T @ axes) ** 2).sum(axis=0)
    return excess, variance, axes


def _on_the_line(
    m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike
) -> tuple[float, float, float]:
    """Return shift >= 0, variance and variance - 1 of the first; the second is N(0, 1)."""
    normal = _diagonalised(m1, C1, m2, C2)
    shift = math.hypot(*normal.shift)
    if not normal.excess.any():
        return shift, 1.0, 0.0
    if len(normal.shift) > 1:
        raise InputError(
            "C1 and C2 must be equal for more than one coordinate, as there is no closed form"
            " for others; use otdist.samples with samples of both distributions"
        )
    if abs(normal.log_variance[0]) > _MOST_LOG:
        raise InputError(
            "the quotient of C1 and C2 must be between 1e-300 and 1e300, got"
            f" 1e{normal.log_variance[0] / math.log(10.0):.0f}; one of the distributions is an"
            " atom beside the other"
        )
    return shift, math.exp(normal.log_variance[0]), float(normal.excess[0])


def _log_rest(normal: _Diagonalised) -> FloatArray:
    """Return log(variance) - excess, which is <= 0."""
    near = np.abs(normal.excess) <= _NEAR
    rest = _log1p_rest(np.where(near, normal.excess, 0.0))
    return np.where(near, rest, normal.log_variance - normal.excess)


def _log1p_rest(x: FloatArray) -> FloatArray:
    """Return log1p(x) - x for |x| <= 1/2, from log1p(x) = 2 atanh(x / (2 + x))."""
    t = x / (2.0 + x)
    return np.asarray(t * (2.0 * t * t * np.polyval(_ATANH_SERIES, t * t) - x))


def _js_generator(log_ratio: float) -> float:
    """Return ((1+t) log(1+t) + (1-t) log(1-t))/2 for t = (p-q)/(p+q)."""
    log_ratio = abs(log_ratio)
    t = math.tanh(0.5 * log_ratio)
    if log_ratio < _NEAR:
        series = 0.0
        for coefficient in _JS_SERIES:
            series = series * t * t + coefficient
        return t * t * series
    less = math.exp(-log_ratio)
    return math.log(2.0) - math.log1p(less) - log_ratio * less / (1.0 + less)


def _probability(low: float, high: float) -> float:
    """Return the probability of an interval under N(0, 1)."""
    root = math.sqrt(2.0)
    if low > 0.0:
        low, high = -high, -low
    if high < 0.0:
        return 0.5 * (math.erfc(-high / root) - math.erfc(-low / root))
    return 0.5 * (math.erf(high / root) - math.erf(low / root))


def _gain(start: float, step: float) -> float:
    """Return the probability under N(0, 1) between two points, negative for a step < 0."""
    if abs(step) > _NEAR:
        return math.copysign(_probability(*sorted((start, start + step))), step)
    # A difference of probabilities would lose digits: a sum over Gauss and Legendre's nodes.
    nodes, weights = np.polynomial.legendre.leggauss(12)
    densities = np.exp(-0.5 * (start + 0.5 * step * (nodes + 1.0)) ** 2)
    return float(0.5 * step * (weights @ densities)) / math.sqrt(2.0 * math.pi)


def _mean_distance(mean: float, step: float) -> float:
    """Return E |mean + step Z| for a standard normal Z."""
    if step == 0.0:
        return mean
    ratio = mean / (step * math.sqrt(2.0))
    density = math.exp(-(min(ratio, 40.0) ** 2))
    return step * math.sqrt(2.0 / math.pi) * density + mean * math.erf(ratio)


# --------------------------------------------------------------------------- validated


def _as_pair(
    m1: ArrayLike, C1: ArrayLike, m2: ArrayLike, C2: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return m1 - m2 (d,) and both covariances (d, d) >= 0."""
    means, covariances = [], []
    for which, mean, covariance in (("1", m1, C1), ("2", m2, C2)):
        centre = _validate.as_float64(f"m{which}", mean)
        if centre.ndim > 1 or centre.size == 0:
            raise InputError(f"m{which} must be a number or have shape (d,), got {centre.shape}")
        centre, matrix = as_normal(which, centre, covariance)
        if matrix.ndim > 2:
            raise InputError(f"C{which} must have two axes, got shape {matrix.shape}")
        means.append(centre)
        covariances.append(matrix)
    d1, d2 = (len(mean) for mean in means)
    if d1 != d2:
        raise InputError(f"m1 and m2 must have equal shapes, got {d1} and {d2} numbers")
    return difference(*means), covariances[0], covariances[1]


def _require_density(name: str, covariance: FloatArray) -> None:
    values = np.linalg.eigvalsh(covariance)
    if 0 < values[-1] < _SMALLEST:
        raise InputError(
            f"{name} has the largest eigenvalue {values[-1]:.3g}, whose inverse leaves float64;"
            " multiply the covariances by a constant, and the means by its root"
        )
    if not values[0] > len(values) * np.finfo(float).eps * values[-1]:
        raise InputError(
            f"{name} must be positive definite, got the smallest eigenvalue"
            f" {values[0]:.3g}; the divergence needs densities: remove coordinates that"
            " are determined by others, or use wasserstein_distance"
        )
