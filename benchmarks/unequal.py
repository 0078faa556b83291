"""Partial transport: at a price, and of a given mass beside POT's partial_wasserstein2.

Both get the points; POT runs to the optimum (``numItermax=10**9``).
"""

from __future__ import annotations

import math

from benchmarks import peers
from benchmarks.instances import Clouds, make_points, sizes
from otdist import Problem, Result, solve

SIZES = sizes(100, 1000, 2000, 4000)
FAMILIES = ("uniform_2", "gaussian_2", "gaussian_2_weights", "gaussian_16")
MASSES = (0.5, 0.9)
#: Of the mean distance of the points paired at random.
PRICES = (0.05, 0.5)


def at_price(clouds: Clouds, part: float) -> Result:
    k = min(clouds.shape)
    price = part * float(((clouds.x[:k] - clouds.y[:k]) ** 2).sum(axis=1).mean() ** 0.5)
    return solve(Problem.partial(clouds.x, clouds.y, clouds.a, clouds.b, price=price))


def of_mass(clouds: Clouds, mass: float) -> Result:
    return solve(Problem.partial(clouds.x, clouds.y, clouds.a, clouds.b, mass=mass))


def pot_of_mass(clouds: Clouds, mass: float) -> float:
    ot = peers.load_pot()
    cost = ot.dist(clouds.x, clouds.y, metric="euclidean")
    value = ot.partial.partial_wasserstein2(clouds.a, clouds.b, cost, m=mass, numItermax=10**9)
    return float(value)


class AtPrice:
    params = (SIZES, FAMILIES, PRICES)
    param_names = ("n", "family", "price")
    timeout = 600
    run = staticmethod(at_price)

    def setup(self, n, family, part):
        self.clouds = make_points(family, n)
        self.run(make_points(family, 20), part)

    def time_solve(self, n, family, part):
        self.run(self.clouds, part)

    def peakmem_solve(self, n, family, part):
        self.run(self.clouds, part)

    def track_gap(self, n, family, part):
        return self.run(self.clouds, part).relative_gap


class OfMass(AtPrice):
    params = (SIZES, FAMILIES, MASSES)
    param_names = ("n", "family", "mass")
    run = staticmethod(of_mass)


class RatioToPot:
    params = (sizes(100, 1000, 2000), FAMILIES, MASSES)
    param_names = ("n", "family", "mass")
    timeout = 3600
    unit = "POT / otdist"

    def setup(self, n, family, mass):
        peers.load_pot()

    def track_ratio(self, n, family, mass):
        clouds = make_points(family, n)
        value = of_mass(clouds, mass).value
        assert math.isclose(value, pot_of_mass(clouds, mass), rel_tol=1e-9)
        ours, theirs = peers.medians(
            [lambda: of_mass(clouds, mass), lambda: pot_of_mass(clouds, mass)], 3
        )
        return theirs / ours
