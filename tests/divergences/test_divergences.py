"""Divergences against 90-digit arithmetic, closed forms, inequalities, messages."""

import dataclasses
import math
import warnings

import mpmath
import numpy as np
import pytest
from conftest import JIT_OFF
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import histograms

from otdist import compare
from otdist.divergences.align import Aligned, align
from otdist.divergences.shannon import (
    hellinger_distance,
    js_distance,
    js_divergence,
    kl_divergence,
    total_variation,
)
from otdist.errors import InputError, InputWarning

LOG_2 = math.log(2.0)
LOGARITHMIC = [kl_divergence, js_divergence, js_distance]
ALL = [*LOGARITHMIC, total_variation, hellinger_distance]
METRICS = [js_distance, total_variation, hellinger_distance]
EACH = pytest.mark.parametrize("function", ALL, ids=lambda f: f.__name__)

# Measured at worst, over some 10,000 pairs of 2 to 300 bins: by NumPy, which sequences of numbers
# are left to, KL and JS 0.6 ulp and the root of JS 0.9; compiled KL and JS 2.2, Hellinger 2.8.
ULP, COMPILED_ULP = 2.0, 3.0


# ------------------------------------------------------------------------ the oracle


def normalized(values):
    exact = [mpmath.mpf(float(value)) for value in values]
    mass = mpmath.fsum(exact)
    return [value / mass for value in exact]


def entropy_term(p, r):
    return p * mpmath.log(p / r) if p > 0 else mpmath.mpf(0)


def truth(function, p, q, digits=90):
    """Return the definition, in `digits` digits, for the exactly normalised inputs."""
    with mpmath.workdps(digits):
        pairs = list(zip(normalized(p), normalized(q), strict=True))
        if function is kl_divergence:
            if any(a > 0 and b == 0 for a, b in pairs):
                return mpmath.inf
            return mpmath.fsum(entropy_term(a, b) for a, b in pairs)
        if function is total_variation:
            return mpmath.fsum(abs(a - b) for a, b in pairs) / 2
        if function is hellinger_distance:
            roots = ((mpmath.sqrt(a) - mpmath.sqrt(b)) ** 2 for a, b in pairs)
            return mpmath.sqrt(mpmath.fsum(roots) / 2)
        middle = [(a + b) / 2 for a, b in pairs]
        terms = zip(pairs, middle, strict=True)
        js = mpmath.fsum(entropy_term(a, m) + entropy_term(b, m) for (a, b), m in terms)
        return mpmath.sqrt(js / 2) if function is js_distance else js / 2


def ulps(value, exact):
    """Return the error of a float in units of the last place of the exact value."""
    return float(abs(mpmath.mpf(value) - exact) / math.ulp(float(exact)))


def both_ways(function, p, q):
    """Return a divergence as compiled, and by NumPy, which sequences of numbers are left to."""
    arrays = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    compiled = function(*arrays, normalize=True)
    return compiled, function(*(values.tolist() for values in arrays), normalize=True)


def pair_uniform(rng, n):
    return rng.random(n), rng.random(n)


def pair_spiky(rng, n):
    return rng.dirichlet(np.full(n, 0.2)) + 1e-30, rng.dirichlet(np.full(n, 0.2)) + 1e-30


def pair_near(rng, n):
    p = rng.random(n)
    return p, p * (1.0 + 0.3 * rng.uniform(-1.0, 1.0, n))


def pair_nearer(rng, n):
    p = rng.random(n)
    return p, p * (1.0 + 1e-9 * rng.standard_normal(n))


def pair_nearest(rng, n):
    p = rng.random(n)
    return p, np.nextafter(p, 2.0)


def pair_with_zeros(rng, n):
    q = rng.random(n) + 0.1
    q[0], q[1] = 0.0, 1.0
    p = q * rng.random(n)
    p[2:] *= rng.random(n - 2) > 0.3
    return p, q


def pair_of_all_sizes(rng, n):
    return 10.0 ** rng.uniform(-300, 0, n), 10.0 ** rng.uniform(-12, 0, n)


FAMILIES = [
    pair_uniform,
    pair_spiky,
    pair_near,
    pair_nearer,
    pair_nearest,
    pair_with_zeros,
    pair_of_all_sizes,
]


@EACH
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n, repeats", [(2, 25), (3, 25), (10, 15), (200, 2)])
def test_random_pairs_agree_with_multiprecision(function, family, n, repeats):
    rng = np.random.default_rng(n)
    for _ in range(repeats):
        p, q = family(rng, n)
        exact = truth(function, p, q)
        compiled, by_numpy = both_ways(function, p, q)
        assert ulps(compiled, exact) <= COMPILED_ULP
        assert ulps(by_numpy, exact) <= ULP


@EACH
def test_two_bins_at_every_ratio(function):
    # Both sides of the limit between series and logarithm, |t| = 3/4, and its ends.
    ratios = [3 / 4, 0.7499, 0.7501, 0.5, 0.25, 1e-3, 0.999, 1 - 1e-12]
    for t in [sign * ratio for ratio in ratios for sign in (1.0, -1.0)]:
        p, q = [0.3 * (1 + t), 1 - 0.3 * (1 + t)], [0.3 * (1 - t), 1 - 0.3 * (1 - t)]
        exact = truth(function, p, q)
        compiled, by_numpy = both_ways(function, p, q)
        assert ulps(compiled, exact) <= COMPILED_ULP
        assert ulps(by_numpy, exact) <= ULP


@EACH
def test_near_equal_histograms_of_many_bins(function):
    rng = np.random.default_rng(7)
    n = 100_000 if function in (kl_divergence, total_variation) and not JIT_OFF else 20_000
    p = rng.random(n)
    q = p * (1.0 + 1e-9 * rng.standard_normal(n))
    exact = truth(function, p, q, digits=50)
    value, by_numpy = both_ways(function, p, q)
    assert ulps(value, exact) <= ULP
    assert ulps(by_numpy, exact) <= ULP
    rounded = function(p / p.sum(), q / q.sum())  # rescaling hides no larger error
    assert rounded == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-16])
def test_kl_keeps_12_digits_down_to_1e_30(size):
    rng = np.random.default_rng(11)
    p = rng.random(50)
    q = p * (1.0 + size * rng.uniform(-1.0, 1.0, 50))
    exact = truth(kl_divergence, p, q)
    assert exact < size**2
    values = both_ways(kl_divergence, p, q)
    assert values == pytest.approx([float(exact)] * 2, rel=1e-12)


# ------------------------------------------------------------ subnormals and overflow


TINY = 5e-324
EXTREMES = [
    ([0.5, 0.5], [TINY, 1.0]),
    ([TINY, 1.0], [0.5, 0.5]),
    ([TINY, 1.0], [1.5e-323, 1.0]),
    ([1e-308, 1.0], [1e-310, 1.0]),
    ([0.25, 0.75], [1e-320, 1e300]),
    ([0.25, 0.75], [1e300, 1e-320]),
    ([1e308, 1e308, 1e308], [1e308, 1e307, 1.0]),
    ([TINY, 1e-323], [1e-323, TINY]),
    ([1e-310, 3e-310], [1e308, 1.7e308]),
    ([1.0, TINY], [TINY, 1.0]),
    ([1.5e-323, 1.0], [1.0, TINY]),
    ([1e300, TINY], [TINY, 1e300]),
    ([1.0, 1e-310], [1.0, TINY]),
    ([1e300, 1e-213], [1e300, TINY]),
    # Zeros beside weights that are the next larger number.
    ([1.0, TINY], [1.0, 0.0]),
    ([1.0, 0.0], [1.0, TINY]),
    ([1.0, TINY], [0.0, 1.0]),
    ([TINY, 0.0, 1.0], [0.0, 1.0, TINY]),
    ([1e300, TINY, 0.0], [0.0, TINY, 1e300]),
]


@EACH
@pytest.mark.parametrize("p, q", EXTREMES)
def test_extreme_masses(function, p, q):
    exact = truth(function, p, q, digits=1500)
    value = function(p, q, normalize=True)
    assert value == exact or ulps(value, exact) <= ULP


@EACH
def test_a_user_who_traps_floating_point_errors_gets_none(function):
    with np.errstate(all="raise"):
        for p, q in EXTREMES:
            assert function(p, q, normalize=True) >= 0.0
        assert function([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]) > 0.0


# --------------------------------------------------------------- values known exactly


def test_disjoint_supports_have_exact_values():
    for p, q in [([1, 0], [0, 1]), ([0.1] * 10 + [0.0] * 3, [0.0] * 10 + [1 / 3] * 3)]:
        assert kl_divergence(p, q) == kl_divergence(q, p) == math.inf
        assert js_divergence(p, q) == LOG_2
        assert js_divergence(p, q, base=2) == js_distance(p, q, base=2) == 1.0
        assert js_distance(p, q) == math.sqrt(LOG_2)
        assert total_variation(p, q) == hellinger_distance(p, q) == 1.0


def test_disjoint_values_hold_for_any_weights():
    rng = np.random.default_rng(3)
    for n in range(1, 60):
        p = np.concatenate([rng.random(n), np.zeros(n)])
        q = np.concatenate([np.zeros(n), rng.random(n)])
        assert both_ways(js_divergence, p, q) == (LOG_2, LOG_2)
        assert both_ways(total_variation, p, q) == (1.0, 1.0)
        assert both_ways(hellinger_distance, p, q) == (1.0, 1.0)


@pytest.mark.parametrize("function", [js_divergence, *METRICS])
def test_rounding_never_leads_above_the_bound(function):
    rng = np.random.default_rng(0)
    bound = function([1.0, 0.0], [0.0, 1.0])
    for n in [1, 2, 3, 4, 5] * 200:  # without the clip, some JS are above
        p = np.concatenate([rng.random(n), np.zeros(n), [1e-20]])
        q = np.concatenate([np.zeros(n), rng.random(n), [1e-20]])
        for value in both_ways(function, p, q):
            assert bound * (1 - 1e-15) <= value <= bound


def test_fair_coin_against_certain_coin():
    p, q = [0.5, 0.5], [1.0, 0.0]
    assert kl_divergence(p, q) == math.inf
    assert kl_divergence(q, p) == LOG_2
    js = 0.75 * math.log(4 / 3)
    assert js_divergence(p, q) == pytest.approx(js, rel=1e-15, abs=0)
    assert js_divergence(p, q) == pytest.approx(0.2157615543, abs=1e-10)
    assert total_variation(p, q) == 0.5
    assert hellinger_distance(p, q) ** 2 == pytest.approx(1 - math.sqrt(0.5), rel=1e-15)


@pytest.mark.parametrize("p, q", [(0.3, 0.8), (0.01, 0.02), (0.5, 0.5), (0.999, 0.001)])
def test_bernoulli(p, q):
    exact = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert kl_divergence([p, 1 - p], [q, 1 - q]) == pytest.approx(exact, abs=1e-15)


@pytest.mark.parametrize("m, js", [(1, 0.496929), (2, 0.380396), (4, 0.215762), (7, 0.045407)])
def test_mode_collapse(m, js):
    p, q = np.full(8, 1 / 8), np.where(np.arange(8) < m, 1 / m, 0.0)
    assert kl_divergence(q, p) == pytest.approx(math.log(8 / m), rel=1e-15)
    assert kl_divergence(p, q) == math.inf
    assert total_variation(p, q) == pytest.approx(1 - m / 8, rel=1e-15)
    assert js_divergence(p, q) == pytest.approx(js, abs=5e-7)


def test_shifted_uniforms_see_only_the_overlap():
    for shift in range(13):
        p = np.where(np.arange(24) < 10, 0.1, 0.0)
        q = np.roll(p, shift)
        part = min(shift / 10, 1.0)
        assert js_divergence(p, q) == pytest.approx(part * LOG_2, rel=1e-15)
        assert total_variation(p, q) == pytest.approx(part, rel=1e-15)
        assert hellinger_distance(p, q) ** 2 == pytest.approx(part, rel=1e-15)


def test_gaussians_on_a_fine_grid():
    x = np.linspace(-14.0, 16.0, 30_001)
    p, q = (np.exp(-0.5 * (x - mean) ** 2) for mean in (0.0, 2.0))
    assert kl_divergence(p, q, normalize=True) == pytest.approx(2.0, rel=1e-9)
    assert js_divergence(p, q, normalize=True) == pytest.approx(0.3368308204, abs=1e-9)
    assert total_variation(p, q, normalize=True) == pytest.approx(0.6826895, abs=1e-6)
    hellinger = hellinger_distance(p, q, normalize=True)
    assert hellinger**2 == pytest.approx(1 - math.exp(-0.5), abs=1e-9)


@EACH
def test_equal_histograms_are_at_zero(function):
    p = np.random.default_rng(5).random(1001)
    assert both_ways(function, p, p) == (0.0, 0.0)
    assert both_ways(function, p, 4.0 * p) == (0.0, 0.0)
    assert function([1, 2, 3], [3, 6, 9], normalize=True) == 0.0


# ------------------------------------------- inputs on which other libraries give NaN


def test_scipy_20083_near_proportional_float32():
    p = np.array([0.027501475, 0.055202297], dtype="float32")
    q = np.array([0.027537677, 0.055334348], dtype="float32")
    exact = truth(js_distance, p, q)
    assert float(exact) == pytest.approx(1.78834e-4, rel=1e-5)
    assert ulps(js_distance(p, q, normalize=True), exact) <= ULP


def test_scipy_20779_neighbouring_floats():
    below = np.nextafter(0.5, 0.0)
    p, q = [below, 1 - below], [1 - below, below]
    assert js_distance(p, q) == pytest.approx(3.9e-17, rel=0.01)
    assert ulps(js_distance(p, q), truth(js_distance, p, q)) <= ULP


def test_scipy_19436_subnormal():
    p, q = [0, 1], [TINY, 1]
    exact = truth(js_distance, p, q, digits=900)
    assert js_divergence(p, q) == 0.0  # 1.7e-324 rounds to 0, its root does not
    assert js_distance(p, q) == pytest.approx(1.3e-162, rel=0.01)
    assert ulps(js_distance(p, q), exact) <= ULP


def test_many_proportional_float32_bins():
    p = np.random.default_rng(0).random(100_000, dtype=np.float32)
    distance = js_distance(p, np.float32(3.3) * p, normalize=True)
    assert 0.0 <= distance < 1e-7


# -------------------------------------------------------------------- ranges, symmetry


def every(p, q):
    return [function(p, q, normalize=True) for function in ALL]


@given(histograms())
def test_ranges_and_symmetry(pair):
    for p, q in (pair, [values.tolist() for values in pair]):
        kl, js, root, tv, hellinger = every(p, q)
        assert 0.0 <= kl <= math.inf
        assert 0.0 <= js <= LOG_2
        assert root == pytest.approx(math.sqrt(js), rel=1e-15, abs=1e-154)
        assert 0.0 <= tv <= 1.0
        assert 0.0 <= hellinger <= 1.0
        assert every(q, p)[1:] == [js, root, tv, hellinger]


@given(histograms())
def test_bins_in_another_order_and_empty_bins_change_nothing(pair):
    p, q = pair
    padded = np.append(p[::-1], 0.0), np.append(q[::-1], 0.0)
    assert every(*padded) == pytest.approx(every(p, q), rel=1e-14, abs=1e-300)
    by_numpy = every(*(values.tolist() for values in padded))
    assert by_numpy == pytest.approx(every(p.tolist(), q.tolist()), rel=1e-14, abs=1e-300)


# ---------------------------------------------------------- direction, axis, base, type


def test_kl_has_its_first_argument_in_front():
    p, q = [0.5, 0.5], [0.75, 0.25]
    exact = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert kl_divergence(p, q) == pytest.approx(exact, rel=1e-15)
    assert kl_divergence(q, p) != kl_divergence(p, q)


@EACH
@pytest.mark.parametrize("normalize", [False, True])
def test_each_lane_is_the_1d_result(function, normalize):
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(17), (2, 3, 4))
    for axis in range(-3, 3):
        moved = [np.moveaxis(values, -1, axis) for values in (p, q)]
        result = function(*moved, axis=axis, normalize=normalize)
        assert isinstance(result, np.ndarray)
        assert result.shape == (3, 4)[: p.ndim - 1]
        by_numpy = function(*(v.tolist() for v in moved), axis=axis, normalize=normalize)
        for lane in np.ndindex(3, 4):
            one = p[lane], q[lane]
            assert result[lane] == function(*one, normalize=normalize)
            one = p[lane].tolist(), q[lane].tolist()
            assert by_numpy[lane] == function(*one, normalize=normalize)


@EACH
def test_1d_gives_a_python_float(function):
    assert type(function([0.5, 0.5], [0.75, 0.25])) is float
    assert type(function([1], [1])) is float


def test_lanes_do_not_leak_into_each_other():
    p = [[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]
    q = [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]
    assert kl_divergence(p, q).tolist() == [math.inf, 0.0, LOG_2]
    assert js_divergence(p, [[0.0, 1.0]] * 3)[2] == LOG_2


@pytest.mark.parametrize("base", [2, 10, 1.5, np.float64(math.e)])
def test_base_divides_by_its_logarithm(base):
    p, q = [0.2, 0.8], [0.6, 0.4]
    for function in (kl_divergence, js_divergence):
        expected = function(p, q) / math.log(base)
        assert function(p, q, base=base) == pytest.approx(expected, rel=1e-15)
    expected = js_distance(p, q) / math.sqrt(math.log(base))
    assert js_distance(p, q, base=base) == pytest.approx(expected, rel=1e-15)


@EACH
def test_small_dtypes_are_read_exactly_and_inputs_are_left_alone(function):
    for dtype in (np.float16, np.float32, np.int8, np.uint64):
        p, q = np.array([1, 2, 5], dtype=dtype), np.array([4, 3, 1], dtype=dtype)
        before = p.copy(), q.copy()
        value = function(p, q, normalize=True)
        double = np.array([1.0, 2.0, 5.0]), np.array([4.0, 3.0, 1.0])
        assert value == function(*double, normalize=True)
        assert np.array_equal(p, before[0])
        assert np.array_equal(q, before[1])
        assert (p.dtype, p.flags.writeable) == (dtype, True)


def test_sums_within_the_tolerance_of_the_dtype_are_rescaled():
    for dtype, error in [(np.float64, 9e-10), (np.float32, 9e-6), (np.float16, 9e-3)]:
        p = np.array([0.5 + error, 0.5], dtype=dtype)
        assert kl_divergence(p, p) == 0.0
        q = np.array([0.5, 0.5], dtype=dtype)
        assert kl_divergence(p, q) == kl_divergence(p, q, normalize=True)
        with pytest.raises(InputError, match="p must sum to 1 within"):
            kl_divergence(p + dtype(error / 2), q)


# --------------------------------------------------------------------------- messages


BAD = [
    ([0.5, math.nan], [0.5, 0.5], r"p\[1\] is nan; p must be finite"),
    ([0.5, 0.5], [math.inf, 0.5], r"q\[0\] is inf; q must be finite"),
    ([1.5, -0.5], [0.5, 0.5], r"p\[1\] must be nonnegative, got -0.5"),
    ([0.5, 0.5], [1.5, -0.5], r"q\[1\] must be nonnegative, got -0.5"),
    ([], [], r"p must not be empty, got shape \(0,\)"),
    (np.ones((0, 3)), np.ones((0, 3)), r"p must not be empty, got shape \(0, 3\)"),
    ([0.5, 0.5], [1.0], r"equally many bins along axis 0, .* got shapes \(2,\) and \(1,\)"),
    (1.0, 1.0, r"p and q must have at least one axis, got numbers \(0-d\)"),
    ([1j], [1.0], r"p must hold real numbers.*got dtype complex128; pass p.real"),
    ([True], [1.0], r"p must hold real numbers.*got dtype bool"),
    ([1.0], ["a"], r"q must hold real numbers.*got dtype <U1"),
    ([None], [1.0], r"p must hold real numbers.*got dtype object"),
    ([[1.0], [0.5, 0.5]], [1.0], r"p must be an array of numbers with rows of one length"),
    ([2**53 + 1], [1], r"p\[0\] is 9007199254740993, .* integers above 2\*\*53"),
    ([0.5, 0.9], [0.5, 0.5], r"p must sum to 1 .*normalize=True.*got the sum 1.4$"),
    ([0.5, 0.5], [1e308, 1e308], r"q must sum to 1 .*, got the sum inf"),
    ([0.0, 0.0], [0.5, 0.5], r"p must have a positive weight, got the sum 0.0"),
    (
        [[0.5, 0.5], [1, 1]],
        [[0.5, 0.5]] * 2,
        r"the sum 2.0 at index \(1,\) of the other",
    ),
]


@EACH
@pytest.mark.parametrize("p, q, message", BAD)
def test_bad_histograms_are_refused(function, p, q, message):
    with pytest.raises(InputError, match=message):
        function(p, q)


@EACH
def test_normalize_needs_mass_in_every_lane(function):
    with pytest.raises(
        InputError, match=r"q must have a positive weight, got the sum 0.0 at .*\(1,"
    ):
        function(np.ones((2, 2)), [[1, 1], [0, 0]], normalize=True)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="no long double")
def test_long_double_is_not_cut_silently():
    with pytest.raises(InputError, match=r"p must hold real numbers of at most 64 bits"):
        kl_divergence(np.ones(1, dtype=np.longdouble), [1.0])


def test_the_index_named_is_that_of_the_input_whatever_the_axis():
    p = np.full((2, 3), 0.5)
    q = p.copy()
    q[1, 2] = -0.5
    with pytest.raises(InputError, match=r"q\[1, 2\] must be nonnegative"):
        js_divergence(p, q, axis=0)


@EACH
@pytest.mark.parametrize("axis", [1, -2, 0.0, None, "0"])
def test_bad_axis(function, axis):
    with pytest.raises(
        InputError, match=r"axis must be an integer in \[-1, 1\), as p.ndim is 1, got "
    ):
        function([1.0], [1.0], axis=axis)


@pytest.mark.parametrize("function", LOGARITHMIC)
@pytest.mark.parametrize("base", [1, 0, -2.0, 0.5, math.nan, math.inf, "e", 2j])
def test_bad_base(function, base):
    with pytest.raises(InputError, match="base must be a finite number above 1, or None, got"):
        function([1.0], [1.0], base=base)


# ------------------------------------------------------------------------------- align


def test_align_matches_equal_atoms():
    both = align([[0, 0], [1, 2]], [[1, 2], [1, 3], [5, 5]], [0.25, 0.75], [0.5, 0.25, 0.25])
    assert both.support.tolist() == [[0, 0], [1, 2], [1, 3], [5, 5]]
    assert both.p.tolist() == [0.25, 0.75, 0.0, 0.0]
    assert both.q.tolist() == [0.0, 0.5, 0.25, 0.25]
    assert (both.overlap_p, both.overlap_q, both.n_common) == (0.75, 0.5, 1)
    assert {both.support.dtype, both.p.dtype, both.q.dtype} == {np.dtype(np.float64)}


def test_align_on_the_line_with_negative_zero_duplicates_and_integers():
    both = align([-0.0, 0.0, 3.0, 1.0], np.array([[0], [1], [1]]))
    assert both.support.tolist() == [[0.0], [1.0], [3.0]]
    assert not np.signbit(both.support).any()
    assert both.p.tolist() == [0.5, 0.25, 0.25]
    assert both.q.tolist() == [1 / 3, 2 / 3, 0.0]
    assert both.overlap_p == 0.75
    assert both.overlap_q == 1.0


def test_align_drops_atoms_without_mass_after_merging():
    both = align([0.0, 1.0, 1.0, 2.0], [2.0, 3.0], [0.5, 0.0, 0.5, 0.0], [1.0, -0.0])
    assert both.support.ravel().tolist() == [0.0, 1.0, 2.0]
    assert both.p.tolist() == [0.5, 0.5, 0.0]
    assert both.n_common == 0
    assert both.overlap_p == both.overlap_q == 0.0


def test_align_does_not_match_float32_with_float64():
    with pytest.warns(InputWarning, match="2 atoms of x and y are equal in single prec"):
        both = align(np.array([0.1, 0.2], dtype=np.float32), np.array([0.1, 0.2]))
    assert both.n_common == 0
    exact = np.array([0.5, 0.25], dtype=np.float32)
    assert align(exact, np.array([0.5, 0.25])).n_common == 2


def test_align_uniform_weights_are_counts_divided_once():
    both = align(np.zeros(49), [0.0])
    assert both.p.tolist() == both.q.tolist() == [1.0]
    both = align([0.0, 1.0] * 7 + [2.0] * 7, [0.0])
    assert both.p.tolist() == [1 / 3, 1 / 3, 1 / 3]


def test_align_returns_masses_or_normalises():
    both = align([0.0, 1.0], [1.0, 2.0], [1, 3], [2, 2])
    assert both.p.tolist() == [1.0, 3.0, 0.0]
    assert both.overlap_p == 3.0
    both = align([0.0, 1.0], [1.0, 2.0], [1, 3], [4, 4], normalize=True)
    assert both.p.tolist() == [0.25, 0.75, 0.0]
    assert both.q.tolist() == [0.0, 0.5, 0.5]
    both = align([0.0, 1.0], [1.0, 2.0], [1, 3], normalize=True)
    assert both.q.tolist() == [0.0, 0.5, 0.5]


def test_align_sums_may_differ_by_the_rounding_of_their_dtype():
    weights = np.array([0.1] * 10, dtype=np.float32)
    assert align(np.arange(10), np.arange(10), weights).n_common == 10
    with pytest.raises(InputError, match="the masses differ"):
        align(np.arange(10), np.arange(10), weights.astype(float))


def test_align_feeds_the_divergences():
    # Two segments that cross in one atom of mass 1/n each.
    n = 11
    x = np.column_stack([np.arange(n) - 5, np.zeros(n)])
    both = align(x, x[:, ::-1])
    assert js_divergence(both.p, both.q) == pytest.approx((1 - 1 / n) * LOG_2, rel=1e-15)
    assert total_variation(both.p, both.q) == pytest.approx(1 - 1 / n, rel=1e-15)
    assert kl_divergence(both.p, both.q) == math.inf
    shifted = align(x, np.add(x, [0, 1e-9]), np.full(n, 1 / n))
    assert js_divergence(shifted.p, shifted.q) == LOG_2


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20),
)
def test_align_agrees_with_counting(x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        both = align(x, y)
    atoms = [tuple(atom) for atom in both.support]
    assert atoms == sorted(set(x) | set(y))
    assert both.p.tolist() == [x.count(atom) / len(x) for atom in atoms]
    assert both.q.tolist() == [y.count(atom) / len(y) for atom in atoms]
    assert both.n_common == len(set(x) & set(y))


def test_align_warns_of_two_samples_that_nothing_can_tell_apart():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 5, 2))
    with pytest.warns(
        InputWarning, match=r"KL = inf and JS = log 2 .*otdist.samples .*Wasserstein"
    ) as seen:
        align(x, y)
    assert seen[0].filename == __file__
    align(x, y, np.full(5, 0.2))  # weights given: not raw samples
    align(x[:1], y)  # one point is an atom that somebody chose
    align(np.vstack([x, x[:1]]), y)  # a repeated point: not a continuous distribution
    align(x, np.vstack([y, x[:1]]))  # a shared atom


def test_align_warns_of_atoms_that_miss_each_other_by_rounding():
    grid = np.arange(40).reshape(20, 2) / 10
    weights = np.full(20, 1 / 20)
    for moved in (grid.astype(np.float32), grid * (1 + 4e-16), grid + 1e-12):
        with pytest.warns(InputWarning, match=r"round both alike, .* np.float32") as seen:
            align(grid, moved, weights, weights)
        assert seen[0].filename == __file__
        with pytest.warns(InputWarning, match="round both alike"):
            compare(grid, moved)
    single = grid.astype(np.float32)
    assert align(single, single.astype(float)).n_common == 20
    align(grid, np.vstack([grid[:15], grid[15:] * (1 + 1e-15)]), weights, weights)
    align(grid, grid + 1e-3, weights, weights)
    align([1e300, 1e301], [1e302, 1.0], [0.5, 0.5], [0.5, 0.5])


def test_aligned_is_frozen_and_read_only():
    points, weights = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    both = align(points, points, weights, weights)
    assert isinstance(both, Aligned)
    with pytest.raises(dataclasses.FrozenInstanceError):
        both.p = both.q
    for array in (both.support, both.p, both.q):
        assert not array.flags.writeable
    assert points.flags.writeable
    assert weights.flags.writeable
    assert both != align(points, points, weights, weights)  # no truth value of arrays


def test_align_sums_many_duplicates_accurately():
    weights = np.full(300_001, 0.1)
    both = align(np.zeros(300_001), [0.0], weights, [math.fsum(weights)])
    assert both.p[0] == pytest.approx(math.fsum(weights), rel=1e-15)


BAD_CLOUDS = [
    (
        ([[0.0, 1.0]], [0.0]),
        r"same number of coordinates, got 2 and 1",
    ),
    (
        (0.0, [0.0]),
        r"x must have shape \(n,\) for points on the line or \(n, d\), got \(\)",
    ),
    (([0.0], np.zeros((1, 1, 1))), r"y must have shape .* got \(1, 1, 1\)"),
    (([0.0, math.nan], [0.0]), r"x\[1(, 0)?\] is nan; x must be finite"),
    (([0.0], [[math.inf]]), r"y\[0, 0\] is inf; y must be finite"),
    (([], [0.0]), r"x is empty"),
    ((np.zeros((2, 0)), np.zeros((2, 0))), r"x is empty, shape \(2, 0\)"),
    (([2**60], [2.0**60]), r"x\[0\] is .* integers above 2\*\*53 only rounded"),
    ((["a"], ["a"]), r"x must hold real numbers"),
    (([0.0], [0.0], [0.5, 0.5]), r"a must have shape \(1,\), .* got \(2,\)"),
    (([0.0], [0.0], None, [[1.0]]), r"b must have shape \(1,\), .* got \(1, 1\)"),
    (([0.0, 1.0], [0.0], [2.0, -1.0]), r"a\[1\] is -1.0; weights must be >= 0"),
    (([0.0], [0.0], [math.inf]), r"a\[0\] is inf; a must be finite"),
    (([0.0], [0.0], [1.0], [0.0]), r"b is zero everywhere"),
    (([0, 1], [0], [1e308, 1e308]), r"the sum of a overflows"),
    (
        ([0.0], [0.0], [1.0], [1.1]),
        r"a sums to 1 and b to 1.1.*normalize=True",
    ),
    (([0.0], [0.0], [2.0]), r"a sums to 2 and b to 1"),
]


@pytest.mark.parametrize("arguments, message", BAD_CLOUDS)
def test_bad_clouds_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        align(*arguments)


# ---------------------------------------------------------------- tests of the oracle


@settings(max_examples=20)
@given(st.integers(2, 50))
def test_the_oracle_knows_a_closed_form(k):
    p, q = [1.0] + [0.0] * (k - 1), [1.0] * k
    assert float(truth(kl_divergence, p, q)) == pytest.approx(math.log(k), rel=1e-15)
    assert ulps(math.nextafter(1.0, 2.0), mpmath.mpf(1)) == 1.0
