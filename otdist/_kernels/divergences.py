"""KL and JS of many histograms, one lane at a time, without temporary arrays.

Sums are compensated and products exact, so that near-equal histograms keep
their digits: p - q is ``(a B - b A) / (A B)`` for masses a, b and their sums A, B. What
is out of the ordinary is left to NumPy: lanes with masses of very unlike sizes, or that
are no histograms, get NaN. So inputs need no validation.
"""

import numpy as np
from numba import njit

from otdist._kernels.simd import product_error

# Masses between these keep all products and their errors in the range of floats.
_LEAST, _MOST = 2.0**-300, 2.0**200
_LOG_2 = float(np.log(2.0))
_NEAR = 0.5625  # of t**2, for t = (p - q)/(p + q)
# Chebyshev fits over [0, _NEAR], relative error below 3e-17, of (atanh(t)/t - 1)/t**2
# and of ((1+t) log1p(t) + (1-t) log1p(-t)) / (2 t**2), in powers of t**2.
_ATANH = (
    73.1401339276289,
    -397.7737012640705,
    1020.7377126734887,
    -1633.958933750888,
    1823.7091363401662,
    -1503.9051882309577,
    948.2277183346024,
    -466.69710846460106,
    181.67450594008375,
    -56.240219685385746,
    13.946414059551268,
    -2.697888505720177,
    0.4702305410086409,
    -0.00454222331398186,
    0.05755920820579099,
    0.05847100676292417,
    0.06668523210738732,
    0.07692238512596858,
    0.09090910813425482,
    0.11111111084844345,
    0.14285714285926354,
    0.1999999999999932,
    0.3333333333333333,
)
_JS = (
    1.1224474477028341,
    -6.06651366503861,
    15.500383290298721,
    -24.727590231113428,
    27.52392015026549,
    -22.644916506326215,
    14.251095648023673,
    -7.001796078024247,
    2.722678350804036,
    -0.8408090921823849,
    0.20946790599471124,
    -0.039079273577600764,
    0.008533070585254062,
    0.0018536917893410554,
    0.0033414169815269884,
    0.0041614151691065585,
    0.005494781946444661,
    0.007575747277966378,
    0.011111111367447598,
    0.017857142853234767,
    0.033333333333364884,
    0.08333333333333323,
    0.5,
)


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False, inline="always")
def _sum(masses: np.ndarray) -> tuple[float, float]:
    """Return the sum as high + low, NaN if a mass is not ordinary."""
    high, low, ordinary = 0.0, 0.0, True
    for i in range(masses.size):
        mass = masses[i]
        ordinary &= (mass == 0.0) | ((mass >= _LEAST) & (mass <= _MOST))
        total = high + mass
        part = total - high
        low += (high - (total - part)) + (mass - part)
        high = total
    total = high + low
    return (total if ordinary else np.nan), low - (total - high)


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    fastmath={"contract"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _kl_term(first: float, second: float, difference: float, together: float) -> float:
    """Return p log(p/q) - p + q."""
    if first == 0.0:
        return second
    t = difference / together
    square = t * t
    if square <= _NEAR:
        fourth = square * square
        even, odd = _ATANH[0], _ATANH[1]
        for k in range(1, 11):
            even = even * fourth + _ATANH[2 * k]
            odd = odd * fourth + _ATANH[2 * k + 1]
        series = (even * fourth + _ATANH[22]) + odd * square
        return difference * t * (1.0 + (1.0 + t) * t * series)
    return first * np.log(first / second) - difference


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    fastmath={"contract"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _js_term(first: float, second: float, difference: float, together: float) -> float:
    """Return (p + q) ((1+t) log1p(t) + (1-t) log1p(-t)) / 2."""
    t = difference / together
    square = t * t
    if square <= _NEAR:
        fourth = square * square
        even, odd = _JS[0], _JS[1]
        for k in range(1, 11):
            even = even * fourth + _JS[2 * k]
            odd = odd * fourth + _JS[2 * k + 1]
        series = (even * fourth + _JS[22]) + odd * square
        return difference * t * series
    large, small = abs(t), 2.0 * min(first, second) / together
    rest = small * np.log(small) if small > 0.0 else 0.0
    return 0.5 * together * ((1.0 + large) * np.log(1.0 + large) + rest)


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def kl_lanes(p: np.ndarray, q: np.ndarray, tolerance: float, out: np.ndarray) -> None:
    """Write KL of each row of ``(lanes, k)``, in nats; NaN where left to NumPy.

    Sums are 1 within the tolerance, or any for inf.
    """
    for lane in range(p.shape[0]):
        a, b = p[lane], q[lane]
        (A, A_low), (B, B_low) = _sum(a), _sum(b)
        if not (
            abs(A - 1.0) <= tolerance and abs(B - 1.0) <= tolerance and A * B > 0.0
        ):
            out[lane] = np.nan
            continue
        high, low = 0.0, 0.0
        for i in range(a.size):
            if b[i] == 0.0:
                high = np.inf if a[i] > 0.0 else high
                continue
            first, second = a[i] * B, b[i] * A
            error = product_error(a[i], B, first) + a[i] * B_low
            error -= product_error(b[i], A, second) + b[i] * A_low
            term = _kl_term(first, second, (first - second) + error, first + second)
            total = high + term
            part = total - high
            low += (high - (total - part)) + (term - part)
            high = total
        out[lane] = np.inf if high == np.inf else (high + low) / (A * B)


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def js_lanes(p: np.ndarray, q: np.ndarray, tolerance: float, out: np.ndarray) -> None:
    """Write JS of each row of ``(lanes, k)``, as `kl_lanes` does KL."""
    for lane in range(p.shape[0]):
        a, b = p[lane], q[lane]
        (A, A_low), (B, B_low) = _sum(a), _sum(b)
        if not (
            abs(A - 1.0) <= tolerance and abs(B - 1.0) <= tolerance and A * B > 0.0
        ):
            out[lane] = np.nan
            continue
        high, low, disjoint = 0.0, 0.0, True
        for i in range(a.size):
            first, second = a[i] * B, b[i] * A
            if first + second == 0.0:
                continue
            disjoint &= (first == 0.0) | (second == 0.0)
            error = product_error(a[i], B, first) + a[i] * B_low
            error -= product_error(b[i], A, second) + b[i] * A_low
            term = _js_term(first, second, (first - second) + error, first + second)
            total = high + term
            part = total - high
            low += (high - (total - part)) + (term - part)
            high = total
        value = 0.5 * (high + low) / (A * B)
        out[lane] = _LOG_2 if disjoint else min(value, _LOG_2)
