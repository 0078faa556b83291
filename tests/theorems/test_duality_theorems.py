"""What the papers on Wasserstein GANs prove, as properties of exact values.

E1 to E5 and E13: Arjovsky, Chintala, Bottou, 2017, and Arjovsky, Bottou, 2017; E12:
Gulrajani et al., 2017; I10 to I12: Theorem 3.3 and Lemma 4 of the second, with noise
that is uniform on a box, since normal noise makes the bound infinite.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import strategies
from hypothesis import assume, example, given
from hypothesis import strategies as st

from otdist import (
    InputWarning,
    Problem,
    align,
    js_divergence,
    kl_divergence,
    kr_dual,
    solve,
    total_variation,
    wasserstein_distance,
)
from otdist.critics.functions import Linear

LOG_2 = math.log(2)
SIGNED = st.floats(1e-3, 10).flatmap(lambda t: st.sampled_from([t, -t]))


def divergences(x, y, a=None, b=None):
    """Return KL both ways, JS and TV over atoms that are exactly equal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        both = align(x, y, a, b)
    p, q = both.p, both.q
    return (
        kl_divergence(p, q),
        kl_divergence(q, p),
        js_divergence(p, q),
        total_variation(p, q),
    )


def line(at, heights):
    return np.column_stack([np.full(len(heights), float(at)), heights])


def uniform(n, seed):
    return np.random.default_rng(seed).random(n)


# ------------------------------------------------------------------------ parallel lines


@given(SIGNED, st.integers(1, 40), st.integers(0, 99))
def test_e1_parallel_lines(theta, n, seed):
    z = uniform(n, seed)
    first, second = line(0, z), line(theta, z)
    assert wasserstein_distance(first, second) == pytest.approx(abs(theta), rel=1e-12)
    assert divergences(first, second) == (math.inf, math.inf, LOG_2, 1.0)
    assert wasserstein_distance(first, first) == 0.0
    assert divergences(first, first) == (0.0, 0.0, 0.0, 0.0)


@given(SIGNED, st.integers(1, 40), st.integers(0, 99))
def test_e2_parallel_lines_of_other_points(theta, n, seed):
    z, w = uniform(n, seed), uniform(n, seed + 100)
    first, second = line(0, z), line(theta, w)
    value = wasserstein_distance(first, second)
    assert value >= abs(theta) * (1 - 1e-12)
    assert value <= (abs(theta) + wasserstein_distance(z, w)) * (1 + 1e-12)
    critic = Linear(np.array([-math.copysign(1.0, theta), 0.0]))
    on_first, on_second = critic(first), critic(second)
    assert on_first.mean() - on_second.mean() == pytest.approx(abs(theta), rel=1e-13)
    assert np.ptp(on_first) == np.ptp(on_second) == 0, "held out, it has no variance"


@pytest.mark.parametrize("theta", [-0.5, 2.0])
def test_e2_a_fitted_direction_loses_little(theta):
    first, second = line(0, uniform(600, 1)), line(theta, uniform(600, 2))
    critic = kr_dual(first, second, critic="linear", rng=0)
    # The mean heights of 300 points differ by 0.024 on average: the direction's slope.
    assert abs(theta) * 0.98 < critic.value < abs(theta) * 1.02
    assert critic.value == pytest.approx(abs(theta), abs=3 * critic.standard_error + 0.01)


@given(SIGNED, st.integers(1, 20), st.integers(0, 99))
def test_e3_slopes(theta, n, seed):
    z = uniform(n, seed)
    first, step = line(0, z), 1e-4
    w1 = [wasserstein_distance(first, line(t, z)) for t in (theta - step, theta + step)]
    assert (w1[1] - w1[0]) / (2 * step) == pytest.approx(math.copysign(1, theta))
    js = [divergences(first, line(t, z))[2] for t in (theta - step, theta + step)]
    assert js[1] - js[0] == 0.0


# --------------------------------------------------------------------- crossing supports


@given(st.integers(2, 30), st.floats(0.1, 3.0))
def test_e5_supports_that_cross(n, angle):
    n += n % 2
    turn = np.array([math.cos(angle), math.sin(angle)])
    # Middles of n parts: the crossing is not among them.
    s = (np.arange(n) + 0.5) / n - 0.5
    first, second = s[:, None] * [1.0, 0.0], s[:, None] * turn
    assert divergences(first, second) == (math.inf, math.inf, LOG_2, 1.0)
    # Ends of n - 1 parts, of which there is an even number: the crossing is shared.
    s = np.linspace(-0.5, 0.5, n + 1)
    s[n // 2] = 0.0
    first, second = s[:, None] * [1.0, 0.0], s[:, None] * turn
    part = 1 / (n + 1)
    kl, lk, js, tv = divergences(first, second)
    assert kl == lk == math.inf
    assert js == pytest.approx((1 - part) * LOG_2, rel=1e-14)
    assert tv == pytest.approx(1 - part, rel=1e-14)
    assert wasserstein_distance(first, second) > 0.01 * math.sin(angle)


# ------------------------------------------------------------------- rays, and gradients


@st.composite
def pairs(draw):
    d = draw(st.integers(1, 3))
    return [draw(strategies.measures(d)) for _ in range(2)]


@given(pairs(), st.sampled_from(["mcshane", "whitney"]))
def test_e12_the_optimal_critic_is_affine_along_rays(pair, critic):
    (x, a), (y, b) = pair
    plan = solve(Problem(x, y, a, b)).plan
    function = kr_dual(x, y, a, b, critic=critic)
    scale = 1 + np.abs(x).max() + np.abs(y).max()
    t = np.linspace(0, 1, 7)
    for i, j, mass in zip(plan.row, plan.col, plan.data, strict=True):
        if mass < 1e-12:
            continue  # rounding of the masses
        length = np.linalg.norm(x[i] - y[j])
        heights = function(t[:, None] * x[i] + (1 - t)[:, None] * y[j])
        expected = function(x[[i]]) - (1 - t) * length
        assert np.abs(heights - expected).max() <= 1e-13 * scale


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.integers(0, 99))
def test_e13_the_gradient_is_the_plan_times_directions(n, m, d, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    result = solve(Problem(x, y))
    slope = result.gradients().x
    plan, expected = result.plan, np.zeros_like(x)
    for i, j, mass in zip(plan.row, plan.col, plan.data, strict=True):
        ray = x[i] - y[j]
        expected[i] += mass * ray / np.linalg.norm(ray)
    np.testing.assert_allclose(slope, expected, atol=1e-14)
    step = 1e-6 * rng.normal(size=x.shape)
    up, down = (solve(Problem(x + s, y)) for s in (step, -step))
    # Where the plan changes, W1 has a kink.
    assume(all(_same_arcs(result, other) for other in (up, down)))
    rise = (up.value - down.value) / 2
    assert rise == pytest.approx(float((slope * step).sum()), abs=1e-6 * 1e-6 * n)


def _same_arcs(first, second):
    return set(zip(first.plan.row, first.plan.col, strict=True)) == set(
        zip(second.plan.row, second.plan.col, strict=True)
    )


@given(SIGNED, st.integers(1, 20))
def test_e13_on_parallel_lines(theta, n):
    z = np.linspace(0, 1, n)
    slope = solve(Problem(line(0, z), line(theta, z))).gradients()
    assert slope.y[:, 0].sum() == pytest.approx(math.copysign(1, theta))
    assert slope.x[:, 0].sum() == pytest.approx(-math.copysign(1, theta))


# -------------------------------------------------------------------------- added noise


def boxed_lines(theta, a):
    """Return E|e|, E|e|**2, the diameter, TV and JS of lines plus noise in [-a, a]**2."""
    length = a * (math.sqrt(2) + math.asinh(1)) / 3
    square = 2 * a * a / 3
    diameter = math.hypot(abs(theta) + 2 * a, 1 + 2 * a)
    apart = min(1.0, abs(theta) / (2 * a))
    return length, square, diameter, apart, LOG_2 * apart


@pytest.mark.parametrize(
    "theta, a, bound, sharper",
    [
        (1, 0.1, 2.9891, 1.860),
        (1, 0.5, 5.5261, 3.645),
        (1, 1, 6.6283, 3.754),
        (0.1, 0.1, 1.6197, None),
        (0.1, 0.5, 2.0184, None),
    ],
)
def test_i10_i11_on_parallel_lines(theta, a, bound, sharper):
    length, square, diameter, tv, js = boxed_lines(theta, a)
    i10 = 2 * math.sqrt(square) + 2 * diameter * math.sqrt(js)
    i11 = 2 * length + diameter * tv
    assert i10 == pytest.approx(bound, abs=5e-5)
    assert abs(theta) <= i11 <= 2 * length + diameter * math.sqrt(2 * js) <= i10
    if sharper is not None:
        # With the root of the second moment, as published, for the mean length.
        between = 2 * math.sqrt(square) + diameter * tv
        assert between == pytest.approx(sharper, abs=6e-4)
        assert i11 <= between <= i10


@pytest.mark.parametrize("a", [0.1, 0.7])
def test_moments_of_box_noise(a):
    from scipy.integrate import dblquad

    def mean(function):
        return dblquad(function, 0, a, 0, a)[0] / a**2

    length, square, *_ = boxed_lines(1.0, a)
    assert mean(lambda u, v: math.hypot(u, v)) == pytest.approx(length, rel=1e-6)
    assert mean(lambda u, v: u * u + v * v) == pytest.approx(square, rel=1e-9)


def noisy(points, weights, offsets, shares):
    """Return the distribution of a point plus independent noise, as atoms."""
    moved = (points[:, None] + offsets).reshape(-1, points.shape[1])
    return moved, np.outer(weights, shares).ravel()


@st.composite
def grids(draw):
    """Two measures on integer points of the plane, so that noise makes them meet."""
    made = []
    for _ in range(2):
        n = draw(st.integers(1, 4))
        cells = st.tuples(st.integers(-3, 3), st.integers(-3, 3))
        atoms = draw(st.lists(cells, min_size=n, max_size=n, unique=True))
        made.append((np.array(atoms, float), draw(strategies.weights(n, zeros=False))))
    return made


BOX = np.array([[i, j] for i in (-1.0, 0.0, 1.0) for j in (-1.0, 0.0, 1.0)])


@given(grids(), st.sampled_from([1, 2]))
@example([(np.zeros((1, 2)), np.ones(1)), (np.ones((1, 2)), np.ones(1))], 1)
def test_i10_i11_with_noise_on_a_box_of_cells(pair, width):
    """W(P, Q) <= 2 V**(1/2) + 2 C JS**(1/2), and the sharper 2 E|e| + C TV."""
    offsets, shares = width * BOX, np.full(9, 1 / 9)
    (x, a), (y, b) = (noisy(points, weights, offsets, shares) for points, weights in pair)
    _, _, js, tv = divergences(x, y, a, b)
    lengths = np.linalg.norm(offsets, axis=1)
    mean, square = float(shares @ lengths), float(shares @ lengths**2)
    both = np.vstack([x, y])
    diameter = np.linalg.norm(both[:, None] - both, axis=2).max()
    w1 = wasserstein_distance(pair[0][0], pair[1][0], pair[0][1], pair[1][1])
    i11 = 2 * mean + diameter * tv
    assert w1 <= i11 * (1 + 1e-12)
    assert i11 <= (2 * mean + diameter * math.sqrt(2 * js)) * (1 + 1e-12)
    i10 = 2 * math.sqrt(square) + 2 * diameter * math.sqrt(js)
    assert i11 <= i10 * (1 + 1e-12)
    # The step in between: noise brings no two measures farther apart.
    after = wasserstein_distance(x, y, a, b)
    assert after <= w1 * (1 + 1e-12) + 1e-12
    assert after <= diameter * tv * (1 + 1e-12) + 1e-12


@given(grids(), st.data())
def test_i12_noise_moves_a_measure_by_no_more_than_its_mean_length(pair, data):
    points, weights = pair[0]
    n = data.draw(st.integers(1, 4))
    offsets = data.draw(strategies.points(n, 2))
    shares = data.draw(strategies.weights(n))
    moved, masses = noisy(points, weights, offsets, shares)
    lengths = np.linalg.norm(offsets, axis=1)
    mean = float(shares @ lengths)
    w1 = wasserstein_distance(points, moved, weights, masses)
    assert w1 <= mean * (1 + 1e-12) + 1e-12
    assert mean <= math.sqrt(shares @ lengths**2) * (1 + 1e-12)
    dirac = wasserstein_distance(points[:1], points[:1] + offsets, [1.0], shares)
    assert dirac == pytest.approx(mean, rel=1e-12, abs=1e-13)
