"""KL and JS of many histograms, one lane at a time, without temporary arrays.

Numbers are ``high + low`` where digits could be lost, so that near-equal histograms keep
theirs: p - q is ``(a B - b A) / (A B)`` for weights a, b with sums A, B. Lanes that are
invalid, or whose weights differ too much in size, get NaN and are left to NumPy, so that
inputs need no validation.
"""

import math

import numpy as np

from otdist.compiled.simd import product_error
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can only be called by kernels, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
fusing_inner = njit(**_INNER, fastmath={"contract"})
inlined = njit(**_FLAGS, inline="always")

_FAR = 2.0**-20  # |p - q|/p below which the rounding of rounding errors matters
# Weights in this range keep all products and their errors in the range of floats.
_LEAST, _MOST = 2.0**-300, 2.0**200
_LOG_2 = math.log(2.0)
_LOG_2_HIGH = float.fromhex("0x1.62e42fefa38p-1")  # exact times an exponent
_LOG_2_LOW = float.fromhex("0x1.ef35793c7673p-45")
_NEAR = 0.25  # of t**2, for t = (p - q)/(p + q)
# Chebyshev fits over [0, _NEAR], relative error below 6e-17, of (atanh(t)/t - 1)/t**2
# and of (((1+t) log1p(t) + (1-t) log1p(-t)) / t**2 - 1) / (2 t**2), in powers of t**2.
_ATANH = (
    0.21098097885975797,
    -0.14450491183414468,
    0.13557903913692299,
    0.012292448728540531,
    0.05441915418234587,
    0.05160769881147162,
    0.05893099692590042,
    0.06665886352701884,
    0.07692345940270638,
    0.09090907881509189,
    0.11111111133938968,
    0.14285714285490106,
    0.20000000000000864,
    0.3333333333333333,
)
_JS = (
    0.00625017529347717,
    -0.0038541817912840027,
    0.00424625314726373,
    0.0009316372120755585,
    0.0023558527931406025,
    0.002602824415162437,
    0.00327098753657324,
    0.004166448087951348,
    0.00549451619939327,
    0.007575757237481579,
    0.011111111117493305,
    0.0178571428570802,
    0.033333333333333576,
    0.08333333333333333,
)


@inlined
def _two_sum(a: float, b: float) -> tuple[float, float]:
    """Return a + b exactly (Knuth)."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


@inlined
def _sum(weights: np.ndarray) -> tuple[float, float]:
    """Return the sum as high + low; NaN if a weight is out of range."""
    high, low, ordinary = 0.0, 0.0, True
    for i in range(weights.size):
        weight = weights[i]
        ordinary &= (weight == 0.0) | ((weight >= _LEAST) & (weight <= _MOST))
        high, error = _two_sum(high, weight)
        low += error
    high, low = _two_sum(high, low)
    return (high if ordinary else np.nan), low


@inlined
def _sums(
    a: np.ndarray, b: np.ndarray, tolerance: float
) -> tuple[bool, float, float, float, float]:
    """Return whether both are histograms with weights in range, and their sums."""
    (A, A_low), (B, B_low) = _sum(a), _sum(b)
    near_one = abs(A - 1.0) <= tolerance and abs(B - 1.0) <= tolerance
    return near_one and A * B > 0.0, A, A_low, B, B_low


@inlined
def _quotient(total: float, low: float, A: float, A_low: float, B: float, B_low: float) -> float:
    """Return (total + low) / ((A + A_low) (B + B_low)), rounded about once."""
    product = A * B
    product_low = product_error(A, B, product) + (A * B_low + A_low * B)
    quotient = total / product
    rest = low - product_error(quotient, product, total) - quotient * product_low
    return quotient + rest / product


@inlined
def _contrast(
    a: float, A: float, A_low: float, b: float, B: float, B_low: float
) -> tuple[float, float, float, float, float, float]:
    """Return p = a B, q = b A and p - q, to the last place despite cancellation."""
    p, q = a * B, b * A
    p_low, q_low = product_error(a, B, p), product_error(b, A, q)
    p_rest, q_rest = a * B_low, b * A_low
    if abs(p - q) > _FAR * p:
        high, error = _two_sum(p, -q)
        error += (p_low - q_low) + (p_rest - q_rest)
        high, low = _two_sum(high, error)
        return p, p_low + p_rest, q, q_low + q_rest, high, low
    rest = product_error(a, B_low, p_rest) - product_error(b, A_low, q_rest)
    high, error = _two_sum(p, -q)
    middle, middle_error = _two_sum(p_low, -q_low)
    low, low_error = _two_sum(p_rest, -q_rest)
    rest += error + (middle_error + low_error)
    high, error = _two_sum(high, middle)
    high, low_error = _two_sum(high, low)
    high, low = _two_sum(high, error + low_error + rest)
    return p, p_low + p_rest, q, q_low + q_rest, high, low


@inlined
def _log(x: float, table: np.ndarray) -> tuple[float, float]:
    """Return log(x), as `otdist.divergences.double_double.log` does."""
    mantissa, exponent = math.frexp(x)
    k = int(256.0 * mantissa + 0.5)
    product = mantissa * table[0, k]
    r = product - 1.0
    series = -1 / 8 + r * (1 / 9)
    series = -1 / 6 + r * (1 / 7 + r * series)
    series = -1 / 4 + r * (1 / 5 + r * series)
    series = r * r * (-1 / 2 + r * (1 / 3 + r * series))
    error = product_error(mantissa, table[0, k], product)
    high, low = _two_sum(table[1, k], r)
    low += table[2, k] + (error + (series + exponent * _LOG_2_LOW))
    high, error = _two_sum(exponent * _LOG_2_HIGH, high)
    return high, low + error


@inlined
def _ratio(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """Return a / b."""
    inverse = 1.0 / b
    ratio = a * inverse
    return ratio, (a_low - product_error(ratio, b, a) - ratio * b_low) * inverse


@fusing_inner
def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """Return the value at x of 14 coefficients, the highest power first.

    Fusing products with sums is allowed here only: elsewhere it would void error terms.
    """
    square = x * x
    odd, even = coefficients[0], coefficients[1]
    for k in range(1, 7):
        odd = odd * square + coefficients[2 * k]
        even = even * square + coefficients[2 * k + 1]
    return even + odd * x


@inner
def _kl_term(
    p: float,
    p_low: float,
    q: float,
    q_low: float,
    difference: float,
    difference_low: float,
    table: np.ndarray,
) -> tuple[float, float]:
    """Return p log(p/q) - p + q."""
    if p == 0.0:
        return q, q_low
    together, error = _two_sum(p, q)
    t, t_low = _ratio(difference, difference_low, together, error + p_low + q_low)
    square = t * t
    if square <= _NEAR:
        series = _polynomial(_ATANH, square)
        high = difference * t
        low = product_error(difference, t, high) + difference_low * t
        low += difference * t_low
        return high, low + high * ((1.0 + t) * t * series)
    ratio, ratio_low = _ratio(p, p_low, q, q_low)
    log, log_low = _log(ratio, table)
    product = p * log
    low = product_error(p, log, product) + p * (log_low + ratio_low / ratio)
    high, error = _two_sum(product, -difference)
    return high, error + (low + p_low * log - difference_low)


@inner
def _js_term(
    p: float,
    p_low: float,
    q: float,
    q_low: float,
    difference: float,
    difference_low: float,
    table: np.ndarray,
) -> tuple[float, float]:
    """Return (p + q) ((1+t) log1p(t) + (1-t) log1p(-t)) / 2."""
    together, error = _two_sum(p, q)
    together_low = error + p_low + q_low
    t, t_low = _ratio(difference, difference_low, together, together_low)
    square = t * t
    if square <= _NEAR:
        series = _polynomial(_JS, square)
        high = difference * t
        low = product_error(difference, t, high) + difference_low * t
        low += difference * t_low
        return 0.5 * high, 0.5 * low + high * (square * series)
    above, above_low = _x_log_x(t, t_low, table)
    below, below_low = _x_log_x(-t, -t_low, table)
    logs, error = _two_sum(above, below)
    high = 0.5 * together * logs
    low = together * (error + above_low + below_low) + together_low * logs
    return high, product_error(0.5 * together, logs, high) + 0.5 * low


@inlined
def _x_log_x(t: float, t_low: float, table: np.ndarray) -> tuple[float, float]:
    """Return x log x for x = 1 + t; 0 at x = 0."""
    x, error = _two_sum(1.0, t)
    x, low = _two_sum(x, error + t_low)
    if x <= 0.0:
        return 0.0, 0.0
    log, log_low = _log(x, table)
    high = x * log
    return high, product_error(x, log, high) + (low * log + (x * log_low + low))


@kernel
def kl_lanes(
    p: np.ndarray,
    q: np.ndarray,
    tolerance: float,
    table: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write KL of each row of ``(lanes, k)`` in nats, or NaN for lanes left to NumPy.

    `tolerance` is that of sums, inf for any sum; `table` is `log_table`.
    """
    for lane in range(p.shape[0]):
        a, b = p[lane], q[lane]
        is_good, A, A_low, B, B_low = _sums(a, b, tolerance)
        if not is_good:
            out[lane] = np.nan
            continue
        high, low, finite = 0.0, 0.0, True
        for i in range(a.size):
            if b[i] == 0.0:
                finite &= a[i] == 0.0
                continue
            P, P_low, Q, Q_low, difference, difference_low = _contrast(
                a[i], A, A_low, b[i], B, B_low
            )
            term, term_low = _kl_term(P, P_low, Q, Q_low, difference, difference_low, table)
            high, error = _two_sum(high, term)
            low += error + term_low
        value = _quotient(high, low, A, A_low, B, B_low)
        out[lane] = value if finite else np.inf


@kernel
def js_lanes(
    p: np.ndarray,
    q: np.ndarray,
    tolerance: float,
    table: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write JS of each row; see `kl_lanes`."""
    for lane in range(p.shape[0]):
        a, b = p[lane], q[lane]
        is_good, A, A_low, B, B_low = _sums(a, b, tolerance)
        if not is_good:
            out[lane] = np.nan
            continue
        high, low, disjoint = 0.0, 0.0, True
        for i in range(a.size):
            if a[i] + b[i] == 0.0:
                continue
            disjoint &= (a[i] == 0.0) | (b[i] == 0.0)
            P, P_low, Q, Q_low, difference, difference_low = _contrast(
                a[i], A, A_low, b[i], B, B_low
            )
            term, term_low = _js_term(P, P_low, Q, Q_low, difference, difference_low, table)
            high, error = _two_sum(high, term)
            low += error + term_low
        value = 0.5 * _quotient(high, low, A, A_low, B, B_low)
        out[lane] = _LOG_2 if disjoint else min(value, _LOG_2)
