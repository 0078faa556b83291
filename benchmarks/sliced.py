"""Sliced distances beside POT's, and what their directions are worth.

POT sums over quantiles as well; it gets as many random directions. Errors are of one
call, by its own standard error, for two Gaussian clouds.
"""

from __future__ import annotations

from benchmarks import peers
from benchmarks.instances import Clouds, make_points, sizes
from otdist.sliced import max_sliced_wasserstein_distance, sliced_wasserstein_estimate

SIZES = sizes(100, 1000, 10000)
FAMILIES = ("gaussian_3", "gaussian_2_weights", "gaussian_64")
DIRECTIONS = ("orthogonal", "random", "quasi")
N_PROJECTIONS = 128


def sliced(clouds: Clouds, directions: str = "orthogonal") -> tuple[float, float]:
    return sliced_wasserstein_estimate(
        clouds.x,
        clouds.y,
        clouds.a,
        clouds.b,
        n_projections=N_PROJECTIONS,
        directions=directions,
        p=2,
        rng=0,
    )


def pot_sliced(clouds: Clouds) -> float:
    ot = peers.load_pot()
    value = ot.sliced_wasserstein_distance(
        clouds.x, clouds.y, clouds.a, clouds.b, n_projections=N_PROJECTIONS, seed=0
    )
    return float(value)


class Sliced:
    params = (SIZES, FAMILIES)
    param_names = ("n", "family")

    def setup(self, n, family):
        self.clouds = make_points(family, n)
        sliced(self.clouds)

    def time_sliced(self, n, family):
        sliced(self.clouds)

    def peakmem_sliced(self, n, family):
        sliced(self.clouds)


class StandardError:
    params = (SIZES, FAMILIES, DIRECTIONS)
    param_names = ("n", "family", "directions")
    unit = "of the value"

    def track_error(self, n, family, directions):
        value, error = sliced(make_points(family, n), directions)
        return error / value


class RatioToPot:
    params = (SIZES, FAMILIES)
    param_names = ("n", "family")
    timeout = 600
    unit = "POT / otdist"

    def setup(self, n, family):
        peers.load_pot()

    def track_ratio(self, n, family):
        clouds = make_points(family, n)
        sliced(clouds)
        ours, theirs = peers.medians([lambda: sliced(clouds), lambda: pot_sliced(clouds)], 5)
        return theirs / ours


class MaxSliced:
    params = (sizes(100, 1000), FAMILIES)
    param_names = ("n", "family")
    timeout = 600

    def setup(self, n, family):
        self.clouds = make_points(family, n)

    def search(self):
        x, y, a, b = self.clouds.x, self.clouds.y, self.clouds.a, self.clouds.b
        return max_sliced_wasserstein_distance(x, y, a, b, p=2, rng=0)

    def time_search(self, n, family):
        self.search()

    def track_upper_to_value(self, n, family):
        """Return the bracket's ends as a ratio, 1 where the maximum is proved."""
        found = self.search()
        return found.upper / found.value
