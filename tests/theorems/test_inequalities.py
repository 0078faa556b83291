"""Inequalities between transport distances and divergences, one test each.

Numbered I1 to I9; each of them is a theorem, so that no pair may break it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import strategies
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from strategies import at_most, histograms

from otdist import (
    chi2_divergence,
    gaussian,
    hellinger_distance,
    js_distance,
    js_divergence,
    kl_divergence,
    renyi_divergence,
    total_variation,
    wasserstein_distance,
)

LOG_2 = math.log(2.0)


def kl(p, q):
    return kl_divergence(p, q, normalize=True)


def js(p, q):
    return js_divergence(p, q, normalize=True)


def root_of_js(p, q):
    return js_distance(p, q, normalize=True)


def tv(p, q):
    return total_variation(p, q, normalize=True)


def hellinger(p, q):
    return hellinger_distance(p, q, normalize=True)


def chi2(p, q):
    return chi2_divergence(p, q, normalize=True)


def square_of_hellinger(p, q):
    return hellinger(p, q) ** 2


def renyi(order):
    return lambda p, q: renyi_divergence(p, q, order, normalize=True)


F_DIVERGENCES = [kl, js, tv, square_of_hellinger, chi2]
EACH = pytest.mark.parametrize("function", F_DIVERGENCES)


@given(histograms())
def test_i1_pinsker_and_bretagnolle_huber(pair):
    for p, q in (pair, pair[::-1]):
        assert at_most(tv(p, q), math.sqrt(kl(p, q) / 2))
        assert at_most(tv(p, q), math.sqrt(-math.expm1(-kl(p, q))))


@given(histograms())
def test_i2_js_between_functions_of_total_variation(pair):
    low, high = (1 - tv(*pair)) / 2, (1 + tv(*pair)) / 2
    entropy = -sum(r * math.log(r) for r in (low, high) if r > 0)
    assert at_most(tv(*pair) ** 2 / 2, LOG_2 - entropy + 1e-15)  # it cancels near 0
    assert LOG_2 - entropy <= js(*pair) + 1e-15
    assert at_most(tv(*pair) ** 2 / 2, js(*pair))
    assert at_most(js(*pair), tv(*pair) * LOG_2)


@given(st.floats(0, 1))
def test_i2_is_tight_on_two_atoms_and_on_disjoint_parts(distance):
    p, q = (
        [(1 + distance) / 2, (1 - distance) / 2],
        [(1 - distance) / 2, (1 + distance) / 2],
    )
    entropy = -sum(r * math.log(r) for r in p if r > 0)
    assert js(p, q) == pytest.approx(LOG_2 - entropy, abs=1e-15)
    p, q = [distance, 0, 1 - distance], [0, distance, 1 - distance]
    assert js(p, q) == pytest.approx(distance * LOG_2, rel=1e-14, abs=1e-300)


@given(histograms())
def test_i3_hellinger_between_functions_of_the_others(pair):
    square = square_of_hellinger(*pair)
    assert at_most(square, tv(*pair))
    assert at_most(tv(*pair), math.sqrt(square * (2 - square)))
    assert at_most(square * LOG_2, js(*pair))
    assert at_most(js(*pair), square)


@given(histograms(count=3))
def test_i4_metrics_of_histograms(triple):
    p, q, r = triple
    for metric in (root_of_js, tv, hellinger):
        assert at_most(metric(p, r), metric(p, q) + metric(q, r))
        assert metric(p, q) == metric(q, p)
        assert metric(p, p) == 0.0
        # Apart by more than the rounding of a quotient: not the same measure.
        if np.abs(p / p.sum() - q / q.sum()).max() > 1e-15:
            assert metric(p, q) > 0.0


# ------------------------------------------------------------------ beside transport


@st.composite
def measures_on_one_support(draw, number=2):
    """Distinct points (k, d) and several histograms on them."""
    d = draw(st.integers(1, 3))
    support = np.unique(draw(strategies.points(draw(st.integers(2, 5)), d)), axis=0)
    assume(len(support) > 1)
    masses = st.lists(st.integers(0, 8), min_size=len(support), max_size=len(support))
    counts = [draw(masses.filter(any)) for _ in range(number)]
    return support, [np.array(count) / sum(count) for count in counts]


def w1(support, p, q):
    return wasserstein_distance(support, support, p, q)


def w1_at_most(smaller, larger, size):
    return smaller <= larger + 1e-12 * size


@given(measures_on_one_support(number=3))
def test_i4_w1_is_a_metric(drawn):
    support, (p, q, r) = drawn
    size = cdist(support, support).max()
    direct, around = w1(support, p, r), w1(support, p, q) + w1(support, q, r)
    assert w1_at_most(direct, around, size)
    assert w1(support, p, q) == pytest.approx(w1(support, q, p), abs=1e-12 * size)
    assert w1(support, p, p) == pytest.approx(0.0, abs=1e-12 * size)
    assert (w1(support, p, q) > 1e-12 * size) == (tv(p, q) > 1e-12)


@given(measures_on_one_support())
def test_i5_w1_between_multiples_of_total_variation(drawn):
    support, (p, q) = drawn
    lengths = cdist(support, support)
    nearest, diameter = lengths[lengths > 0].min(), lengths.max()
    distance = w1(support, p, q)
    assert w1_at_most(nearest * tv(p, q), distance, diameter)
    assert w1_at_most(distance, diameter * tv(p, q), diameter)


@given(measures_on_one_support())
def test_i6_w1_below_functions_of_kl_and_js(drawn):
    support, (p, q) = drawn
    diameter = cdist(support, support).max()
    distance = w1(support, p, q)
    assert w1_at_most(distance, diameter * math.sqrt(kl(p, q) / 2), diameter)
    assert w1_at_most(distance, diameter * math.sqrt(kl(q, p) / 2), diameter)
    assert w1_at_most(distance, diameter * math.sqrt(2 * js(p, q)), diameter)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.integers(1, 3))
def test_i7_talagrand_between_normal_laws(seed, scale, d):
    """W1 <= W2 <= s sqrt(2 KL(P || N(m, s**2 I))), with equality for translates."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((d, d)) + np.eye(d)
    C = root @ root.T + 0.01 * np.eye(d)
    m, other = rng.standard_normal((2, d))
    first, normal = (m, C), (other, scale**2)
    bound = scale * math.sqrt(2 * gaussian.kl_divergence(*first, *normal))
    w2 = gaussian.wasserstein_distance(*first, *normal, p=2)
    assert w2 <= bound * (1 + 1e-12)
    if d == 1:
        assert gaussian.wasserstein_distance(*first, *normal) <= w2 * (1 + 1e-14)
    moved = (m, scale**2)
    bound = scale * math.sqrt(2 * gaussian.kl_divergence(*moved, *normal))
    w2 = gaussian.wasserstein_distance(*moved, *normal, p=2)
    assert w2 == pytest.approx(bound, rel=1e-12)


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.3, 2)), min_size=1, max_size=3))
def test_i7_talagrand_for_mixtures_on_a_fine_grid(parts):
    x = np.linspace(-14, 14, 1401)
    normal = np.exp(-(x**2) / 2)
    mixture = sum(np.exp(-(((x - mean) / s) ** 2) / 2) / s for mean, s in parts)
    p, q = mixture / mixture.sum(), normal / normal.sum()
    distance = wasserstein_distance(x, x, p, q)
    assert distance <= math.sqrt(2 * kl(p, q)) + 1e-9


# ------------------------------------------------- data processing, joint convexity


@EACH
@given(pair=histograms(), data=st.data())
def test_i8_merging_bins_never_increases_a_divergence(function, pair, data):
    # Through integers, so that the merged histograms are exact.
    p, q = (np.ceil(1e6 * values / values.max()) for values in pair)
    bins = data.draw(st.lists(st.integers(0, 2), min_size=len(p), max_size=len(p)))
    coarse = np.bincount(bins, p), np.bincount(bins, q)
    assert at_most(function(*coarse), function(p, q))


@pytest.mark.parametrize("order", [0.3, 2.0, 7.0, math.inf])
@given(pair=histograms(), data=st.data())
def test_i8_merging_bins_never_increases_renyi(order, pair, data):
    p, q = (np.ceil(1e6 * values / values.max()) for values in pair)
    bins = data.draw(st.lists(st.integers(0, 2), min_size=len(p), max_size=len(p)))
    coarse = np.bincount(bins, p), np.bincount(bins, q)
    assert at_most(renyi(order)(*coarse), renyi(order)(p, q))


@EACH
@given(drawn=measures_on_one_support(), seed=st.integers(0, 2**32 - 1))
def test_i8_noise_never_increases_a_divergence(function, drawn, seed):
    _, (p, q) = drawn
    kernel = np.random.default_rng(seed).dirichlet(np.ones(4), len(p))
    assert function(p @ kernel, q @ kernel) <= function(p, q) * (1 + 1e-12) + 1e-14


@given(measures_on_one_support(), st.data())
def test_i8_a_1_lipschitz_map_never_increases_w1(drawn, data):
    support, (p, q) = drawn
    size = cdist(support, support).max()
    axis = data.draw(st.integers(0, support.shape[1] - 1))
    shadow = support[:, axis]
    for mapped in (shadow, np.abs(shadow), np.clip(support, -1, 1)):
        distance = wasserstein_distance(mapped, mapped, p, q)
        assert w1_at_most(distance, w1(support, p, q), size)


@EACH
@given(drawn=measures_on_one_support(number=4), part=st.floats(0, 1))
def test_i9_joint_convexity(function, drawn, part):
    _, (p, q, r, s) = drawn
    mixed = function(part * p + (1 - part) * r, part * q + (1 - part) * s)
    # No 0 * inf: a part of 0 leaves the other pair alone.
    sides = [w * function(*v) for w, v in ((part, (p, q)), (1 - part, (r, s))) if w > 0]
    assert mixed <= math.fsum(sides) * (1 + 1e-12) + 1e-13


@given(measures_on_one_support(number=4), st.floats(0, 1))
def test_i9_joint_convexity_of_w1(drawn, part):
    support, (p, q, r, s) = drawn
    size = cdist(support, support).max()
    mixed = w1(support, part * p + (1 - part) * r, part * q + (1 - part) * s)
    sides = part * w1(support, p, q) + (1 - part) * w1(support, r, s)
    assert w1_at_most(mixed, sides, size)


def test_i9_a_sample_is_farther_on_average():
    """E W1(Pn, Qm) >= W1(P, Q): over all samples of two points, with their odds."""
    support, p, q = np.array([-1.0, 0.0, 2.0]), [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]
    mean = 0.0
    for i, j, k, m in np.ndindex(3, 3, 3, 3):
        odds = p[i] * p[j] * q[k] * q[m]
        mean += odds * wasserstein_distance(support[[i, j]], support[[k, m]])
    exact = wasserstein_distance(support, support, p, q)
    assert exact == 0.75
    assert mean > exact + 0.1
