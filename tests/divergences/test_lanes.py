"""The compiled divergences of many bins beside 90 digits, and beside NumPy."""

from __future__ import annotations

import math
from fractions import Fraction

import knobs
import mpmath
import numpy as np
import pytest
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from strategies import histograms
from test_divergences import (
    BAD,
    COMPILED_ULP,
    EXTREMES,
    FAMILIES,
    LOG_2,
    LOGARITHMIC,
    ULP,
    pair_near,
    pair_uniform,
    truth,
    ulps,
)
from test_f_divergences import truth as chi2_truth

from otdist import (
    InputError,
    chi2_divergence,
    hellinger_distance,
    js_divergence,
    kl_divergence,
    renyi_divergence,
    total_variation,
)
from otdist.compiled import simd
from otdist.divergences import kernels as divergences
from otdist.divergences import rows as _rows

COMPILED = [*LOGARITHMIC, total_variation, hellinger_distance]


def pair_at_the_limit(rng, n):
    """Total variation on both sides of that from which JS is a difference of logarithms."""
    p, q = rng.dirichlet(np.ones(n), 2)
    part = min(1.0, rng.uniform(0.12, 0.13) / (np.abs(p - q).sum() / 2))
    return p, np.abs(p + part * (q - p))


def pair_of_powers(rng, n):
    """Mantissas at the ends of the interval in which logarithms are computed."""
    sizes = 2.0 ** rng.integers(-60, 0, (2, n))
    return sizes * math.sqrt(2) * (1 + 1e-9 * rng.standard_normal((2, n)))


COMPILED_FAMILIES = [*FAMILIES, pair_at_the_limit, pair_of_powers]
EACH = pytest.mark.parametrize("function", LOGARITHMIC, ids=lambda f: f.__name__)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Take two lanes or so at a time, however few bins there are."""
    monkeypatch.setattr(knobs.DIVERGENCES_LARGE, 1)
    monkeypatch.setattr(knobs.DIVERGENCES_CHUNK, 4)
    monkeypatch.setattr(knobs.DIVERGENCES_BLOCK, 40)


@pytest.fixture
def calls(monkeypatch):
    """How many pairs the kernels were given in each call."""
    seen = []
    of_one, of_pairs = divergences.of_one, divergences.of_pairs

    def spy_one(kind, p, p_tolerance, q, q_tolerance):
        assert not p.flags.writeable  # or it would be compiled once more
        assert not q.flags.writeable
        seen.append(1)
        return of_one(kind, p, p_tolerance, q, q_tolerance)

    def spy_pairs(kind, p, p_sums, q, q_sums, first, second, out):
        assert not p.flags.writeable
        assert not q.flags.writeable
        seen.append(len(out))
        of_pairs(kind, p, p_sums, q, q_sums, first, second, out)

    monkeypatch.setattr(divergences, "of_one", spy_one)
    monkeypatch.setattr(divergences, "of_pairs", spy_pairs)
    return seen


@EACH
@pytest.mark.parametrize("family", COMPILED_FAMILIES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n, repeats", [(2, 25), (3, 10), (10, 5), (31, 3), (200, 1)])
def test_random_pairs_agree_with_multiprecision(function, family, n, repeats):
    rng = np.random.default_rng(n + 1)
    for _ in range(repeats):
        p, q = family(rng, n)
        exact = truth(function, p, q)
        assert ulps(function(p, q, normalize=True), exact) <= ULP


@EACH
def test_two_bins_at_every_ratio(function):
    for t in [0.75, 0.7499, 0.7501, 0.5, 0.25, 1e-3, 1e-9, 0.999, 1 - 1e-12]:
        for sign in (1.0, -1.0):
            p, q = [0.3 * (1 + sign * t), 0.0], [0.3 * (1 - sign * t), 0.0]
            p[1], q[1] = 1 - p[0], 1 - q[0]
            value = function(np.array(p), np.array(q))
            assert ulps(value, truth(function, p, q)) <= ULP


@EACH
@pytest.mark.parametrize("p, q", EXTREMES)
def test_extreme_masses_are_left_to_numpy(function, p, q):
    value = function(np.array(p), np.array(q), normalize=True)
    exact = truth(function, p, q, digits=1500)
    assert value == exact or ulps(value, exact) <= ULP


@pytest.mark.parametrize("function", [*COMPILED, chi2_divergence], ids=lambda f: f.__name__)
def test_small_weights_keep_their_digits_or_are_left_to_numpy(function):
    for exponent in [*range(-1074, -1000, 7), -900, -760, -701, -700, -699, -600]:
        small = math.ldexp(1.37, exponent)
        rare = math.ldexp(1.1, -60)  # so that a term of the small weight is most of the sum
        for p, q in (
            ([0.3, 0.45], [small, 1.3]),
            ([small, 1.3], [0.3, 0.45]),
            ([rare, 1.3], [small, 0.75]),
        ):
            of_chi2 = function is chi2_divergence
            exact = chi2_truth(p, q, digits=700) if of_chi2 else truth(function, p, q, 700)
            value = function(np.array(p), np.array(q), normalize=True)
            overflows = exact > np.finfo(float).max
            assert value == math.inf if overflows else ulps(value, exact) <= COMPILED_ULP


@EACH
@given(pair=histograms())
def test_numpy_agrees(function, pair):
    p, q = pair
    slow = function(p.tolist(), q.tolist(), normalize=True)
    assert function(p, q, normalize=True) == pytest.approx(slow, rel=2e-15, abs=1e-300)


def test_values_known_exactly(calls, monkeypatch):
    for numpys_way in ("as_pair", "pair_of_rows"):  # zeros are not left to it
        monkeypatch.setattr(_rows, numpys_way, None)
    p = np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0], [0.25, 0.75]])
    q = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.25, 0.75]])
    assert kl_divergence(p, q).tolist() == [math.inf, math.inf, LOG_2, 0.0]
    assert js_divergence(p, q)[[0, 3]].tolist() == [LOG_2, 0.0]
    assert js_divergence(p, q, base=2)[0] == 1.0
    js = 0.75 * math.log(4 / 3)
    assert js_divergence(p, q)[1] == pytest.approx(js, rel=1e-15)
    assert calls == [2] * 8


@pytest.mark.parametrize("function", [*COMPILED, chi2_divergence], ids=lambda f: f.__name__)
def test_bins_that_both_leave_empty_are_not_left_to_numpy(function, monkeypatch):
    for numpys_way in ("as_pair", "pair_of_rows"):
        monkeypatch.setattr(_rows, numpys_way, None)
    p, q = np.random.default_rng(9).dirichlet(np.ones(40), (2, 3))
    p[:, ::3] = q[:, ::3] = 0.0
    values = function(p, q, normalize=True)
    full = p[:, p[0] > 0], q[:, q[0] > 0]
    np.testing.assert_allclose(values, function(*full, normalize=True), rtol=1e-15)


def test_disjoint_values_hold_for_any_weights():
    rng = np.random.default_rng(3)
    for n in range(1, 60):
        p = np.concatenate([rng.random(n), np.zeros(n)])
        q = np.concatenate([np.zeros(n), rng.random(n)])
        assert js_divergence(p, q, normalize=True) == LOG_2


def test_rounding_never_leads_above_log_2():
    rng = np.random.default_rng(2)
    for n in [1, 2, 3, 4, 5] * 40:
        p = np.concatenate([rng.random(n), np.zeros(n), [1e-20]])
        q = np.concatenate([np.zeros(n), rng.random(n), [1e-20]])
        value = js_divergence(p, q, normalize=True)
        assert LOG_2 * (1 - 1e-15) <= value <= LOG_2


@EACH
@pytest.mark.parametrize("normalize", [False, True])
def test_each_lane_is_the_1d_result(function, normalize, calls):
    p, q = np.random.default_rng(1).dirichlet(np.ones(17), (2, 3, 4))
    q[1, 2] = np.array([1e-310] + [0.0] * 15 + [1.0])  # left to NumPy
    p.flags.writeable = False
    for axis in range(-3, 3):
        moved = [np.moveaxis(values, -1, axis) for values in (p, q)]
        result = function(*moved, axis=axis, normalize=normalize)
        assert result.shape == (3, 4)
        for lane in np.ndindex(3, 4):
            assert result[lane] == function(p[lane], q[lane], normalize=normalize)
    assert 1 in calls
    assert type(function(p[0, 0], q[0, 0])) is float


@EACH
@pytest.mark.parametrize("p, q, message", BAD)
def test_bad_histograms_are_refused_as_ever(function, p, q, message):
    try:
        arrays = np.array(p), np.array(q)
    except ValueError:  # rows of several lengths
        arrays = p, q
    with pytest.raises(InputError, match=message):
        function(*arrays)


@EACH
def test_the_index_named_is_that_of_the_input(function):
    p = np.full((2, 3), 0.5)
    q = p.copy()
    q[1, 2] = -0.5
    with pytest.raises(InputError, match=r"q\[1, 2\] must be nonnegative"):
        function(p, q, axis=0)
    with pytest.raises(InputError, match=r"q must have a positive weight, .* at index \(1,\)"):
        function(np.ones((2, 2)), np.array([[1.0, 1], [0, 0]]), normalize=True)
    with pytest.raises(InputError, match="axis must be an integer"):
        function(p, p, axis=2)


@pytest.mark.parametrize(
    "function",
    [
        total_variation,
        hellinger_distance,
        chi2_divergence,
        lambda p, q, **o: renyi_divergence(p, q, 0.7, **o),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_blocks_of_lanes_are_the_lanes(function, dtype):
    p, q = np.random.default_rng(1).dirichlet(np.ones(17), (2, 3, 4)).astype(dtype)
    one_by_one = [
        [function(a, b, normalize=True) for a, b in zip(*rows, strict=True)]
        for rows in zip(p, q, strict=True)
    ]
    assert function(p, q).tolist() == one_by_one
    moved = np.moveaxis(p, -1, 0), np.moveaxis(q, -1, 0)
    assert function(*moved, axis=0).tolist() == one_by_one
    p[2, 3, 0] += 0.5
    with pytest.raises(InputError, match=r"p must sum to 1 .* at index \(2, 3\)"):
        function(p, q)


@pytest.mark.parametrize(
    "function", [*COMPILED, lambda p, q, **o: renyi_divergence(p, q, 0.7, **o)]
)
def test_shapes_broadcast_as_in_numpy(function):
    rng = np.random.default_rng(5)
    p, q = rng.dirichlet(np.ones(7), (3, 4)), rng.dirichlet(np.ones(7), 4)
    wanted = [[function(a, b) for a, b in zip(row, q, strict=True)] for row in p]
    assert function(p, q).tolist() == wanted
    against_one = function(p, q[0])
    assert against_one.shape == (3, 4)
    assert against_one[2, 1] == function(p[2, 1], q[0])
    assert function(q[0], p).shape == (3, 4)
    assert function(p[:, None], q[:, None]).shape == (3, 4, 4)
    assert function(p[:, None], q[:, None])[2, 3, 1] == function(p[2, 1], q[3])
    # The axis counts in the shape that both are broadcast to.
    moved = function(np.moveaxis(p, -1, 0), q[0][:, None, None], axis=0)
    assert moved.tolist() == against_one.tolist()
    with pytest.raises(InputError, match=r"equally many bins along axis 1, .* \(4, 7\) and \(4,\)"):
        function(q, q[:, 0])
    with pytest.raises(InputError, match=r"broadcast as in NumPy, got shapes .3, 4, 7. and .3, 7"):
        function(p, p[:, 0])
    with pytest.raises(InputError, match=r"axis 0, .* got shapes \(7, 4\) and \(7,\)"):
        function(q.T, q[0], axis=0)
    bad = q.copy()
    bad[1] += 1.0
    with pytest.raises(InputError, match=r"q must sum to 1 .* at index \(0, 1\) of the other axes"):
        function(p, bad)


@pytest.mark.parametrize("function", COMPILED, ids=lambda f: f.__name__)
def test_lists_broadcast_as_arrays_do(function):
    p, q = np.random.default_rng(6).dirichlet(np.ones(5), (2, 3))
    fast, slow = function(p, q[0]), function(p.tolist(), q[0].tolist())
    np.testing.assert_allclose(fast, slow, rtol=2e-15)


@pytest.mark.parametrize(
    "function",
    [total_variation, hellinger_distance, chi2_divergence],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("family", COMPILED_FAMILIES, ids=lambda f: f.__name__)
def test_values_without_logarithms_agree_with_multiprecision(function, family):
    for n, repeats in [(2, 25), (3, 10), (10, 5), (31, 3), (200, 1)]:
        rng = np.random.default_rng(n + 1)
        for _ in range(repeats):
            p, q = family(rng, n)
            exact = chi2_truth(p, q) if function is chi2_divergence else truth(function, p, q)
            value = function(p, q, normalize=True)
            assert value == exact or ulps(value, exact) <= COMPILED_ULP


def pair_of_ratios(rng, n):
    """Ratios p/q about 3, where series and logarithms meet."""
    p = rng.random(n)
    return p, p * np.exp(rng.choice([-1, 1], n) * rng.uniform(0.8, 1.4, n))


@pytest.mark.parametrize("function", [kl_divergence, total_variation, chi2_divergence])
@pytest.mark.parametrize("family", [pair_uniform, pair_near, pair_of_ratios, pair_at_the_limit])
def test_few_bins_are_rounded_about_once(function, family):
    """Measured at worst: 1.2 ulp, 1.37 by Python. Each correction left out is up to 1 more."""
    rng = np.random.default_rng(17)
    for n in (2, 3) * 100:
        p, q = family(rng, n)
        exact = chi2_truth(p, q) if function is chi2_divergence else truth(function, p, q)
        assert ulps(function(p, q, normalize=True), exact) <= 1.4


def test_sums_within_the_tolerance_of_the_dtype(calls):
    for dtype, error in [(np.float64, 9e-10), (np.float32, 9e-6), (np.float16, 9e-3)]:
        p, q = np.array([0.5 + error, 0.5], dtype), np.array([0.5, 0.5], dtype)
        assert kl_divergence(p, q) == kl_divergence(p, q, normalize=True)
        with pytest.raises(InputError, match="p must sum to 1 within"):
            kl_divergence(p + dtype(error / 2), q)
    assert calls


def test_what_is_left_to_numpy_has_the_tolerance_of_its_dtype(monkeypatch):
    p = np.full((2, 3), 1 / 3, np.float32)
    q = np.float32(1 + 1e-6) * p  # proportional, and sums to 1 + 1e-6
    monkeypatch.setattr(_rows, "as_pair", None)  # blocks of lanes, not all at once
    assert kl_divergence(p, q).tolist() == [0.0, 0.0]
    assert renyi_divergence(p, q, 0.7).tolist() == [0.0, 0.0]
    assert kl_divergence(p.astype(float) * 3, q * np.float32(3), normalize=True).tolist() == [0, 0]
    with pytest.raises(TypeError):  # refused, and left to `as_pair` to say so
        kl_divergence(p.astype(float), q.astype(float))


def test_sequences_are_left_to_numpy_and_arrays_of_all_types_are_not(calls):
    p = np.array([0.5, 0.5])
    kl_divergence(p.tolist(), p.tolist())
    kl_divergence(p.tolist(), p)
    assert calls == []
    kl_divergence(p, p.astype(np.float32))
    kl_divergence(np.array([1, 2]), np.array([2, 1]), normalize=True)
    assert calls == [1, 1]


@pytest.mark.skipif(JIT_OFF, reason="slow")
def test_many_bins_are_compiled_and_near_equal_ones_keep_their_digits(calls):
    rng = np.random.default_rng(3)
    p = rng.random((2, 2**17))
    q = p * (1 + 1e-9 * rng.standard_normal(p.shape))
    for function in (kl_divergence, js_divergence):
        fast = function(p, q, normalize=True)
        pairs = zip(p.tolist(), q.tolist(), strict=True)
        slow = [function(*pair, normalize=True) for pair in pairs]  # by NumPy
        np.testing.assert_allclose(fast, slow, rtol=4e-16)
    assert calls == [1] * 4  # lanes of many bins one by one, and nothing for NumPy's way


# ------------------------------------------------------------------------ ingredients


def exact_series(x):
    """What the fits stand for, at their variable x."""
    with mpmath.workdps(50):
        x = mpmath.mpf(x)
        t, log_2 = mpmath.sqrt(x), mpmath.log(2)
        atanh = (mpmath.atanh(t) / t - 1) / x
        js = (1 + t) * mpmath.log1p(t) + (1 - t) * mpmath.log1p(-t)
        far = (2 - x) * mpmath.log(2 - x) - 2 * log_2 + x * (1 + log_2)
        return atanh, (js / x - 1) / x, far / x**2, 2 * atanh


@pytest.mark.parametrize(
    "k, fit, most",
    [
        (0, divergences._ATANH, divergences._NEAR),
        (1, divergences._JS, divergences._NEAR),
        (2, divergences._JS_FAR, 0.5),
        (3, divergences._LOG, (3 - 2 * math.sqrt(2)) ** 2),
    ],
)
def test_the_fitted_series(k, fit, most):
    """As exact rationals they are within 8e-17, relative, of what they stand for."""
    for x in np.linspace(1e-6, most, 200):
        exact = exact_series(x)[k]
        with mpmath.workdps(50):
            value = mpmath.mpf(0)
            for coefficient in fit:
                value = value * x + coefficient
            assert abs(value / exact - 1) < 8e-17


def test_logarithms_are_right_beyond_float64():
    from numba import njit

    log = njit(lambda x: divergences._log(x))
    assert math.isfinite(log(0.0)[0])
    rng = np.random.default_rng(8)
    numbers = [*rng.uniform(0.7, 1.45, 500), *2.0 ** rng.uniform(-800, 200, 100)]
    with mpmath.workdps(50):
        for x in (1.0, math.sqrt(2), math.sqrt(0.5), *map(float, numbers)):
            high, low = log(x)
            assert abs(mpmath.mpf(high) + low - mpmath.log(x)) < 2.0**-60


@given(st.floats(2.0**-300, 2.0**200), st.floats(2.0**-100, 2.0**200))
def test_errors_of_products_are_exact(a, b):
    exact = Fraction(a) * Fraction(b) - Fraction(a * b)
    assert Fraction(simd._plain_product_error(a, b, a * b)) == exact


@pytest.mark.skipif(JIT_OFF, reason="compiles")
def test_the_fused_instruction_is_its_twin():
    from numba import njit

    fused = njit(lambda a, b, product: simd._simd_product_error(a, b, product))
    rng = np.random.default_rng(4)
    for a, b in rng.random((200, 2)):
        assert fused(a, b, a * b) == simd._plain_product_error(a, b, a * b)
