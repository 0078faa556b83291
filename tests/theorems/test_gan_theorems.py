"""What the theory of adversarial networks says in numbers: divergence side.

Numbers E4 to E15 are values and theorems of Arjovsky and Bottou, "Towards principled
methods for training generative adversarial networks" (2017), and of Arjovsky, Chintala
and Bottou, "Wasserstein GAN" (2017). JS carries the factor 1/2 throughout.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from strategies import histograms

from otdist import (
    align,
    chi2_divergence,
    gaussian,
    hellinger_distance,
    js_divergence,
    kl_divergence,
    kr_dual,
    samples,
    total_variation,
    wasserstein_distance,
)

LOG_2 = math.log(2.0)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def loss(p, q, D, rest):
    """E_p log D + E_q log(1 - D), with 1 - D as `rest`, and 0 log 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        real = np.where(p > 0, p * np.log(D), 0.0)
        fake = np.where(q > 0, q * np.log(rest), 0.0)
    return math.fsum([*real, *fake])


def best_of(p, q):
    """D* = p / (p + q), and 1 - D*."""
    together = np.where(p + q > 0, p + q, 1.0)
    return p / together, q / together


@pytest.mark.parametrize("gap", [1e-9, 0.1, 1.0, 1e9])
def test_e4_disjoint_supports_look_alike_at_any_gap(gap):
    x = np.column_stack([np.zeros(8), np.arange(8) / 8])
    weights = np.full(8, 1 / 8)
    y = x + np.array([gap, 0.0])
    both = align(x, y, weights, weights)
    assert js_divergence(both.p, both.q) == LOG_2
    assert kl_divergence(both.p, both.q) == kl_divergence(both.q, both.p) == math.inf
    assert total_variation(both.p, both.q) == hellinger_distance(both.p, both.q) == 1.0
    assert chi2_divergence(both.p, both.q) == math.inf
    assert wasserstein_distance(x, y) == pytest.approx(gap, rel=1e-12)


@given(histograms())
def test_e6_the_best_discriminator_loses_2_log_2_less_2_js(pair):
    p, q = (values / values.sum() for values in pair)
    best = loss(p, q, *best_of(p, q))
    expected = 2 * js_divergence(p, q) - 2 * LOG_2
    assert best == pytest.approx(expected, abs=1e-14)


@given(histograms(), st.data())
def test_e7_any_discriminator_gives_a_lower_bound_of_js(pair, data):
    p, q = (values / values.sum() for values in pair)
    chance = st.floats(1e-6, 1 - 1e-6)
    D = np.array(data.draw(st.lists(chance, min_size=len(p), max_size=len(p))))
    js = js_divergence(p, q)
    assert LOG_2 + loss(p, q, D, 1 - D) / 2 <= js + 1e-14
    assert LOG_2 + loss(p, q, *best_of(p, q)) / 2 == pytest.approx(js, abs=1e-14)


def test_e7_is_what_a_classifier_measures_on_samples():
    rng = np.random.default_rng(0)
    support, p, q = np.arange(4), [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]
    x, y = (rng.choice(support, 40_000, p=masses) for masses in (p, q))
    best = lambda _x, _y: lambda z: np.divide(p, np.add(p, q))[z[:, 0].astype(int)]
    worse = lambda _x, _y: lambda z: np.where(z[:, 0] < 1.5, 0.55, 0.45)
    js = js_divergence(p, q)
    estimate = samples.classifier_divergence(x, y, best, rng=1)
    assert abs(estimate.value - js) < 4 * estimate.standard_error
    estimate = samples.classifier_divergence(x, y, worse, rng=1)
    assert estimate.value + 4 * estimate.standard_error < js


# ------------------------------------------------------------- two normal distributions


SLOPES = [(2, 0.2384), (4, 1.341e-3), (6, 9.138e-8), (8, 1.013e-13)]


@pytest.mark.parametrize("gap, slope", SLOPES)
def test_e8_the_best_discriminator_saturates_where_a_critic_does_not(gap, slope):
    real, fake = norm(-gap / 2, 1), norm(gap / 2, 1)
    x = np.linspace(-2 * gap, 2 * gap, 401)
    best = real.pdf(x) / (real.pdf(x) + fake.pdf(x))
    np.testing.assert_allclose(best, sigmoid(-gap * x), rtol=1e-10)
    # The slope of log(1 - D) = log of the share of the fake density, at its mean.
    step = 1e-3
    share = [np.log1p(real.pdf(z) / fake.pdf(z)) for z in (gap / 2 - step, gap / 2 + step)]
    assert (share[0] - share[1]) / (2 * step) == pytest.approx(slope, rel=1e-3)
    assert gap * sigmoid(-(gap**2) / 2) == pytest.approx(slope, rel=3e-4)
    # Its loss is that of E6 for the closed forms.
    integrals = [
        quad(lambda z: real.pdf(z) * np.log(sigmoid(-gap * z)), -14, 14, limit=200)[0],
        quad(lambda z: fake.pdf(z) * np.log(sigmoid(gap * z)), -14, 14, limit=200)[0],
    ]
    js = gaussian.js_divergence(-gap / 2, 1, gap / 2, 1)
    assert sum(integrals) == pytest.approx(2 * js - 2 * LOG_2, abs=1e-9)
    # The critic of W1 has slope 1 everywhere, and the value of the gap.
    quantiles = real.ppf((np.arange(50) + 0.5) / 50)
    critic = kr_dual(quantiles, quantiles + gap, critic="mcshane")
    assert critic.value == pytest.approx(gap, rel=1e-12)
    between = np.linspace(quantiles[0] - 1, quantiles[-1] + gap + 1, 97)
    assert np.abs(critic.gradient(between)).tolist() == [[1.0]] * 97
    assert gaussian.wasserstein_distance(-gap / 2, 1, gap / 2, 1) == gap


def expectation(theta, function):
    """Under N(theta, 1)."""
    pdf = norm(theta, 1).pdf
    return quad(lambda x: pdf(x) * function(x), theta - 12, theta + 12, limit=200)[0]


def slope_of(function, at, step=1e-4):
    """Derivative by central differences of fourth order."""
    near = function(at + step) - function(at - step)
    far = function(at + 2 * step) - function(at - 2 * step)
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("theta", [0.3, 1.0, 2.5])
def test_e9_the_other_generator_loss_descends_kl_less_2_js(theta):
    """The expected gradient of -log D*(g) is that of KL(fake || real) - 2 JS."""
    best = lambda x: 1 / (1 + math.exp(theta * x - theta**2 / 2))

    def difference(mean):
        kl = gaussian.kl_divergence(mean, 1, 0, 1)
        return kl - 2 * gaussian.js_divergence(mean, 1, 0, 1)

    # g(z) = theta + z, D* held fixed: d/dtheta -log D*(g) = theta (1 - D*(g)).
    pointwise = slope_of(lambda x: -math.log(best(x)), 0.7)
    assert pointwise == pytest.approx(theta * (1 - best(0.7)), rel=1e-9)
    gradient = theta * expectation(theta, lambda x: 1 - best(x))
    assert slope_of(difference, theta) == pytest.approx(gradient, rel=1e-7)
    slope = slope_of(lambda mean: gaussian.js_divergence(0, 1, mean, 1), theta)
    expected = theta / 2 * expectation(theta, best)
    assert slope == pytest.approx(expected, rel=1e-7)


def test_e10_gradients_of_the_other_loss_are_cauchy():
    """The ratio of two centred normals: quartiles at +-s_r / s_e for means of any n."""
    rng = np.random.default_rng(1)
    s_r, s_e = 3.0, 0.5
    for n in (1, 10, 100):
        r, e = (s * rng.standard_normal((10_000, n)) for s in (s_r, s_e))
        means = (r / e).mean(axis=1)
        quarters = np.searchsorted([-s_r / s_e, 0.0, s_r / s_e], means)
        counts = np.bincount(quarters, minlength=4)
        # The deviation of each count is 43; that of the median of |mean| is 1.6 %.
        assert total_variation(counts, [1, 1, 1, 1], normalize=True) < 0.02
        assert np.median(np.abs(means)) == pytest.approx(s_r / s_e, rel=0.07)


TABLE = [(0.5, 0.0303113005), (1, 0.1114214822), (2, 0.3368308204), (4, 0.6327201938)]


@pytest.mark.parametrize("ratio, js", TABLE)
@pytest.mark.parametrize("sigma", [0.1, 2.0])
def test_e11_noise_makes_js_a_function_of_gap_over_noise(ratio, js, sigma):
    """Parallel lines {0} x [0, 1] and {gap} x [0, 1], blurred by N(0, sigma**2 I)."""
    gap = ratio * sigma
    x = np.linspace(-9 * sigma, gap + 9 * sigma, 801)
    z = np.linspace(-9 * sigma, 1 + 9 * sigma, 61)
    along = norm.cdf(z / sigma) - norm.cdf((z - 1) / sigma)
    images = [np.outer(np.exp(-(((x - at) / sigma) ** 2) / 2), along).ravel() for at in (0, gap)]
    assert js_divergence(*images, normalize=True) == pytest.approx(js, abs=1e-8)
    closed = gaussian.js_divergence(0, sigma**2, gap, sigma**2)
    assert closed == pytest.approx(js, abs=1.1e-10)
    # The gradient of E log(1 - D*(g)) is twice that of JS.
    slope = slope_of(lambda d: gaussian.js_divergence(0, 1, d, 1), ratio)
    gradient = expectation(ratio, lambda t: ratio / (1 + math.exp(ratio * t - ratio**2 / 2)))
    assert gradient == pytest.approx(2 * slope, rel=1e-7)


# ------------------------------------------------------- perfect discrimination


def smoothstep(t):
    """0 up to 1/3 and 1 from 2/3, with a continuous slope between."""
    t = np.clip(3 * t - 1, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def distances_to(cloud, points):
    return np.linalg.norm(points[:, None] - cloud, axis=-1).min(axis=1)


def perfect(real, fake):
    """1 on and about the real points, 0 on and about the fake ones."""

    def discriminator(points):
        to_real, to_fake = distances_to(real, points), distances_to(fake, points)
        return smoothstep(to_fake / (to_real + to_fake))

    return discriminator


def test_e14_a_perfect_discriminator_has_no_gradient_and_a_critic_has():
    angle = 2 * math.pi * np.arange(60) / 60
    real = np.column_stack([np.cos(angle), np.sin(angle)])
    fake = 1.5 * real
    distance = 0.5
    D = perfect(real, fake)
    assert D(real).tolist() == [1.0] * 60
    assert D(fake).tolist() == [0.0] * 60
    for direction in np.eye(2):
        for cloud in (real, fake):
            # Flat not only at the points but within d/4 of them.
            for step in (1e-6, distance / 4):
                assert (D(cloud + step * direction) == D(cloud)).all()
    gain = samples.classifier_divergence(real, fake, lambda *_: D, rng=0)
    assert gain.value == pytest.approx(LOG_2, abs=0.02)
    critic = kr_dual(real, fake, critic="mcshane")
    assert critic.value >= distance * (1 - 1e-12)
    middle = np.vstack([1.2 * real, 1.4 * real])
    slopes = np.linalg.norm(critic.gradient(middle), axis=1)
    np.testing.assert_allclose(slopes, 1.0, rtol=1e-12)


@pytest.mark.parametrize("epsilon", [0.5, 0.1, 1e-3, 1e-6])
@pytest.mark.parametrize("theta", [0.8, 1.0, 1.3])
def test_e15_gradients_vanish_with_the_error_of_the_discriminator(epsilon, theta):
    """|grad E log(1 - D(g))| < M eps / (1 - eps) for g(z) = (theta, z), where M = 1."""
    z = (np.arange(200) + 0.5) / 200
    real, fake = (np.column_stack([np.full(200, at), z]) for at in (0.0, theta))
    exact = perfect(real, fake)
    steep = 7.0

    def bump(points):
        """Its largest value and its largest slope add up to less than epsilon."""
        size = 0.999 * epsilon / (1 + steep)
        return size * np.sin(steep * points[:, 0] + points[:, 1])

    def expected(at):
        g = np.column_stack([np.full(200, at), z])
        return np.log1p(-exact(g) - bump(g)).mean()

    gradient = slope_of(expected, theta, step=1e-3)
    assert abs(gradient) < epsilon / (1 - epsilon)
    # The bound has the right order: the bump's own slope is what is left.
    slope = steep * 0.999 * epsilon / (1 + steep) * np.cos(steep * theta + z)
    assert gradient == pytest.approx(-slope.mean(), abs=epsilon**2 + 1e-11)
