"""What a proof costs beside what it proves; at most 20 % of the solve is wanted."""

from __future__ import annotations

import statistics
import time

import numpy as np

from benchmarks import peers
from benchmarks.instances import gaussian_clouds, masses, sizes
from otdist import Problem
from otdist import pipeline as _solve


def share(problem: Problem, repeats: int) -> float:
    """Return the time of the certificate in % of the rest of its solve, the median.

    It is timed where it happens, inside the solve: the difference of two separate
    timings would be mostly noise.
    """
    certify = _solve.certify
    proof = 0.0

    def timed_certify(*arguments, **options):
        nonlocal proof
        start = time.perf_counter()
        certificate = certify(*arguments, **options)
        proof = time.perf_counter() - start
        return certificate

    shares = []
    _solve.solve(problem)
    _solve.certify = timed_certify
    try:
        for _ in range(repeats):
            start = time.perf_counter()
            _solve.solve(problem)
            whole = time.perf_counter() - start
            shares.append(100 * proof / (whole - proof))
    finally:
        _solve.certify = certify
    return statistics.median(shares)


class DenseCertificate:
    params = (sizes(10, 100, 1000, 4000), ("uniform", "random"))
    param_names = ("n", "weights")
    timeout = 600
    repeats = None

    def setup(self, n, weights):
        peers.warm_up()
        instance = gaussian_clouds(np.random.default_rng(n), n, n, 2, weights)
        self.problem = instance.matrix().problem()

    def track_certificate_share(self, n, weights):
        return share(self.problem, self.repeats or (101 if n <= 100 else peers.rounds(n)))

    track_certificate_share.unit = "% of the solve"


class LineCertificate:
    params = ((10**4, 10**6), (1, 2), ("uniform", "random"))
    param_names = ("n", "p", "weights")
    timeout = 120
    repeats = None

    def setup(self, n, p, weights):
        rng = np.random.default_rng(n)
        x, y = rng.standard_normal(n), rng.standard_normal(n) + 1
        a, b = masses(rng, n, weights), masses(rng, n, weights)
        self.problem = Problem(x, y, a, b, p=p)

    def track_certificate_share(self, n, p, weights):
        return share(self.problem, self.repeats or (11 if n <= 10**4 else peers.rounds(n)))

    track_certificate_share.unit = "% of the solve"
