"""Divergences of many pairs of histograms, without temporary arrays.

Each divergence is a sum of terms >= 0 that lose no digits: p - q is ``(a B - b A) / (A B)`` for
weights a, b with sums A, B, and the rounding errors of both products are kept. JS of histograms
that are far apart is a difference of sums of logarithms instead: a pair then takes one logarithm
for each bin, as all pairs of rows share the sums of single rows. Loops over bins have no
branches, so that the compiler turns them into vector instructions. Histograms that are invalid,
or whose weights differ too much in size, and pairs that differ by little more than rounding get
NaN and are left to NumPy, so that inputs need no validation.
"""

import math

import numpy as np

from otdist.compiled.simd import product_error
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can only be called by kernels, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
called = njit(**_INNER)
inner = njit(**_INNER, forceinline=True)
# Products may be fused with sums only where no error term depends on their rounding, and
# sums reordered only where they are sums of many terms.
fusing = njit(**_INNER, forceinline=True, fastmath={"contract"})
summing = njit(**_INNER, fastmath={"reassoc"})

#: Numbers of the divergences; `JS_DISTANCE` is the root of `JS`.
KL, JS, JS_DISTANCE, TOTAL_VARIATION, HELLINGER, CHI2 = range(6)
# What sums of terms are multiplied with.
_FACTORS = (1.0, 0.25, 0.25, 0.5, 0.5, 1.0)

# Bins summed without keeping rounding errors; for JS, logarithms are left out where all are near.
_BLOCK = 64
# Bins that are left when whole vectors are done are summed one by one, as are few bins: sums of
# vectors have less rounding errors than sums of as many numbers in a row.
_LANES = 16
# Weights above the least one and sums in this range keep products, their errors, and ratios
# in the range of floats.
_LEAST, _LEAST_SUM, _MOST_SUM = 2.0**-700, 2.0**-100, 2.0**100
# KL and JS below come from differences of a few units in 2**-106, the error of p - q.
_NEAREST = 2.0**-96
# Twice the total variation from which JS, which is at least half of its square, is a difference
# of sums of logarithms that are off by 2**-59.
_FAR_APART = 0.25
_LOG_2 = math.log(2.0)
_MINUS_1_LOG_2 = -1.0 - _LOG_2
_LOG_2_REST = float.fromhex("0x1.abc9e3b39803fp-56")
_LOG_2_HIGH = float.fromhex("0x1.62e42fefa38p-1")  # exact times an exponent
_LOG_2_LOW = float.fromhex("0x1.ef35793c7673p-45")
_ROOT_HALF_BITS = np.int64(0x3FE6A09E00000000)  # bits of sqrt(1/2), about
_FRACTION = np.int64((1 << 52) - 1)
_NEAR = 0.25  # of t**2, for t = (p - q)/(p + q)
# Chebyshev fits over [0, _NEAR], relative error below 6e-17, of (atanh(t)/t - 1)/t**2
# and of (((1+t) log1p(t) + (1-t) log1p(-t)) / t**2 - 1) / t**2, in powers of t**2.
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
    0.01250035058695434,
    -0.007708363582568005,
    0.00849250629452746,
    0.001863274424151117,
    0.004711705586281205,
    0.005205648830324874,
    0.00654197507314648,
    0.008332896175902696,
    0.01098903239878654,
    0.015151514474963159,
    0.02222222223498661,
    0.0357142857141604,
    0.06666666666666715,
    0.16666666666666666,
)
# Fits of S in (2 - u) log(2 - u) = 2 log 2 - u (1 + log 2) + u**2 S(u) over [0, 1/2], and of
# 2 (atanh(s)/s - 1)/s**2 in powers of s**2 for the s of numbers between sqrt(1/2) and sqrt(2).
_JS_FAR = (
    1.5743863075988676e-06,
    -1.9340526045543456e-06,
    4.289310281817384e-06,
    1.9286663009036334e-06,
    9.647755873922482e-06,
    2.1470009982297242e-05,
    5.4301970444040984e-05,
    0.00013950189376255582,
    0.0003720244985660117,
    0.0010416666231198035,
    0.00312500000164316,
    0.010416666666634404,
    0.041666666666666914,
    0.25,
)
_LOG = (
    0.13086626147840102,
    0.13268773138656886,
    0.15386239702814658,
    0.18181795640132906,
    0.22222222391713917,
    0.28571428570803614,
    0.4000000000000088,
    0.6666666666666666,
)


@inner
def _two_sum(a: float, b: float) -> tuple[float, float]:
    """Return a + b exactly (Knuth)."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


@fusing
def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """Return the value at x of evenly many coefficients, the highest power first."""
    square = x * x
    odd, even = coefficients[0], coefficients[1]
    for k in range(1, len(coefficients) // 2):
        odd = odd * square + coefficients[2 * k]
        even = even * square + coefficients[2 * k + 1]
    return even + odd * x


@fusing
def _log(x: float) -> tuple[float, float]:
    """Return log(x) of a normal number as high + low, to 2**-60, and of 0 some finite number.

    With f = m - 1, which is exact, and s = f/(2 + f) the logarithm of the mantissa m is 2 s +
    s**3 (2/3 + ...) = f - s f + s**3 (2/3 + ...).
    """
    bits = np.float64(x).view(np.int64)
    exponent = (bits - _ROOT_HALF_BITS) >> np.int64(52)
    mantissa = np.int64(bits - (exponent << np.int64(52))).view(np.float64)
    f = mantissa - 1.0
    above = 2.0 + f
    inverse = 1.0 / above
    s = f * inverse
    s_low = -(product_error(s, above, f) + s * (f - (above - 2.0))) * inverse
    square = s * s
    bend = s * f
    bend_low = product_error(s, f, bend) + s_low * (f - 2.0 * square)
    bend_low -= s * (square * _polynomial(_LOG, square))
    # The exponent is far below 2**51: this conversion has a vector instruction everywhere.
    count = np.float64(exponent)
    high, error = _two_sum(count * _LOG_2_HIGH, f)
    high, bend_error = _two_sum(high, -bend)
    return high, (count * _LOG_2_LOW - bend_low) + (error + bend_error)


@fusing
def _contrast(
    a: float, A: float, A_low: float, b: float, B: float, B_low: float
) -> tuple[float, float, float, float, float, float]:
    """Return p = a B, q = b A and p - q as high + low, precise where they are nearly equal."""
    p, q = a * B, b * A
    p_low = product_error(a, B, p) + a * B_low
    q_low = product_error(b, A, q) + b * A_low
    high, error = _two_sum(p, -q)
    high, low = _two_sum(high, error + (p_low - q_low))
    return p, p_low, q, q_low, high, low


@fusing
def _square_part(
    p: float, p_low: float, q: float, q_low: float, high: float, low: float
) -> tuple[float, float, float, float, float]:
    """Return p + q, t = (p - q)/(p + q), 0 if both are 0, and (p - q) t as high + low."""
    together, error = _two_sum(p, q)
    inverse = 1.0 / (together if together > 0.0 else 1.0)
    t = high * inverse
    rest = low - product_error(t, together, high) - t * (error + (p_low + q_low))
    t_low = rest * inverse
    square = high * t
    return together, t, t_low, square, product_error(high, t, square) + (high * t_low + low * t)


@fusing
def _kl_term(
    p: float, p_low: float, q: float, q_low: float, difference: float, difference_low: float
) -> float:
    """Return p log(p/q) - p + q; q where p = 0, and inf where q = 0 < p."""
    _, t, _, near, near_low = _square_part(p, p_low, q, q_low, difference, difference_low)
    near += near_low + near * ((1.0 + t) * t * _polynomial(_ATANH, t * t))
    is_shared = (p > 0.0) & (q > 0.0)
    own, other = (p if is_shared else 1.0), (q if is_shared else 1.0)
    ratio = own / other
    log, log_low = _log(ratio)
    log_low += (p_low - product_error(ratio, other, own) - ratio * q_low) / own
    product = p * log
    far, error = _two_sum(product, -difference)
    error += product_error(p, log, product) - difference_low
    far += error + (p * log_low + p_low * log)
    alone = q if p == 0.0 else math.inf
    far = far if is_shared else alone
    return near if t * t <= _NEAR else far


@fusing
def _near_js_term(
    p: float, p_low: float, q: float, q_low: float, difference: float, difference_low: float
) -> tuple[float, float, float, float]:
    """Return `_js_term` where t**2 <= _NEAR, and p + q and t of `_square_part`."""
    together, t, t_low, near, near_low = _square_part(
        p, p_low, q, q_low, difference, difference_low
    )
    square = t * t
    near += near_low + near * (square * _polynomial(_JS, square))
    return near, together, t, t_low


@fusing
def _js_term(
    p: float, p_low: float, q: float, q_low: float, difference: float, difference_low: float
) -> float:
    """Return 2 p log(p/m) + 2 q log(q/m) for m = (p + q)/2."""
    near, together, t, t_low = _near_js_term(p, p_low, q, q_low, difference, difference_low)
    # With u = 1 - |t| the term over p + q is (2 - u) log(2 - u) + u log u.
    u = 1.0 - abs(t)
    u_low = -t_low if t > 0.0 else t_low
    log, log_low = _log(u if u > 0.0 else 1.0)
    inner, error = _two_sum(log, _MINUS_1_LOG_2)
    error += log_low + u * _polynomial(_JS_FAR, u)
    product = u * inner
    far, far_error = _two_sum(2.0 * _LOG_2, product)
    # The derivative, log u - log(2 - u), is needed to a few digits only.
    far_error += product_error(u, inner, product) + u * error + u_low * (log - _LOG_2 + 0.5 * u)
    far = together * far + together * (far_error + 2.0 * _LOG_2_REST)
    return near if t * t <= _NEAR else far


@fusing
def _log_term(p: float, p_low: float, q: float, q_low: float) -> tuple[float, float]:
    """Return (p + q) log(p + q) as high + low."""
    together, error = _two_sum(p, q)
    log, log_low = _log(together)
    product = together * log
    low = together * log_low + (error + (p_low + q_low)) * (1.0 + log)
    return product, product_error(together, log, product) + low


@fusing
def _hellinger_term(p: float, q: float, difference: float) -> float:
    """Return (sqrt(p) - sqrt(q))**2."""
    together = math.sqrt(p) + math.sqrt(q)
    root = difference / (together if together > 0.0 else 1.0)
    return root * root


@fusing
def _chi2_term(q: float, q_low: float, difference: float, difference_low: float) -> float:
    """Return (p - q)**2 / q for q > 0."""
    inverse = 1.0 / q
    ratio = difference * inverse
    ratio_low = (difference_low - product_error(ratio, q, difference) - ratio * q_low) * inverse
    term = difference * ratio
    low = difference * ratio_low + difference_low * ratio
    return term + (product_error(difference, ratio, term) + low)


@summing
def _kl_block(
    a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float, i: int, j: int
) -> float:
    """Return the sum of the terms of KL of the bins from i to j."""
    total = 0.0
    for k in range(i, j):
        p, p_low, q, q_low, high, low = _contrast(a[k], A, A_low, b[k], B, B_low)
        total += _kl_term(p, p_low, q, q_low, high, low)
    return total


@summing
def _near_js_block(
    a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float, i: int, j: int
) -> tuple[float, int]:
    """Return `_js_block` as it is without far bins, and how many bins are far."""
    total, n_far = 0.0, 0
    for k in range(i, j):
        p, p_low, q, q_low, high, low = _contrast(a[k], A, A_low, b[k], B, B_low)
        term, _, t, _ = _near_js_term(p, p_low, q, q_low, high, low)
        total += term
        n_far += t * t > _NEAR
    return total, n_far


@summing
def _js_block(
    a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float, i: int, j: int
) -> float:
    total = 0.0
    for k in range(i, j):
        p, p_low, q, q_low, high, low = _contrast(a[k], A, A_low, b[k], B, B_low)
        total += _js_term(p, p_low, q, q_low, high, low)
    return total


@summing
def _total_variation_block(
    a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float, i: int, j: int
) -> float:
    total = 0.0
    for k in range(i, j):
        _, _, _, _, high, _ = _contrast(a[k], A, A_low, b[k], B, B_low)
        total += abs(high)
    return total


@summing
def _distance(a: np.ndarray, A: float, b: np.ndarray, B: float) -> float:
    """Return the sum of the |p - q| of all bins, rounded."""
    total = 0.0
    for k in range(a.size):
        total += abs(a[k] * B - b[k] * A)
    return total


@summing
def _hellinger_block(
    a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float, i: int, j: int
) -> float:
    total = 0.0
    for k in range(i, j):
        p, _, q, _, high, _ = _contrast(a[k], A, A_low, b[k], B, B_low)
        total += _hellinger_term(p, q, high)
    return total


@summing
def _chi2_block(
    a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float, i: int, j: int
) -> float:
    total = 0.0
    for k in range(i, j):
        p, _, q, q_low, high, low = _contrast(a[k], A, A_low, b[k], B, B_low)
        alone = 0.0 if p == 0.0 else math.inf
        total += _chi2_term(q if q > 0.0 else 1.0, q_low, high, low) if q > 0.0 else alone
    return total


@summing
def _plain_sum(weights: np.ndarray) -> tuple[float, int]:
    """Return the sum, rounded, and how many weights are neither 0 nor large enough."""
    total, n_bad = 0.0, 0
    for i in range(weights.size):
        weight = weights[i]
        total += weight
        n_bad += (weight < _LEAST) & (weight != 0.0)
    return total, n_bad


@inner
def _parts(weight: float, unit: float) -> tuple[float, float]:
    """Return a weight as a multiple of ``unit * 2**-52`` and the rest, exactly (Rump)."""
    high = (weight + unit) - unit
    return high, weight - high


@summing
def _split_sum(weights: np.ndarray, unit: float) -> tuple[float, float]:
    """Return the sum of high parts, which is exact in any order, and that of the rests."""
    high_sum, low_sum = 0.0, 0.0
    for i in range(weights.size):
        high, low = _parts(weights[i], unit)
        high_sum += high
        low_sum += low
    return high_sum, low_sum


@inner
def _sum(weights: np.ndarray, tolerance: float) -> tuple[float, float]:
    """Return the sum as high + low, NaN for a histogram left to NumPy."""
    about, n_bad = _plain_sum(weights)
    is_good = n_bad == 0 and _LEAST_SUM <= about <= _MOST_SUM
    unit = 2.0 ** math.ceil(math.log2(about) + 2.0) if is_good else np.nan
    high, low = _two_sum(*_split_sum(weights, unit))
    return (high if abs(high - 1.0) <= tolerance else np.nan), low


@summing
def _log_sum(
    a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float, unit: float
) -> tuple[float, float]:
    """Return the sum of the (p + q) log(p + q) of all bins, in parts as `_split_sum` does."""
    high_sum, low_sum = 0.0, 0.0
    for k in range(a.size):
        p, p_low, q, q_low, _, _ = _contrast(a[k], A, A_low, b[k], B, B_low)
        term, term_low = _log_term(p, p_low, q, q_low)
        high, low = _parts(term, unit)
        high_sum += high
        low_sum += low + term_low
    return high_sum, low_sum


@summing
def _meeting(a: np.ndarray, b: np.ndarray) -> tuple[int, int, int]:
    """Count the bins with a > 0 = b, with a > 0 and b > 0, and with a != b."""
    n_escaped, n_shared, n_apart = 0, 0, 0
    for k in range(a.size):
        n_escaped += (a[k] > 0.0) & (b[k] == 0.0)
        n_shared += (a[k] > 0.0) & (b[k] > 0.0)
        n_apart += a[k] != b[k]
    return n_escaped, n_shared, n_apart


@inner
def _sum_of_terms(
    kind: int, a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float
) -> tuple[float, float]:
    """Return the sum of the terms of all bins as high + low, times A B."""
    high, low = 0.0, 0.0
    n_whole = a.size - a.size % _LANES
    i = 0
    while i < a.size:
        j = min(i + _BLOCK, n_whole) if i < n_whole else i + 1
        if kind == KL:
            part = _kl_block(a, A, A_low, b, B, B_low, i, j)
        elif kind in (JS, JS_DISTANCE):
            part, n_far = _near_js_block(a, A, A_low, b, B, B_low, i, j)
            if n_far > 0:
                part = _js_block(a, A, A_low, b, B, B_low, i, j)
        elif kind == TOTAL_VARIATION:
            part = _total_variation_block(a, A, A_low, b, B, B_low, i, j)
        elif kind == HELLINGER:
            part = _hellinger_block(a, A, A_low, b, B, B_low, i, j)
        else:
            part = _chi2_block(a, A, A_low, b, B, B_low, i, j)
        high, error = _two_sum(high, part)
        low += error
        i = j
    return high, low


@inner
def _finished(kind: int, value: float, a: np.ndarray, b: np.ndarray) -> float:
    """Return the value once its limits are exact, or NaN if it is left to NumPy."""
    is_bounded = kind != KL and kind != CHI2
    bound = _LOG_2 if kind in (JS, JS_DISTANCE) else 1.0
    nearest = math.sqrt(_NEAREST) if kind == TOTAL_VARIATION else _NEAREST
    if not nearest <= value < math.inf or (is_bounded and value >= bound - 2.0**-48):
        n_escaped, n_shared, n_apart = _meeting(a, b)
        if value < nearest:
            value = 0.0 if n_apart == 0 else np.nan
        elif is_bounded:
            value = bound if n_shared == 0 else min(value, bound)
        else:
            value = math.inf if n_escaped > 0 else np.nan
    return math.sqrt(value) if kind in (JS_DISTANCE, HELLINGER) else value


@inner
def _over_sums(
    high: float, low: float, A: float, A_low: float, B: float, B_low: float
) -> tuple[float, float]:
    """Return a number over A B as high + low."""
    product = A * B
    product_low = product_error(A, B, product) + (A * B_low + A_low * B)
    value = high / product
    rest = low - product_error(value, product, high) - value * product_low
    return value, rest / product if value < math.inf else 0.0


@called
def _logs(
    a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float
) -> tuple[float, float]:
    """Return the sum of the (p + q) log(p + q) of all bins, over A B, as high + low."""
    unit = 2.0 ** (math.ceil(math.log2(A * B)) + 12.0)  # above 2 A B times any logarithm
    high, low = _two_sum(*_log_sum(a, A, A_low, b, B, B_low, unit))
    return _over_sums(high, low, A, A_low, B, B_low)


@inner
def _sums(weights: np.ndarray, tolerance: float, has_logs: bool) -> tuple[float, ...]:
    """Return the sum and, if wanted, the `_logs` of a histogram with itself, as high + low.

    The first is NaN for a histogram left to NumPy, the second if it is not known.
    """
    high, low = _sum(weights, tolerance)
    logs, logs_low = np.nan, np.nan
    if has_logs and not math.isnan(high):
        logs, logs_low = _logs(weights, high, low, weights, high, low)
    return high, low, logs, logs_low


@called
def _of_terms(
    kind: int, a: np.ndarray, A: float, A_low: float, b: np.ndarray, B: float, B_low: float
) -> float:
    """Return a divergence, or its square, as a sum of terms that lose no digits."""
    high, low = _sum_of_terms(kind, a, A, A_low, b, B, B_low)
    value, rest = _over_sums(high, low, A, A_low, B, B_low)
    return (value + rest) * _FACTORS[kind]


@called
def _of_logs(
    a: np.ndarray, a_sums: tuple[float, ...], b: np.ndarray, b_sums: tuple[float, ...]
) -> float:
    """Return JS as (L(p, p) + L(q, q) - 2 L(p, q))/4, with the sums L of `_logs`."""
    A, A_low, a_logs, a_low = a_sums
    B, B_low, b_logs, b_low = b_sums
    if math.isnan(a_logs):
        a_logs, a_low = _logs(a, A, A_low, a, A, A_low)
    if math.isnan(b_logs):
        b_logs, b_low = _logs(b, B, B_low, b, B, B_low)
    logs, low = _logs(a, A, A_low, b, B, B_low)
    high, error = _two_sum(a_logs, b_logs)
    high, rest = _two_sum(high, -2.0 * logs)
    return 0.25 * (high + ((error + rest) + ((a_low + b_low) - 2.0 * low)))


@inner
def _of_pair(
    kind: int, a: np.ndarray, a_sums: tuple[float, ...], b: np.ndarray, b_sums: tuple[float, ...]
) -> float:
    """Return a divergence, or NaN if it is left to NumPy, from the `_sums` of both."""
    A, A_low, _, _ = a_sums
    B, B_low, _, _ = b_sums
    if math.isnan(A) or math.isnan(B):
        return np.nan
    if kind in (JS, JS_DISTANCE) and _distance(a, A, b, B) >= _FAR_APART * (A * B):
        value = _of_logs(a, a_sums, b, b_sums)
    else:
        value = _of_terms(kind, a, A, A_low, b, B, B_low)
    return _finished(kind, value, a, b)


@kernel
def of_one(
    kind: int, p: np.ndarray, p_tolerance: float, q: np.ndarray, q_tolerance: float
) -> float:
    """Return a divergence of two histograms, or NaN if it is left to NumPy.

    Sums must be 1 within a tolerance, which is inf for any sum.
    """
    return _of_pair(kind, p, _sums(p, p_tolerance, False), q, _sums(q, q_tolerance, False))


@kernel
def sum_rows(rows: np.ndarray, tolerance: float, has_logs: bool, out: np.ndarray) -> None:
    """Write the `_sums` of each row."""
    for row in range(rows.shape[0]):
        sums = _sums(rows[row], tolerance, has_logs)
        for k in range(4):
            out[row, k] = sums[k]


@kernel
def of_pairs(
    kind: int,
    p: np.ndarray,
    p_sums: np.ndarray,
    q: np.ndarray,
    q_sums: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write a divergence of each pair of ``p[first[k]]`` and ``q[second[k]]``; see `of_one`."""
    for k in range(out.size):
        i, j = first[k], second[k]
        a_sums = p_sums[i, 0], p_sums[i, 1], p_sums[i, 2], p_sums[i, 3]
        b_sums = q_sums[j, 0], q_sums[j, 1], q_sums[j, 2], q_sums[j, 3]
        out[k] = _of_pair(kind, p[i], a_sums, q[j], b_sums)
