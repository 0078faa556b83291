"""Points on the line: otdist beside SciPy and POT."""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance as scipy_distance

from benchmarks import peers
from benchmarks.instances import masses
from otdist import Problem, solve, wasserstein_distance


class _OnLine:
    params = ((10**2, 10**4, 10**6), (1, 2), ("uniform", "random"))
    param_names = ("n", "p", "weights")
    timeout = 120

    def setup(self, n, p, weights):
        rng = np.random.default_rng(n)
        self.x, self.y = rng.standard_normal(n), rng.standard_normal(n + 1) + 1
        self.a, self.b = masses(rng, n, weights), masses(rng, n + 1, weights)


class Line(_OnLine):
    def distance(self, p):
        return wasserstein_distance(self.x, self.y, self.a, self.b, p=p)

    def time_wasserstein_distance(self, n, p, weights):
        self.distance(p)

    def peakmem_wasserstein_distance(self, n, p, weights):
        self.distance(p)

    def track_gap(self, n, p, weights):
        return solve(Problem(self.x, self.y, self.a, self.b, p=p)).relative_gap


class Scipy(_OnLine):
    params = ((10**2, 10**4, 10**6), (1,), ("uniform", "random"))

    def time_wasserstein_distance(self, n, p, weights):
        scipy_distance(self.x, self.y, self.a, self.b)

    def peakmem_wasserstein_distance(self, n, p, weights):
        scipy_distance(self.x, self.y, self.a, self.b)


class Pot(_OnLine):
    def setup(self, n, p, weights):
        self.pot = peers.load_pot()
        super().setup(n, p, weights)

    def time_wasserstein_1d(self, n, p, weights):
        self.pot.wasserstein_1d(self.x, self.y, self.a, self.b, p=p)

    def peakmem_wasserstein_1d(self, n, p, weights):
        self.pot.wasserstein_1d(self.x, self.y, self.a, self.b, p=p)
