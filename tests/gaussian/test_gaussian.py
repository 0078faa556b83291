"""Normal distributions: published values, quadrature, matrix formulas, invariance, messages."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.linalg import sqrtm
from scipy.stats import norm

import otdist
from otdist import InputError, NotCertifiedError, gaussian

LOG_2 = math.log(2.0)
ALL = [
    gaussian.kl_divergence,
    gaussian.js_divergence,
    gaussian.total_variation,
    gaussian.hellinger_distance,
    gaussian.chi2_divergence,
    lambda *pair: gaussian.renyi_divergence(*pair, 0.3),
    lambda *pair: gaussian.renyi_divergence(*pair, 1.7),
    lambda *pair: gaussian.wasserstein_distance(*pair, p=2),
]
EACH = pytest.mark.parametrize("function", ALL)
IN_SPACE = [f for f in ALL if f not in (ALL[1], ALL[2])]


def covariances(rng, d, number=2):
    roots = rng.standard_normal((number, d, d)) + 2 * np.eye(d)
    return roots @ np.swapaxes(roots, 1, 2)


@pytest.mark.parametrize(
    "gap, js, tv, square",
    [
        (0.1, 0.0012484401, 0.0398776, 0.00124922),
        (0.5, 0.0303113005, 0.1974127, 0.03076677),
        (1, 0.1114214822, 0.3829249, 0.11750310),
        (2, 0.3368308204, 0.6826895, 0.39346934),
        (3, 0.5267773065, 0.8663856, 0.67534753),
        (4, 0.6327201938, 0.9544997, 0.86466472),
        (6, 0.6892979331, 0.9973002, 0.98889100),
        (8, 0.6930536455, 0.9999367, 0.99966454),
    ],
)
def test_translates(gap, js, tv, square):
    pair = (0, 1, gap, 1)
    assert gaussian.js_divergence(*pair) == pytest.approx(js, abs=1.1e-10)
    assert gaussian.total_variation(*pair) == pytest.approx(tv, abs=6e-8)
    assert gaussian.total_variation(*pair) == pytest.approx(2 * norm.cdf(gap / 2) - 1)
    assert gaussian.hellinger_distance(*pair) ** 2 == pytest.approx(square, abs=6e-9)
    assert gaussian.kl_divergence(*pair) == pytest.approx(gap**2 / 2, rel=1e-15)
    expected = math.expm1(gap**2)
    assert gaussian.chi2_divergence(*pair) == pytest.approx(expected, rel=2e-14)
    for order in (0.5, 3.0):
        value = gaussian.renyi_divergence(*pair, order)
        assert value == pytest.approx(order * gap**2 / 2, rel=1e-15)
    for p in (1, 2):
        assert gaussian.wasserstein_distance(*pair, p=p) == pytest.approx(gap)


def test_published_values_of_unequal_variances():
    assert gaussian.kl_divergence(0, 1, 0, 4) == pytest.approx(0.3181471806, abs=6e-11)
    assert gaussian.js_divergence(0, 1, 0, 4) == pytest.approx(0.0927333817, abs=6e-11)
    tv = gaussian.total_variation(0, 1, 0, 4)
    assert tv == pytest.approx(0.3226745688, abs=6e-11)
    w1 = gaussian.wasserstein_distance(0, 1, 0, 4)
    assert w1 == pytest.approx(math.sqrt(2 / math.pi), rel=1e-15)
    assert gaussian.kl_divergence(0, 1, 1, 4) == pytest.approx(0.4431471806, abs=6e-11)
    assert gaussian.js_divergence(0, 1, 1, 4) == pytest.approx(0.1281749731, abs=6e-11)
    w1 = gaussian.wasserstein_distance(0, 1, 1, 4)
    assert w1 == pytest.approx(1.1666309412, abs=6e-11)


LINES = [(0.3, 1.0, 0.0, 0.25), (0.0, 1.0, 0.0, 1.44), (1.0, 2.0, -1.0, 3.0)]


@pytest.mark.parametrize("pair", LINES)
@pytest.mark.parametrize("swap", [False, True])
def test_each_is_its_integral(pair, swap):
    m1, c1, m2, c2 = pair[2:] + pair[:2] if swap else pair
    pair = (m1, c1, m2, c2)
    p, q = norm(m1, math.sqrt(c1)), norm(m2, math.sqrt(c2))

    def integral(f):
        return quad(lambda x: f(p.pdf(x), q.pdf(x)), -12, 12, limit=400)[0]

    kl = integral(lambda a, b: a * math.log(a / b))
    assert gaussian.kl_divergence(*pair) == pytest.approx(kl, rel=1e-8)
    tv = integral(lambda a, b: abs(a - b) / 2)
    assert gaussian.total_variation(*pair) == pytest.approx(tv, rel=1e-7)
    square = integral(lambda a, b: (math.sqrt(a) - math.sqrt(b)) ** 2 / 2)
    assert gaussian.hellinger_distance(*pair) ** 2 == pytest.approx(square, rel=1e-8)
    for order in (0.3, 0.9999, 1.0001, 1.2):
        total = integral(lambda a, b, r=order: a**r * b ** (1 - r))
        value = gaussian.renyi_divergence(*pair, order)
        assert value == pytest.approx(math.log(total) / (order - 1), rel=1e-5)
    w1 = quad(lambda x: abs(p.cdf(x) - q.cdf(x)), -12, 12, limit=400)[0]
    assert gaussian.wasserstein_distance(*pair) == pytest.approx(w1, rel=1e-7)
    w2 = quad(lambda u: (p.ppf(u) - q.ppf(u)) ** 2, 0, 1, limit=400)[0]
    value = gaussian.wasserstein_distance(*pair, p=2)
    assert value**2 == pytest.approx(w2, rel=1e-5)
    if c2 > c1:  # else the integrand reaches beyond 12
        chi2 = integral(lambda a, b: (a - b) ** 2 / b)
        assert gaussian.chi2_divergence(*pair) == pytest.approx(chi2, rel=1e-8)


def exact_js(gap, variance):
    """Integrate the definition in 30 digits."""
    with mpmath.workdps(30):
        gap, scale = mpmath.mpf(gap), mpmath.sqrt(mpmath.mpf(variance))

        def integrand(x):
            a, b = mpmath.npdf(x, gap, scale), mpmath.npdf(x)
            mean = (a + b) / 2
            return (a * mpmath.log(a / mean) + b * mpmath.log(b / mean)) / 2

        low, high = min(-13, gap - 13 * scale), max(13, gap + 13 * scale)
        knots = sorted([low, -4, -1, 0, gap / 2, gap, gap + 2 * scale, high])
        return float(mpmath.quad(integrand, knots, maxdegree=8))


@pytest.mark.parametrize("gap, variance", [(2, 1), (0.01, 1), (7, 1), (1, 4), (0, 0.01)])
def test_js_beside_30_digits(gap, variance):
    value = gaussian.js_divergence(gap, variance, 0, 1)
    assert value == pytest.approx(exact_js(gap, variance), rel=1e-13)
    assert gaussian.js_divergence(0, 1, gap, variance) == pytest.approx(value, rel=1e-13)


def test_a_quadrature_that_fails_is_no_number(monkeypatch):
    monkeypatch.setattr("scipy.integrate.quad", lambda *_, **__: (0.02, 1e-9))
    with pytest.raises(
        NotCertifiedError,
        match=r"quadrature gave 0\.\d+ with an error up to .*, above 1e-10 relative",
    ):
        gaussian.js_divergence(0, 1, 1, 1)


def test_matrix_formulas():
    rng = np.random.default_rng(0)
    for d in (1, 2, 5):
        C1, C2 = covariances(rng, d)
        m1, m2 = rng.standard_normal((2, d))
        inverse, gap = np.linalg.inv(C2), m1 - m2
        log_det = np.linalg.slogdet(C2)[1] - np.linalg.slogdet(C1)[1]
        kl = 0.5 * (np.trace(inverse @ C1) - d + gap @ inverse @ gap + log_det)
        assert gaussian.kl_divergence(m1, C1, m2, C2) == pytest.approx(kl, rel=1e-12)
        for order in (0.0, 0.2, 0.5, 0.9, 1.1, 1.5):
            value = gaussian.renyi_divergence(m1, C1, m2, C2, order)
            mixed = (1 - order) * C1 + order * C2
            if np.linalg.eigvalsh(mixed)[0] <= 0:
                assert value == math.inf
                continue
            logs = [np.linalg.slogdet(C)[1] for C in (mixed, C1, C2)]
            logs = logs[0] - (1 - order) * logs[1] - order * logs[2]
            expected = order * gap @ np.linalg.solve(mixed, gap) / 2
            expected -= logs / (2 * (order - 1))
            assert value == pytest.approx(expected, rel=1e-11, abs=1e-13)
        root = sqrtm(C1)
        bures = np.trace(C1 + C2 - 2 * sqrtm(root @ C2 @ root)).real
        w2 = gaussian.wasserstein_distance(m1, C1, m2, C2, p=2)
        assert w2**2 == pytest.approx(gap @ gap + bures, rel=1e-12)


def test_hellinger_by_its_formula():
    C1, C2 = covariances(np.random.default_rng(1), 3)
    gap, C = np.array([0.3, -0.2, 0.5]), (C1 + C2) / 2
    det = [np.linalg.det(matrix) for matrix in (C1, C2, C)]
    affinity = (det[0] * det[1]) ** 0.25 / det[2] ** 0.5
    affinity *= math.exp(-gap @ np.linalg.solve(C, gap) / 8)
    value = gaussian.hellinger_distance(gap, C1, np.zeros(3), C2)
    assert value**2 == pytest.approx(1 - affinity, rel=1e-13)


@pytest.mark.parametrize("size", [1e-3, 1e-7, 1e-11])
def test_near_equal_laws_keep_their_digits(size):
    gap, excess = size, 3 * size
    small = (gap, 1 + excess, 0.0, 1.0)
    excess = (1 + excess) - 1  # as it was rounded
    with mpmath.workdps(60):
        s, e = mpmath.mpf(gap), mpmath.mpf(excess)
        kl = (e - mpmath.log1p(e) + s**2) / 2
        half = s**2 / (4 * (1 + e / 2)) + mpmath.log1p(e / 2) - mpmath.log1p(e) / 2
        square = -mpmath.expm1(-half / 2)
    assert gaussian.kl_divergence(*small) == pytest.approx(float(kl), rel=1e-14)
    value = gaussian.renyi_divergence(*small, 0.5)
    assert value == pytest.approx(float(half), rel=1e-14)
    value = gaussian.hellinger_distance(*small)
    assert value == pytest.approx(math.sqrt(float(square)), rel=1e-14)
    step = math.sqrt(1 + excess) - 1
    value = gaussian.wasserstein_distance(*small, p=2)
    assert value == pytest.approx(math.hypot(gap, step), rel=1e-13)
    rng = np.random.default_rng(2)
    [C] = covariances(rng, 4, 1)
    value = gaussian.wasserstein_distance(np.zeros(4), C, np.zeros(4), C, p=2)
    assert value <= 1e-14 * math.sqrt(np.trace(C))  # the trace formula: 1e-7


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_affine_maps_change_no_divergence(seed, d):
    rng = np.random.default_rng(seed)
    C1, C2 = covariances(rng, d)
    m1, m2 = rng.standard_normal((2, d))
    T, shift = rng.standard_normal((d, d)) + 3 * np.eye(d), rng.standard_normal(d)
    moved = [(T @ m + shift, T @ C @ T.T) for m, C in ((m1, C1), (m2, C2))]
    moved = [(m, (C + C.T) / 2) for m, C in moved]
    for function in IN_SPACE[:-1]:
        value = function(m1, C1, m2, C2)
        assert function(*moved[0], *moved[1]) == pytest.approx(value, rel=1e-6)
    # Distances are kept by rotations.
    Q = np.linalg.qr(T)[0]
    turned = [(Q @ m, Q @ C @ Q.T) for m, C in ((m1, C1), (m2, C2))]
    value = gaussian.wasserstein_distance(*turned[0], *turned[1], p=2)
    expected = gaussian.wasserstein_distance(m1, C1, m2, C2, p=2)
    assert value == pytest.approx(expected, rel=1e-12)


def test_equal_covariances_in_space_are_a_shift_on_the_line():
    rng = np.random.default_rng(3)
    [C] = covariances(rng, 3, 1)
    m1, m2 = rng.standard_normal((2, 3))
    gap = math.sqrt((m1 - m2) @ np.linalg.solve(C, m1 - m2))
    for function in (gaussian.js_divergence, gaussian.total_variation):
        value = function(m1, C, m2, C)
        assert value == pytest.approx(function(0, 1, gap, 1), rel=1e-12)
    spread = gaussian.total_variation(np.zeros(2), 4.0, [2.0, 0.0], 4.0)
    assert spread == pytest.approx(gaussian.total_variation(0, 1, 1, 1), rel=1e-14)


def test_products_of_laws_add_up():
    first, second = (0.2, 1.0, 0.0, 2.0), (1.0, 3.0, -0.5, 2.5)
    both = (
        [first[0], second[0]],
        np.diag([first[1], second[1]]),
        [first[2], second[2]],
        np.diag([first[3], second[3]]),
    )
    for function in (gaussian.kl_divergence, ALL[5], ALL[6]):
        expected = function(*first) + function(*second)
        assert function(*both) == pytest.approx(expected, rel=1e-13)
    expected = math.hypot(*(gaussian.wasserstein_distance(*p, p=2) for p in (first, second)))
    assert gaussian.wasserstein_distance(*both, p=2) == pytest.approx(expected)


@EACH
def test_equal_laws_are_at_zero(function):
    C = [[2.0, 0.5], [0.5, 1.0]]
    assert function([1.0, 2.0], C, [1.0, 2.0], C) == pytest.approx(0.0, abs=1e-15)
    assert function(1, 2, 1, 2) == 0.0
    assert function([1.0], [[2.0]], 1, 2) == 0.0


@EACH
def test_histograms_on_a_fine_grid_agree(function):
    x = np.linspace(-12, 12, 4001)
    p, q = norm(0.5, 1).pdf(x), norm(0, math.sqrt(1.5)).pdf(x)
    on_grid = [
        otdist.kl_divergence,
        otdist.js_divergence,
        otdist.total_variation,
        otdist.hellinger_distance,
        otdist.chi2_divergence,
        lambda p, q, **o: otdist.renyi_divergence(p, q, 0.3, **o),
        lambda p, q, **o: otdist.renyi_divergence(p, q, 1.7, **o),
    ]
    pairs = dict(zip(ALL, on_grid, strict=False))
    if function in pairs:
        value = pairs[function](p, q, normalize=True)
        assert value == pytest.approx(function(0.5, 1, 0, 1.5), rel=1e-5)


def test_far_and_thin_distributions():
    assert gaussian.js_divergence(0, 1, 1000, 1) == LOG_2
    assert gaussian.js_divergence(0, 1, 30, 1) == pytest.approx(LOG_2, rel=1e-15)
    assert gaussian.total_variation(0, 1, 1000, 2) == 1.0
    assert gaussian.hellinger_distance(0, 1, 1000, 1) == 1.0
    assert gaussian.chi2_divergence(0, 1, 1000, 1) == math.inf
    assert gaussian.chi2_divergence(0, 2, 0, 1) == math.inf
    assert gaussian.renyi_divergence(0, 3, 0, 1, 1.5) == math.inf
    thin = 1e-20
    expected = 0.5 * (thin - 1 - math.log(thin))
    assert gaussian.kl_divergence(0, thin, 0, 1) == pytest.approx(expected, rel=1e-14)
    assert gaussian.js_divergence(0, thin, 0, 1) == pytest.approx(LOG_2, rel=1e-8)
    # Where densities cross far out, the other root must not be lost.
    near = gaussian.total_variation(0, 1 + 1e-13, 1, 1)
    assert near == pytest.approx(gaussian.total_variation(0, 1, 1, 1), rel=1e-12)
    assert gaussian.wasserstein_distance(0, 1, 1e9, 4) == 1e9


def test_singular_covariances_have_a_distance():
    zero = np.zeros((2, 2))
    assert gaussian.wasserstein_distance([0, 0], 0, [3, 4], 0, p=2) == 5.0
    value = gaussian.wasserstein_distance([0, 0], zero, [0, 0], np.diag([9.0, 16]), p=2)
    assert value == pytest.approx(5.0, rel=1e-15)
    flat, wall = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    value = gaussian.wasserstein_distance([0, 0], flat, [0, 0], wall, p=2)
    assert value == pytest.approx(math.sqrt(2), rel=1e-15)


def exact_spread(C1, C2):
    """Return W_2 of centred distributions in 60 digits; rounding below 0 counts as 0."""
    with mpmath.workdps(60):
        A, B = (mpmath.matrix(C.tolist()) for C in (C1, C2))
        values, axes = mpmath.eigsy(A)
        root = axes * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * axes.T
        product = root * B * root
        middle = mpmath.eigsy((product + product.T) / 2, eigvals_only=True)
        trace = mpmath.fsum(A[i, i] + B[i, i] for i in range(A.rows))
        return mpmath.sqrt(max(trace - 2 * mpmath.fsum(mpmath.sqrt(max(v, 0)) for v in middle), 0))


def ill_conditioned(rng, d, condition):
    """Return a covariance with eigenvalues from 1 to 1/condition."""
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    C = (Q * np.geomspace(1, 1 / condition, d)) @ Q.T
    return (C + C.T) / 2


def allowed_error(C):
    """Return how much rounding may change W_2, as the docstring says."""
    values, e = np.linalg.eigvalsh(C), len(C) * 2.0**-52
    condition = values[-1] / values[0] if values[0] > 0 else INF
    return math.sqrt(values[-1]) * min(math.sqrt(e), e * math.sqrt(condition))


NAN, INF = math.nan, math.inf
CONDITIONS = [1, 1e4, 1e8, 1e12, 1e15, 1e18]


@pytest.mark.parametrize("first", CONDITIONS)
def test_the_error_of_the_distance_is_bounded_by_the_condition(first):
    rng = np.random.default_rng(20)
    for second in CONDITIONS:
        for d, unit in [(2, 1.0), (3, 1.0), (3, 1e-6)]:
            C1, C2 = ill_conditioned(rng, d, first), unit * ill_conditioned(rng, d, second)
            exact, allowed = exact_spread(C1, C2), 2 * (allowed_error(C1) + allowed_error(C2))
            zero = np.zeros(d)
            value = otdist.bures_wasserstein_distance(zero, C1, zero, C2)
            assert abs(value - exact) <= allowed
            for k in (-900, 900):
                scaled = np.ldexp(C1, k), np.ldexp(C2, k)
                moved = otdist.bures_wasserstein_distance(zero, scaled[0], zero, scaled[1])
                assert moved == math.ldexp(value, k // 2)


@pytest.mark.parametrize("condition", CONDITIONS[:-2])
@pytest.mark.parametrize("size", [1e-2, 1e-6, 1e-12])
def test_near_distributions_have_a_relative_error(condition, size):
    rng = np.random.default_rng(21)
    for d in (2, 3):
        C1, K, zero = ill_conditioned(rng, d, condition), rng.standard_normal((d, d)), np.zeros(d)
        T = np.eye(d) + size * (K + K.T)
        C2 = T @ C1 @ T
        C2 = (C2 + C2.T) / 2
        exact = exact_spread(C1, C2)
        value = otdist.bures_wasserstein_distance(zero, C1, zero, C2)
        assert abs(value - exact) <= 8 * d * 2.0**-52 * condition * exact


@pytest.mark.parametrize("condition", CONDITIONS[:-2])
def test_the_error_of_kl_is_bounded_by_the_condition(condition):
    rng = np.random.default_rng(22)
    for d, other in [(2, 1), (3, 1e4), (3, 1e8)]:
        C1, C2 = ill_conditioned(rng, d, condition), ill_conditioned(rng, d, other)
        value = gaussian.kl_divergence(np.zeros(d), C1, np.zeros(d), C2)
        with mpmath.workdps(60):
            A, B = (mpmath.matrix(C.tolist()) for C in (C1, C2))
            product = B**-1 * A
            trace = mpmath.fsum(product[i, i] for i in range(d))
            exact = (trace - d - mpmath.log(mpmath.det(product))) / 2
        assert abs(value - exact) <= d * max(condition, other) * 2.0**-52 * exact


@pytest.mark.parametrize("condition", CONDITIONS[:-2])
def test_the_error_of_renyi_and_hellinger_is_bounded_by_the_condition(condition):
    rng = np.random.default_rng(23)
    for d, other in [(2, 1), (3, 1e4), (3, 1e8)]:
        C1, C2 = ill_conditioned(rng, d, condition), ill_conditioned(rng, d, other)
        gap, allowed = rng.standard_normal(d), 20 * d * max(condition, other) * 2.0**-52
        for order in (0.1, 0.5, 0.9):
            value = gaussian.renyi_divergence(gap, C1, np.zeros(d), C2, order)
            with mpmath.workdps(80):
                A, B = (mpmath.matrix(C.tolist()) for C in (C1, C2))
                shift, a = mpmath.matrix(gap.tolist()), mpmath.mpf(order)
                mixed = (1 - a) * A + a * B
                logs = [mpmath.log(mpmath.det(C)) for C in (mixed, A, B)]
                exact = a * (shift.T * mixed**-1 * shift)[0] / 2
                exact += (logs[0] - (1 - a) * logs[1] - a * logs[2]) / (2 * (1 - a))
                distance = mpmath.sqrt(-mpmath.expm1(-exact / 2))
            assert abs(value - exact) <= allowed * exact
            if order == 0.5:
                value = gaussian.hellinger_distance(gap, C1, np.zeros(d), C2)
                assert abs(value - distance) <= allowed * distance


def exact_total_variation(gap, variance):
    """Return the difference of the probabilities of the interval between both roots."""
    with mpmath.workdps(60):
        m, v = mpmath.mpf(gap), mpmath.mpf(variance)
        if v == 1:
            return mpmath.erf(m / mpmath.sqrt(8))
        square, linear, constant = 1 - 1 / v, 2 * m / v, -m * m / v - mpmath.log(v)
        middle, half = -linear / (2 * square), mpmath.sqrt(linear**2 - 4 * square * constant)
        low, high = sorted(middle + sign * half / (2 * square) for sign in (-1, 1))
        first = mpmath.ncdf((high - m) / mpmath.sqrt(v)) - mpmath.ncdf((low - m) / mpmath.sqrt(v))
        return abs(first - mpmath.ncdf(high) + mpmath.ncdf(low))


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 5.0, 30.0])
def test_total_variation_keeps_its_digits(gap):
    off = [2.0**-52, 1e-9, 1e-3, 0.1]
    for variance in [
        1e-12,
        1e-4,
        0.3,
        1,
        1.5,
        4,
        1e12,
        *(1 - e for e in off),
        *(1 + e for e in off),
    ]:
        value = gaussian.total_variation(gap, variance, 0, 1)
        exact = exact_total_variation(gap, variance)
        assert abs(value - exact) <= 1e-14 * exact


def test_sizes_at_the_ends_of_the_range_of_floats():
    huge, tiny = 1e308, 1e-308
    with mpmath.workdps(30):
        ratio = mpmath.mpf(tiny) / mpmath.mpf(huge)
        kl = (ratio - 1 - mpmath.log(ratio)) / 2
        mixed = mpmath.log(1 + mpmath.mpf(0.3) * (1 / ratio - 1)) / mpmath.mpf(0.3)
        renyi = (mixed + mpmath.log(ratio)) / 2
    assert gaussian.kl_divergence(0, tiny, 0, huge) == pytest.approx(float(kl), rel=1e-14)
    flat = gaussian.kl_divergence([0, 0], tiny, [0, 0], huge)
    assert flat == pytest.approx(2 * float(kl), rel=1e-14)
    assert gaussian.kl_divergence(0, huge, 0, tiny) == math.inf  # 5e615
    value = gaussian.renyi_divergence(0, huge, 0, tiny, 0.7)
    assert value == pytest.approx(float(renyi), rel=1e-13)
    assert gaussian.hellinger_distance(0, huge, 0, tiny) == 1.0
    for function in (gaussian.js_divergence, gaussian.total_variation):
        with pytest.raises(InputError, match=r"quotient of C1 and C2 must be between .* 1e616"):
            function(0, huge, 0, tiny)


@pytest.mark.parametrize(
    "function", [*ALL, gaussian.wasserstein_distance, otdist.bures_wasserstein_distance]
)
def test_distances_above_the_largest_float_are_refused(function):
    with pytest.raises(InputError, match="farther apart than the largest float; divide the"):
        function(1.5e308, 1, -1.5e308, 1)


def test_a_length_that_overflows_is_refused():
    with pytest.raises(InputError, match="farther apart than the largest float"):
        gaussian.wasserstein_distance([1.7e308, 1.7e308], 1, [0, 0], 1, p=2)


BAD = [
    (("0", 1, 0, 1), r"m1 must hold real numbers"),
    (([[0.0]], 1, 0, 1), r"m1 must be a number or have shape \(d,\), got \(1, 1\)"),
    (([], 1, 0, 1), r"m1 must be a number or have shape \(d,\), got \(0,\)"),
    ((0, 1, [0, NAN], 1), r"m2\[1\] is nan"),
    ((0, INF, 0, 1), r"C1\[0\] is inf"),
    ((0, 1, [0, 0], 1), r"m1 and m2 must have equal shapes, got 1 and 2 numbers"),
    (([0, 0], [1, 1], [0, 0], 1), r"C1 must .* shape \(2, 2\) .*\(2,\) .*np.diag"),
    (([0, 0], 1, [0, 0], [[1, 0], [NAN, 1]]), r"C2\[1, 0\] is nan"),
    (([0, 0], 1, [0, 0], [[1, 0.1], [0, 1]]), r"C2 must be symmetric.*\[0, 1\]"),
    (
        ([0, 0], [[1, 2], [2, 1]], [0, 0], 1),
        r"C1 must have no negative eigenvalue, .*-1",
    ),
    ((0, -1, 0, 1), r"C1 must have no negative eigenvalue, .*; got -1"),
]


@EACH
@pytest.mark.parametrize("pair, message", BAD)
def test_bad_distributions_are_refused(function, pair, message):
    with pytest.raises(InputError, match=message):
        function(*pair)


@pytest.mark.parametrize("function", ALL[:-1])
def test_distributions_without_density_are_refused(function):
    message = "C2 must be positive definite, .* wasserstein_distance"
    with pytest.raises(InputError, match=message):
        function(0, 1, 0, 0)
    with pytest.raises(InputError, match=message):
        function([0, 0], 1, [0, 0], np.ones((2, 2)))


def test_what_has_no_closed_form_is_refused():
    C = np.diag([1.0, 2.0])
    for function in (gaussian.js_divergence, gaussian.total_variation):
        with pytest.raises(InputError, match=r"C1 and C2 must be equal .*samples"):
            function([0, 0], C, [0, 0], 1)
    with pytest.raises(InputError, match="p=1 has a closed form on the line only"):
        gaussian.wasserstein_distance([0, 0], 1, [0, 0], 1)
    with pytest.raises(InputError, match="p must be 1 or 2"):
        gaussian.wasserstein_distance(0, 1, 0, 1, p=3)
    for alpha in (-1, math.inf, math.nan, "1"):
        with pytest.raises(InputError, match="alpha must be a finite number >= 0"):
            gaussian.renyi_divergence(0, 1, 0, 1, alpha)


def test_inputs_are_left_alone():
    m, C = np.array([1.0, 2.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
    before = m.copy(), C.copy()
    for function in IN_SPACE:
        function(m, C, m + 1, 2 * C)
    assert (m == before[0]).all()
    assert (before[1] == C).all()


# ------------------------------------------------------- order 2, many at once

bures = otdist.bures_wasserstein_distance


def exact_bures(C1, C2):
    """Evaluate the trace formula in 60 digits."""
    with mpmath.workdps(60):

        def root(M):
            values, axes = mpmath.eigsy((M + M.T) / 2)
            return axes * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * axes.T

        first, second = mpmath.matrix(C1.tolist()), mpmath.matrix(C2.tolist())
        half = root(first)
        middle = root(half * second * half)
        trace = sum(first[i, i] + second[i, i] - 2 * middle[i, i] for i in range(len(C1)))
        return float(mpmath.sqrt(max(trace, 0)))


def test_published_distances():
    assert bures([0, 0], np.eye(2), [3, 4], 4 * np.eye(2)) ** 2 == pytest.approx(27)
    value = bures([0, 0], np.diag([1, 9]), [0, 0], np.diag([4, 1])) ** 2
    assert value == pytest.approx(5, rel=1e-15)
    C = np.diag([1.0, 2, 0])
    assert bures([0, 0, 0], 0, [0, 0, 0], C) == pytest.approx(math.sqrt(3), rel=1e-15)
    assert bures(0, 1, 3, 25) == 5.0
    assert isinstance(bures(0, 1, 3, 25), float)


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("condition", [1.0, 1e4, 1e10])
def test_bures_beside_60_digits(d, condition):
    rng = np.random.default_rng(d)
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    C1 = (Q * np.geomspace(1, 1 / condition, d)) @ Q.T
    C1 = (C1 + C1.T) / 2
    for size in (10.0, 1.0, 0.1, 1e-3, 1e-7, 1e-12):
        noise = rng.standard_normal((d, d))
        W = np.eye(d) + size * (noise + noise.T) / 2
        C2 = (W @ C1 @ W.T + (W @ C1 @ W.T).T) / 2
        value, truth = bures(np.zeros(d), C1, np.zeros(d), C2), exact_bures(C1, C2)
        assert abs(value - truth) <= 1e-15 * d * math.sqrt(np.abs(C2).max())
        if condition <= 1e4 and size <= 0.1:
            assert value == pytest.approx(truth, rel=1e-12, abs=0)
        assert bures(np.zeros(d), C2, np.zeros(d), C1) == pytest.approx(
            value, rel=1e-9, abs=1e-15 * d * math.sqrt(np.abs(C2).max())
        )


def test_singular_and_equal_covariances():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((5, 2))
    C = root @ root.T
    C = (C + C.T) / 2
    zero = np.zeros(5)
    assert bures(zero, C, zero, C) == 0.0
    assert bures(zero, C, zero, 4 * C) == pytest.approx(math.sqrt(np.trace(C)))
    # The rounding of C is a variance in the directions where it has none.
    near = bures(zero, C, zero, C * (1 + 2**-20))
    assert near == pytest.approx(2**-21 * math.sqrt(np.trace(C)), abs=1e-7)


@pytest.mark.parametrize("k", [-900, -300, 300, 900])
def test_bures_has_no_units(k):
    rng = np.random.default_rng(1)
    C1, C2 = covariances(rng, 3)
    C1, C2 = (C1 + C1.T) / 2, (C2 + C2.T) / 2
    m1, m2 = rng.standard_normal((2, 3))
    value = bures(m1, C1, m2, C2)
    half = k // 2
    scaled = bures(np.ldexp(m1, half), np.ldexp(C1, k), np.ldexp(m2, half), np.ldexp(C2, k))
    assert scaled == math.ldexp(value, half)


def test_batches_are_pairs_one_by_one():
    rng = np.random.default_rng(2)
    C1, C2 = covariances(rng, 3, 4), covariances(rng, 3, 6).reshape(6, 1, 3, 3)
    C1, C2 = (C1 + np.swapaxes(C1, -1, -2)) / 2, (C2 + np.swapaxes(C2, -1, -2)) / 2
    C2[2, 0] = C1[1] * (1 + 1e-9)
    m1, m2 = rng.standard_normal((4, 3)), rng.standard_normal((6, 1, 3))
    m2[2, 0] = m1[1]
    values = bures(m1, C1, m2, C2)
    assert values.shape == (6, 4)
    for i in range(6):
        for j in range(4):
            one = bures(m1[j], C1[j], m2[i, 0], C2[i, 0])
            assert values[i, j] == pytest.approx(one, rel=1e-14)
            other = gaussian.wasserstein_distance(m1[j], C1[j], m2[i, 0], C2[i, 0], p=2)
            assert one == other
    # Covariances that many means share; variances along every axis.
    assert bures(m1, C1[0], m1[0], C1[0])[0] == 0.0
    assert bures(m1, 1, m1, 4) == pytest.approx(np.full(4, math.sqrt(3)), rel=1e-15)
    assert bures([[1.0], [2.0]], [[[4.0]], [[9.0]]], [[0.0]], 0) == pytest.approx(
        [math.sqrt(5), math.sqrt(13)]
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_bures_is_a_metric(seed, d):
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((3, d))
    C = covariances(rng, d, 3)
    C = (C + np.swapaxes(C, 1, 2)) / 2
    table = bures(means[:, None], C[:, None], means, C)
    assert np.diag(table) == pytest.approx(np.zeros(3), abs=1e-7)
    assert table == pytest.approx(table.T, rel=1e-12, abs=1e-14)
    assert table[0, 2] <= (table[0, 1] + table[1, 2]) * (1 + 1e-12)
    # It is at least the distance of the means, and at most that of independent distributions.
    gap = np.linalg.norm(means[0] - means[1])
    traces = np.trace(C[0]) + np.trace(C[1])
    assert gap <= table[0, 1] * (1 + 1e-12)
    assert table[0, 1] ** 2 <= gap**2 + traces


@pytest.mark.parametrize(
    "pair, message",
    [
        (([[0.0], [1.0]], 1, [[0.0], [1.0], [2.0]], 1), r"leading axes of m1 \(2,\)"),
        (([0, 0], 1, [0, 0, 0], 1), r"equal numbers of coordinates, got 2 and 3"),
        (([], 1, 0, 1), r"m1 is empty, shape \(0,\)"),
        (
            ([0, 0], np.zeros((2, 3)), [0, 0], 1),
            r"C1 must .* shape \(2, 2\) or \(\..*3\)",
        ),
        (
            ([0, 0], 1, [0, 0], [np.eye(2), -np.eye(2)]),
            r"C2\[1\] must have no negative",
        ),
        (
            ([0, 0], [np.eye(2), [[1, 2], [0, 1]]], [0, 0], 1),
            r"C1 must be symmetric, .* at \[1, 0, 1\]",
        ),
        (([[0, 0], [0, math.nan]], 1, [0, 0], 1), r"m1\[1, 1\] is nan"),
        (([0, 0], "1", [0, 0], 1), r"C1 must hold real numbers"),
    ],
)
def test_bad_batches_are_refused(pair, message):
    with pytest.raises(InputError, match=message):
        bures(*pair)
