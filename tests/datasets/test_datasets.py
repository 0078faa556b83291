"""What `otdist.datasets` says is exact: closed forms, quadrature and exact solves."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from conftest import JIT_OFF

from otdist import InputError, datasets, wasserstein_distance
from otdist.datasets.families import Rays

LOG_2 = math.log(2)
RNG = 7


def pairs():
    return {
        "ray_pair": datasets.ray_pair(3, 5, rng=0, n_samples=4096),
        "ball_funnel": datasets.ball_funnel(3),
        "concentric_spheres": datasets.concentric_spheres(3),
        "translation": datasets.translation(3),
        "ring_of_modes": datasets.ring_of_modes(),
        "parallel_lines": datasets.parallel_lines(),
        "crossing_segments": datasets.crossing_segments(),
    }


PAIRS = pairs()
ONE_BY_ONE = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


def mean_and_error(values):
    return values.mean(), values.std(ddof=1) / math.sqrt(len(values))


@ONE_BY_ONE
def test_samples_are_fresh_reproducible_and_independent(pair):
    x, y = pair.sample(2000, rng=RNG)
    assert x.shape == y.shape == (2000, pair.dimension)
    assert x.dtype == y.dtype == float
    again = pair.sample(2000, rng=RNG)
    assert (x == again[0]).all()
    assert (y == again[1]).all()
    other = pair.sample(2000, np.random.default_rng(8))
    assert (x != other[0]).any()
    # The correlation of independent samples is below 5 / sqrt(n).
    for k in range(pair.dimension):
        if x[:, k].std() > 1e-12 and y[:, k].std() > 1e-12:
            assert abs(np.corrcoef(x[:, k], y[:, k])[0, 1]) < 5 / math.sqrt(2000)


@ONE_BY_ONE
def test_w1_is_what_an_exact_solve_of_a_sample_comes_near_to(pair):
    x, y = pair.sample(60 if JIT_OFF else 600, rng=RNG)
    value = wasserstein_distance(x, y)
    # The sample's distance is biased up, by about n**(-1/3) in three dimensions.
    few = 0.3 if JIT_OFF else 0.1
    assert -few * pair.w1 < value - pair.w1 < few * pair.w1 + 1.2 * few


@ONE_BY_ONE
def test_known_critics_attain_w1_along_a_path(pair):
    """The gradient is that of a function whose mean differs by W1."""
    if pair.gradient is None:
        return
    x, y = pair.sample(20_000, rng=RNG)
    # f(x) - f(0) is the integral of the gradient from 0 to x, here by midpoints.
    heights = []
    for points in (x, y):
        middles = (np.arange(200) + 0.5) / 200
        slopes = sum(pair.gradient(t * points) for t in middles) / 200
        heights.append(np.einsum("kd,kd->k", slopes, points))
    value = heights[0].mean() - heights[1].mean()
    error = math.hypot(*(mean_and_error(h)[1] for h in heights))
    assert abs(value - pair.w1) < 4 * (error + pair.w1_error) + 2e-3
    lengths = np.linalg.norm(pair.gradient(y), axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-14)


# --------------------------------------------------------------------------- ray pairs


@pytest.fixture(params=[(1, 3), (2, 16), (3, 1), (20, 7)], ids=str)
def rays(request):
    d, n_funnels = request.param
    rng = np.random.default_rng([d, n_funnels])
    centres = 2.5 * rng.uniform(-1, 1, (n_funnels, d))
    return Rays(centres, 0.1 * rng.normal(size=n_funnels), 2.5, 8.0)


def heights(rays, points):
    """The slow twin: every funnel, from differences."""
    each = np.linalg.norm(points[:, None] - rays.centres, axis=2) + rays.offsets
    return each, each.min(axis=1)


def test_rays_end_at_a_wall_or_where_another_funnel_takes_over(rays):
    y = rays.cube(500, np.random.default_rng(RNG))
    ray, height, length = rays._position(y)
    own = heights(rays, y)[0].argmin(axis=1)
    np.testing.assert_allclose(ray, y - rays.centres[own], rtol=0, atol=1e-14)
    np.testing.assert_allclose(height, np.linalg.norm(ray, axis=1), rtol=1e-14)
    assert (length >= height).all()
    end = rays.centres[own] + (length / height)[:, None] * ray
    each, least = heights(rays, end)
    rows = np.arange(len(y))
    np.testing.assert_allclose(each[rows, own], least, rtol=0, atol=1e-9)
    assert (np.abs(end) <= 2.5 + 1e-9).all()
    each[rows, own] = np.inf
    is_tie = np.abs(each.min(axis=1) - least) < 1e-9
    is_wall = np.abs(np.abs(end).max(axis=1) - 2.5) < 1e-9
    assert (is_tie | is_wall).all()
    if len(rays.centres) > 1:
        assert is_tie.any()
    assert is_wall.any()


def test_points_are_moved_along_their_rays(rays):
    n = 500
    x, y = (
        draw(n, np.random.default_rng(RNG)) for draw in (rays.moved, rays.cube)
    )  # one seed: x is where y was moved to
    step = np.linalg.norm(y - x, axis=1)
    fall = heights(rays, y)[1] - heights(rays, x)[1]
    np.testing.assert_allclose(fall, step, rtol=0, atol=1e-12)
    lengths = rays.lengths(n, np.random.default_rng(RNG))
    np.testing.assert_allclose(lengths, step, rtol=0, atol=1e-12)
    _, height, length = rays._position(y)
    expected = height - length * (height / length) ** 8
    np.testing.assert_allclose(step, expected, rtol=0, atol=1e-12)


def test_ray_pairs_on_the_line_have_the_w1_of_their_samples():
    pair = datasets.ray_pair(1, 3, rng=4)
    x, y = pair.sample(200_000, rng=RNG)
    # Two samples of n points in an interval of length 5 are apart by 5 / sqrt(n).
    assert wasserstein_distance(x, y) == pytest.approx(pair.w1, abs=5 / 200_000**0.5)
    assert pair.w1_error < 0.01 * pair.w1


def test_a_point_at_a_centre_has_no_ray(rays):
    ray, height, _ = rays._position(rays.centres[:1])
    assert not ray.any()
    assert not height.any()


def test_ray_pairs_with_one_seed_for_all():
    """The points drawn are not the centres, which the same seed drew before."""
    pair = datasets.ray_pair(2, 3, rng=0)
    _, y = pair.sample(3, rng=0)
    assert (np.abs(pair.gradient(y)) > 0).all()
    assert pair.kl is pair.js is pair.tv is None
    assert datasets.ray_pair(2, 3, rng=0, power=1).w1 == pytest.approx(0, abs=1e-15)


# ------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("d, w1", [(2, 0.4667), (16, 0.2745), (64, 0.0957)])
def test_ball_funnel_values(d, w1):
    assert datasets.ball_funnel(d).w1 == pytest.approx(w1, abs=5e-5)
    assert datasets.ball_funnel(d, radius=3.0).w1 == pytest.approx(3 * w1, abs=2e-4)


@pytest.mark.parametrize("d, power", [(1, 2), (3, 8), (10, 1.5)])
def test_ball_funnels_against_quadrature(d, power):
    pair = datasets.ball_funnel(d, power)

    def density(s, exponent):
        return mpmath.mpf(d) / exponent * s ** (mpmath.mpf(d) / exponent - 1)

    def p(s):
        return density(s, power)

    def q(s):
        return density(s, 1)

    def integral(function):
        return float(mpmath.quad(function, [0, 1e-9, 1e-3, 0.1, 0.5, 0.9, 1]))

    assert pair.w1 == pytest.approx(
        integral(lambda s: s ** (mpmath.mpf(d) / power) - s**d), rel=1e-7
    )
    assert pair.kl == pytest.approx(integral(lambda s: p(s) * mpmath.log(p(s) / q(s))), rel=1e-4)
    assert pair.tv == pytest.approx(integral(lambda s: abs(p(s) - q(s))) / 2, rel=1e-3)
    js = integral(
        lambda s: (
            p(s) * mpmath.log(2 * p(s) / (p(s) + q(s)))
            + q(s) * mpmath.log(2 * q(s) / (p(s) + q(s)))
        )
    )
    assert pair.js == pytest.approx(js / 2, rel=1e-3)


def test_radii_of_a_ball_funnel():
    pair = datasets.ball_funnel(5, 3.0, radius=2.0)
    x, y = pair.sample(50_000, rng=RNG)
    for points, exponent in ((x, 3.0), (y, 1.0)):
        radii = np.linalg.norm(points, axis=1)
        value, error = mean_and_error(radii)
        assert abs(value - 2 * 5 / (5 + exponent)) < 4 * error
        assert radii.max() <= 2 * (1 + 1e-12)


@pytest.mark.parametrize(
    "length, js",
    [
        (0.0, 0.0),
        (0.1, 0.0012484401),
        (1.0, 0.1114214822),
        (2.0, 0.3368308204),
        (8.0, 0.6930536455),
        (60.0, LOG_2),
    ],
)
def test_translations(length, js):
    pair = datasets.translation(4, length)
    assert pair.w1 == length
    assert pair.kl == length**2 / 2
    assert pair.js == pytest.approx(js, abs=6e-11)
    assert pair.tv == pytest.approx(1 - 2 * float(mpmath.ncdf(-length / 2)), abs=1e-15)


@pytest.mark.parametrize(
    "kept, w1, js",
    [
        (1, 2.5136697461, 0.496929),
        (2, 2.0136697461, 0.380396),
        (4, 1.3065629649, 0.215762),
        (7, 0.3590956780, 0.045407),
        (8, 0.0, 0.0),
    ],
)
def test_collapse_of_a_ring(kept, w1, js):
    pair = datasets.ring_of_modes(8, kept)
    assert pair.w1 == pytest.approx(w1, abs=6e-11)
    assert pair.js == pytest.approx(js, abs=6e-7)
    assert pair.tv == pytest.approx(1 - kept / 8)
    assert pair.kl == (0 if kept == 8 else math.inf)
    x, y = pair.sample(1000, rng=RNG)
    assert len(np.unique(x, axis=0)) == 8
    assert len(np.unique(y, axis=0)) == kept
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 2, rtol=1e-14)


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2, 2.5, math.pi])
def test_crossing_segments_against_an_exact_solve(angle):
    pair = datasets.crossing_segments(angle)
    # Middles of equal parts: their mean distance from the crossing is exact.
    s = (np.arange(60) + 0.5) / 60 - 0.5
    turns = [np.array([math.cos(t), math.sin(t)]) for t in (angle / 2, -angle / 2)]
    value = wasserstein_distance(*(s[:, None] * turn for turn in turns))
    assert value == pytest.approx(pair.w1, abs=1e-14)
    for points, turn in zip(pair.sample(100, RNG), turns, strict=True):
        along = points @ turn
        np.testing.assert_allclose(points, along[:, None] * turn, atol=1e-15)
        assert (np.abs(along) <= 0.5).all()


def test_singular_pairs_have_the_divergences_of_disjoint_supports():
    same = [
        datasets.parallel_lines(0.0),
        datasets.concentric_spheres(2, 1.0, 1.0),
        datasets.crossing_segments(0.0),
    ]
    apart = [
        datasets.parallel_lines(-1e-3),
        datasets.concentric_spheres(2, 1.0, 1.5),
        datasets.crossing_segments(0.01),
    ]
    for pair in same:
        assert (pair.w1, pair.kl, pair.js, pair.tv) == (0, 0, 0, 0)
    for pair in apart:
        assert (pair.kl, pair.js, pair.tv) == (math.inf, LOG_2, 1)
    assert [pair.w1 for pair in apart] == pytest.approx([1e-3, 0.5, math.sin(5e-3) / 2])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: datasets.ray_pair(0, 4), "d must be a positive integer, got 0"),
        (lambda: datasets.ray_pair(2, 1.5), "n_funnels must be a positive integer, got 1.5"),
        (lambda: datasets.ray_pair(2, 4, power=0.5), "power must be a finite number"),
        (lambda: datasets.ray_pair(2, 4, half_width=0), "half_width must be a finite"),
        (
            lambda: datasets.ray_pair(2, 4, n_samples=1),
            "n_samples must be an integer of at least 2, got 1",
        ),
        (lambda: datasets.ball_funnel(2, math.nan), "power must be a finite number"),
        (lambda: datasets.ball_funnel(2, radius=-1.0), "radius must be a finite"),
        (lambda: datasets.concentric_spheres(2, 2.0, 1.0), "outer must be a finite"),
        (lambda: datasets.concentric_spheres(2, 0.0), "inner must be a finite number"),
        (lambda: datasets.translation(True), "d must be a positive integer, got True"),
        (lambda: datasets.translation(2, math.inf), "length must be a finite number"),
        (lambda: datasets.ring_of_modes(4, 5), "at most n_modes=4; got 5"),
        (lambda: datasets.ring_of_modes(0), "n_modes must be a positive integer, got 0"),
        (lambda: datasets.parallel_lines(math.nan), "distance must be a finite number"),
        (lambda: datasets.crossing_segments(4.0), "angle must be a finite number"),
        (lambda: datasets.translation(2).sample(0), "n must be a positive integer, got 0"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(InputError, match=message):
        call()
