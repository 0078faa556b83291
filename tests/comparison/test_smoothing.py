"""The bound of W1 by noise, against closed forms and quadrature."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otdist import InputError, wasserstein_distance
from otdist.comparison.smoothing import smoothed

LOG_2 = math.log(2.0)


def uniform(n):
    return np.full(n, 1 / n)


@pytest.mark.parametrize("theta", [0.0, 0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("half_width", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("d", [1, 2])
def test_a_translation_is_known(theta, half_width, d):
    """Two boxes overlap in 1 - theta / (2 h) of their mass."""
    x, y = np.zeros((1, d)), np.eye(1, d) * theta
    found = smoothed(x, y, uniform(1), uniform(1), half_width)
    apart = min(1.0, theta / (2 * half_width))
    assert found.tv == pytest.approx(apart, abs=1e-14)
    assert found.js == pytest.approx(apart * LOG_2, abs=1e-14)
    side = theta + 2 * half_width
    assert found.diameter == pytest.approx(math.hypot(side, (d - 1) * 2 * half_width))
    noise = np.random.default_rng(0).uniform(-half_width, half_width, (200_000, d))
    mean = np.linalg.norm(noise, axis=1).mean()
    assert found.mean_noise == pytest.approx(mean, rel=0.01)


@pytest.mark.parametrize(
    "theta, half_width, published", [(1, 0.1, 1.860), (1, 0.5, 3.645), (1, 1, 3.754)]
)
def test_parallel_lines(theta, half_width, published):
    """The values of the closed form have the root mean square of the noise."""
    z = (np.arange(400) + 0.5) / 400
    x, y = np.column_stack([0 * z, z]), np.column_stack([0 * z + theta, z])
    found = smoothed(x, y, uniform(400), uniform(400), half_width)
    in_the_mean_square = 2 * half_width * math.sqrt(2 / 3)
    bound = found.tv_bound - 2 * found.mean_noise + in_the_mean_square
    assert bound == pytest.approx(published, abs=3e-3)
    assert theta <= found.tv_bound < bound


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
def test_the_bounds_hold(seed, d):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 8, size=2)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * rng.choice([0.1, 1, 5])
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    half_width = float(10.0 ** rng.uniform(-2, 1))
    found = smoothed(x, y, a, b, half_width)
    w1 = wasserstein_distance(x, y, a, b, normalize=True)
    assert w1 <= found.tv_bound + 1e-12
    assert found.tv_bound <= found.js_bound + 1e-12
    assert 0 <= found.js <= LOG_2 * found.tv + 1e-15


def test_it_is_the_density_that_counts():
    """Against a histogram of very many draws."""
    rng = np.random.default_rng(1)
    x, y = rng.random((3, 2)), rng.random((4, 2)) + 0.4
    a, b = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))
    found = smoothed(x, y, a, b, 0.3)
    grid = np.linspace(-0.4, 1.8, 441)
    middle = 0.5 * (grid[1:] + grid[:-1])

    def density(z, mass):
        covers = [np.abs(middle - each) <= 0.3 for each in z.T[:, :, None]]
        return np.einsum("i,ij,ik->jk", mass, *covers) / 0.6**2

    p, q = density(x, a), density(y, b)
    tv = 0.5 * np.abs(p - q).sum() * (grid[1] - grid[0]) ** 2
    assert found.tv == pytest.approx(tv, rel=0.01)


def test_what_is_refused():
    with pytest.raises(InputError, match="needs points of 1 or 2 coordinates, got 3"):
        smoothed(np.zeros((2, 3)), np.zeros((2, 3)), uniform(2), uniform(2), 0.1)
    with pytest.raises(InputError, match="needs at most 1000 points"):
        smoothed(np.zeros((600, 1)), np.ones((600, 1)), uniform(600), uniform(600), 0.1)
