"""What a proof costs beside what it proves; at most 20 % of the solve is wanted."""

from __future__ import annotations

import numpy as np

from benchmarks import peers
from benchmarks.instances import gaussian_clouds, masses, require_size
from otdist import Problem, certify, solve


def share(problem: Problem, repeats: int) -> float:
    """Return the time of `certify` in % of the time of a solve without it."""
    result = solve(problem)
    f, g = result.potentials
    calls = [lambda: solve(problem), lambda: certify(problem, result.plan, f, g)]
    whole, proof = peers.medians(calls, repeats)
    return 100 * proof / (whole - proof)


class DenseCertificate:
    params = ((10, 100, 1000, 4000), ("uniform", "random"))
    param_names = ("n", "weights")
    timeout = 600
    repeats = None

    def setup(self, n, weights):
        require_size(n)
        peers.warm_up()
        instance = gaussian_clouds(np.random.default_rng(n), n, n, 2, weights)
        self.problem = Problem.from_cost(instance.cost, instance.a, instance.b)

    def track_certificate_share(self, n, weights):
        return share(self.problem, self.repeats or (101 if n <= 100 else 5))

    track_certificate_share.unit = "% of the solve"


class LineCertificate:
    params = ((10**4, 10**6), (1, 2), ("uniform", "random"))
    param_names = ("n", "p", "weights")
    timeout = 600
    repeats = None

    def setup(self, n, p, weights):
        rng = np.random.default_rng(n)
        x, y = rng.standard_normal(n), rng.standard_normal(n) + 1
        a, b = masses(rng, n, weights), masses(rng, n, weights)
        self.problem = Problem(x, y, a, b, p=p)

    def track_certificate_share(self, n, p, weights):
        return share(self.problem, self.repeats or (11 if n <= 10**4 else 3))

    track_certificate_share.unit = "% of the solve"
