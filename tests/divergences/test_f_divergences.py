"""Chi-square, Renyi and generic f-divergences against 90 digits and closed forms."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import at_most, histograms
from test_divergences import (
    BAD,
    EXTREMES,
    FAMILIES,
    LOG_2,
    normalized,
    ulps,
)
from test_divergences import truth as truth_of

from otdist import (
    InputError,
    chi2_divergence,
    f_divergence,
    hellinger_distance,
    js_divergence,
    kl_divergence,
    renyi_divergence,
    total_variation,
)

ORDERS = [1e-3, 0.1, 0.5, 0.9, 1 - 1e-9, 1 + 1e-9, 1.5, 2, 10, 100]
# Measured at worst, over 1,590 pairs of few bins, at each order: 3.2 and 6.9 ulp.
CHI2_ULP, RENYI_ULP = 4.0, 8.0


def truth(p, q, order=None, digits=90):
    """Return chi-square, or Renyi of an order, by its definition in many digits."""
    with mpmath.workdps(digits):
        pairs = list(zip(normalized(p), normalized(q), strict=True))
        escapes = any(a > 0 and b == 0 for a, b in pairs)
        if escapes and (order is None or order >= 1):
            return mpmath.inf
        shared = [(a, b) for a, b in pairs if a > 0 and b > 0]
        if order is None:
            return mpmath.fsum((a - b) ** 2 / b for a, b in pairs if b > 0)
        order = mpmath.mpf(order)
        total = mpmath.fsum(a**order * b ** (1 - order) for a, b in shared)
        return mpmath.log(total) / (order - 1) if shared else mpmath.inf


def agrees(value, exact, allowed):
    if exact == 0 or exact > np.finfo(float).max:
        return value == (0 if exact == 0 else math.inf)
    return ulps(value, exact) <= allowed


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_random_pairs_agree_with_multiprecision(family):
    for n, repeats in [(3, 8), (10, 4), (200, 1)]:
        rng = np.random.default_rng(n)
        for _ in range(repeats):
            p, q = family(rng, n)
            assert agrees(chi2_divergence(p, q, normalize=True), truth(p, q), CHI2_ULP)
            for order in ORDERS:
                value = renyi_divergence(p, q, order, normalize=True)
                assert agrees(value, truth(p, q, order), RENYI_ULP), order


@pytest.mark.parametrize("p, q", EXTREMES)
def test_extreme_masses(p, q):
    exact = truth(p, q, digits=1500)
    assert agrees(chi2_divergence(p, q, normalize=True), exact, CHI2_ULP)
    for order in [0.3, *ORDERS, 1e5, 1e200]:
        value = renyi_divergence(p, q, order, normalize=True)
        assert agrees(value, truth(p, q, order, digits=1500), RENYI_ULP), order
    with mpmath.workdps(1500):
        pairs = list(zip(normalized(p), normalized(q), strict=True))
        inside = mpmath.fsum(b for a, b in pairs if a > 0)
        ratios = [a / b if b else mpmath.inf for a, b in pairs if a > 0]
        least = -mpmath.log(inside) if inside else mpmath.inf
        limits = [(0, least), (math.inf, mpmath.log(max(ratios)))]
    for order, exact in limits:
        value = renyi_divergence(p, q, order, normalize=True)
        assert agrees(value, exact, RENYI_ULP), order


def test_two_bins_at_every_ratio():
    for t in [0.75, 0.7499, 0.7501, 0.5, 0.25, 1e-3, 1e-12, 0.999, 1 - 1e-12]:
        for sign in (1.0, -1.0):
            p, q = [0.3 * (1 + sign * t), 0.0], [0.3 * (1 - sign * t), 0.0]
            p[1], q[1] = 1 - p[0], 1 - q[0]
            assert agrees(chi2_divergence(p, q), truth(p, q), CHI2_ULP)
            for order in ORDERS:
                value = renyi_divergence(p, q, order)
                assert agrees(value, truth(p, q, order), RENYI_ULP), (t, order)


def test_near_equal_histograms_of_many_bins():
    rng = np.random.default_rng(8)
    p = rng.random(20_000)
    q = p * (1.0 + 1e-9 * rng.standard_normal(20_000))
    exact = truth(p, q, digits=50)
    assert agrees(chi2_divergence(p, q, normalize=True), exact, 2.0)
    # The second-order term is alpha/2 times chi-square, for every order.
    for order in ORDERS[1:-1]:
        value = renyi_divergence(p, q, order, normalize=True)
        assert value == pytest.approx(order * float(exact) / 2, rel=1e-7)


def test_lost_mass_and_disjoint_supports():
    p, q = [0.5, 0.5, 0.0], [0.0, 0.25, 0.75]
    assert chi2_divergence(p, q) == renyi_divergence(p, q, 1.5) == math.inf
    assert renyi_divergence(p, q, math.inf) == renyi_divergence(p, q, 1) == math.inf
    half = -2 * math.log(math.sqrt(0.125))
    assert renyi_divergence(p, q, 0.5) == pytest.approx(half, rel=1e-15)
    assert renyi_divergence(p, q, 0) == pytest.approx(-math.log(0.25), rel=1e-15)
    rare = renyi_divergence([0, 1], [4, 2.0**-52], 0, normalize=True)
    assert rare == pytest.approx(54 * LOG_2, rel=1e-15)
    for order in [0, *ORDERS, 1, math.inf]:
        assert renyi_divergence([1, 0], [0, 1], order) == math.inf
    assert chi2_divergence([1, 0], [0, 1]) == math.inf
    assert chi2_divergence([1, 0], [0.5, 0.5]) == 1.0


@pytest.mark.parametrize("m", [1, 2, 4, 7])
def test_mode_collapse(m):
    """Uniform on m of 8 atoms: the ratio is constant, all orders agree."""
    p, q = np.where(np.arange(8) < m, 1 / m, 0.0), np.full(8, 1 / 8)
    for order in [0, *ORDERS, 1, math.inf]:
        value = renyi_divergence(p, q, order)
        assert value == pytest.approx(math.log(8 / m), rel=4e-15), order
    assert chi2_divergence(p, q) == pytest.approx(8 / m - 1, rel=1e-15)


@given(histograms())
def test_chi_square_and_renyi_among_the_others(pair):
    p, q = pair
    chi2 = chi2_divergence(p, q, normalize=True)
    kl = kl_divergence(p, q, normalize=True)
    tv = total_variation(p, q, normalize=True)
    assert at_most(kl, math.log1p(chi2))
    assert at_most(2 * tv, math.sqrt(chi2))
    orders = [renyi_divergence(p, q, a, normalize=True) for a in [0, 0.5, 1, 2, np.inf]]
    for below, above in itertools.pairwise(orders):
        # The order inf sees one ratio, of masses known to 1e-32 of themselves.
        assert at_most(below, above + 1e-31)
    assert orders[2] == kl
    assert orders[3] == pytest.approx(math.log1p(chi2), rel=1e-13, abs=1e-300)
    affinity = 1 - hellinger_distance(p, q, normalize=True) ** 2
    if affinity > 1e-3:
        expected = -2 * math.log(affinity)
        assert orders[1] == pytest.approx(expected, rel=1e-11, abs=1e-15)


@given(histograms(), st.sampled_from([0.1, 0.5, 0.8]))
def test_renyi_is_skew_symmetric_in_its_order(pair, order):
    p, q = pair
    there = (1 - order) * renyi_divergence(p, q, order, normalize=True)
    back = order * renyi_divergence(q, p, 1 - order, normalize=True)
    assert there == pytest.approx(back, rel=2e-15, abs=1e-300)


# ------------------------------------------------------------------- generic generators


def kl_generator(t):
    return np.where(t > 0, t * np.log(np.maximum(t, 1e-323)), 0.0) - t + 1


def reverse_kl_generator(t):
    with np.errstate(divide="ignore"):
        return -np.log(t) + t - 1


def js_generator(t):
    mean = (1 + t) / 2
    return 0.5 * (kl_generator(t) + t - 1) - mean * np.log(mean)


GENERATORS = [
    (kl_generator, math.inf, kl_divergence),
    (reverse_kl_generator, 1.0, lambda p, q, **o: kl_divergence(q, p, **o)),
    (js_generator, LOG_2 / 2, js_divergence),
    (lambda t: np.abs(t - 1) / 2, 0.5, total_variation),
    (
        lambda t: (np.sqrt(t) - 1) ** 2 / 2,
        0.5,
        lambda p, q, **o: np.square(hellinger_distance(p, q, **o)),
    ),
    (lambda t: (t - 1) ** 2, math.inf, chi2_divergence),
]


@pytest.mark.parametrize("f, slope, known", GENERATORS)
@given(pair=histograms())
def test_generators_of_known_divergences(f, slope, known, pair):
    p, q = pair
    assume(all(mass == 0 or mass > 1e-100 for mass in np.append(p, q)))
    value = f_divergence(p, q, f, recession=slope, normalize=True)
    expected = known(p, q, normalize=True)
    assert value == pytest.approx(expected, rel=1e-13, abs=1e-15)


def test_a_generator_without_linear_part_keeps_its_digits():
    rng = np.random.default_rng(4)
    p = rng.random(1000)
    q = p * (1 + 1e-9 * rng.standard_normal(1000))
    value = f_divergence(p, q, lambda t: (t - 1) ** 2, normalize=True)
    assert value == pytest.approx(float(truth(p, q)), rel=1e-6)
    by_half = f_divergence(p, q, lambda t: (np.sqrt(t) - 1) ** 2, normalize=True)
    exact = truth_of(hellinger_distance, p, q)
    assert by_half == pytest.approx(2 * float(exact) ** 2, rel=1e-6)


def test_the_convention_for_singular_parts():
    p, q = [0.25, 0.75, 0.0], [0.5, 0.0, 0.5]
    f = lambda t: (t - 1) ** 2 / (t + 1)  # Le Cam: slope 1
    expected = 0.5 * (0.25 / 1.5) + 0.75 + 0.5
    assert f_divergence(p, q, f, recession=1) == pytest.approx(expected, rel=1e-15)
    with pytest.raises(InputError, match=r"recession must be the limit .* got None"):
        f_divergence(p, q, f)
    assert f_divergence(q, q, f) == 0.0
    # A ratio above the largest float belongs to the singular part.
    assert f_divergence([0.5, 0.5], [5e-324, 1.0], f, recession=1) == pytest.approx(
        0.5 + 0.25 / 1.5
    )
    assert f_divergence([0, 1], [0.5, 0.5], reverse_kl_generator) == math.inf
    lanes = f_divergence([p, q], [q, q], f, recession=math.inf)
    assert lanes.tolist() == [math.inf, 0.0]


def test_terms_overflow_only_if_their_sum_does():
    p, q = [0.5, 0.5], [1.0, 1e-150]
    value = f_divergence(p, q, lambda t: (t - 1) ** 2, normalize=True)
    assert value == pytest.approx(2.5e149, rel=1e-15)
    tiny = f_divergence([1.0, 0.0], [1.0, 5e-324], lambda t: (t - 1) ** 2)
    assert tiny == 5e-324
    rare = {"recession": math.inf, "normalize": True}
    with pytest.raises(InputError, match=r"p/q overflows where p = 0.5 and q = 5e-324, and"):
        f_divergence([0.5, 0.5], [1.0, 5e-324], kl_generator, **rare)


def test_lanes_of_extreme_masses_do_not_change_each_other():
    pairs = [(p, q) for p, q in EXTREMES if len(p) == 2]
    first, second = (np.array(part) for part in zip(*pairs, strict=True))
    for order in [0, 0.3, 0.9, 1.5, 100]:
        values = renyi_divergence(first, second, order, normalize=True)
        each = [renyi_divergence(p, q, order, normalize=True) for p, q in pairs]
        assert values.tolist() == each


def test_generators_that_are_none_are_refused():
    p, q = [0.5, 0.5], [0.25, 0.75]
    with pytest.raises(InputError, match="f must be a function of an array"):
        f_divergence(p, q, "kl")
    with pytest.raises(InputError, match=r"f\(1\) must be 0, got 1.0; subtract"):
        f_divergence(p, q, lambda t: t**2)
    with pytest.raises(InputError, match=r"number or inf at each ratio, got f\(2.0\)"):
        f_divergence(p, q, lambda t: np.where(t == 2, np.nan, 0))
    with pytest.raises(InputError, match=r"got f\(0.0\) = -inf; define f there by its limit"):
        f_divergence([0, 1], q, lambda t: np.where(t == 0, -np.inf, 0))
    with pytest.raises(InputError, match="one real number for each of its 3 ratios"):
        f_divergence(p, q, lambda t: 0.0)
    with pytest.raises(InputError, match=r"one real number .* got dtype complex128"):
        f_divergence(p, q, lambda t: t * 0j)
    for slope in (math.nan, -math.inf, "1"):
        with pytest.raises(InputError, match="recession must be the limit"):
            f_divergence([1, 0], [0, 1], lambda t: t - 1, recession=slope)


# --------------------------------------------------------------------------- arguments


ALL = [
    chi2_divergence,
    lambda p, q, **o: renyi_divergence(p, q, 0.3, **o),
    lambda p, q, **o: renyi_divergence(p, q, 3, **o),
    lambda p, q, **o: renyi_divergence(p, q, math.inf, **o),
    lambda p, q, **o: f_divergence(p, q, lambda t: (t - 1) ** 2, **o),
]
EACH = pytest.mark.parametrize("function", ALL)


@EACH
def test_each_lane_is_the_1d_result(function):
    p, q = np.random.default_rng(1).dirichlet(np.ones(17), (2, 3, 4))
    for axis in range(-3, 3):
        result = function(*(np.moveaxis(v, -1, axis) for v in (p, q)), axis=axis)
        assert result.shape == (3, 4)
        for lane in np.ndindex(3, 4):
            assert result[lane] == function(p[lane], q[lane])
    assert type(function([0.5, 0.5], [0.75, 0.25])) is float
    assert function(p[0], p[0]).tolist() == [0.0] * 4


@EACH
def test_a_user_who_traps_floating_point_errors_gets_none(function):
    with np.errstate(all="raise"):
        assert function([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]) > 0.0


@EACH
@pytest.mark.parametrize("p, q, message", BAD)
def test_bad_histograms_are_refused(function, p, q, message):
    with pytest.raises(InputError, match=message):
        function(p, q)


def test_order_and_base_of_renyi():
    p, q = [0.75, 0.25], [0.5, 0.5]
    assert renyi_divergence(p, q, 2, base=2) == pytest.approx(math.log2(1.25))
    assert renyi_divergence(p, q, np.inf) == pytest.approx(math.log(1.5), rel=1e-15)
    assert renyi_divergence(p, q, 1e305) == renyi_divergence(p, q, np.inf)
    assert renyi_divergence(p, q, 1e14) == pytest.approx(math.log(1.5), rel=1e-13)
    for alpha in (-0.5, math.nan, "2", None, True, 1j):
        with pytest.raises(InputError, match="alpha must be a number >= 0, or inf"):
            renyi_divergence(p, q, alpha)
    with pytest.raises(InputError, match="base must be a finite number above 1"):
        renyi_divergence(p, q, 2, base=1)
