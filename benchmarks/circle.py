"""Positions on a circle: otdist beside POT."""

from __future__ import annotations

import numpy as np

from benchmarks import peers
from benchmarks.instances import masses
from benchmarks.line import ratio
from otdist import Problem, solve, wasserstein_distance


class _OnCircle:
    params = ((10**3, 10**5), (1, 2, 3), ("uniform", "random"))
    param_names = ("n", "p", "weights")
    timeout = 120

    def setup(self, n, p, weights):
        rng = np.random.default_rng(n)
        self.x, self.y = rng.random(n), rng.random(n) ** 2
        self.a, self.b = masses(rng, n, weights), masses(rng, n, weights)

    @property
    def pair(self):
        return self.x, self.y, self.a, self.b

    def distance(self, p):
        return wasserstein_distance(*self.pair, p=p, period=1.0)


class Circle(_OnCircle):
    def time_wasserstein_distance(self, n, p, weights):
        self.distance(p)

    def time_solve(self, n, p, weights):
        solve(Problem.on_circle(*self.pair, p=p))

    def peakmem_wasserstein_distance(self, n, p, weights):
        self.distance(p)

    def track_gap(self, n, p, weights):
        return solve(Problem.on_circle(*self.pair, p=p)).relative_gap


class Pot(_OnCircle):
    def setup(self, n, p, weights):
        self.pot = peers.load_pot()
        super().setup(n, p, weights)

    def time_wasserstein_circle(self, n, p, weights):
        self.pot.wasserstein_circle(*self.pair, p=p)

    def track_ratio(self, n, p, weights):
        """POT / otdist; POT halves its range down to 1e-6, otdist ends at the optimum."""
        return ratio(
            lambda: self.distance(p),
            lambda: self.pot.wasserstein_circle(*self.pair, p=p),
        )
