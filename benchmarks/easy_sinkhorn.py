"""Sinkhorn to a marginal error of 1e-5, certificate included, beside POT's two functions.

POT's time includes the cost matrix, as ours includes the costs of the points. Its tolerance is
that of a 2-norm.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks import peers
from otdist import Problem, solve

SIZES = (100, 300, 1000, 3000)
DIMENSIONS = (2, 16)
PARTS = (0.5, 0.05, 0.01)
TOL = 1e-5
_MOST_ITERATIONS = 10_000
# A peer that took so many times as long as we do in its first call is not called again.
_HOPELESS = 20
_REPEATS = 7


class EasySinkhorn:
    """Two clouds with uniform weights, p = 2, epsilon as a part of the mean cost."""

    params = (SIZES, DIMENSIONS, PARTS)
    param_names = ("n", "d", "part")
    timeout = 600

    def setup(self, n, d, part):
        self.pot = peers.load_pot()
        rng = np.random.default_rng([n, d])
        self.x, self.y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.5
        self.weights = np.full(n, 1 / n)
        self.epsilon = part * float(self.pot.dist(self.x, self.y).mean())
        self.problem = Problem(self.x, self.y, p=2)
        self.ours()

    def ours(self):
        return solve(self.problem, method="sinkhorn", epsilon=self.epsilon, tol=TOL)

    def peer(self, name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(self.pot.bregman, name)(
                self.weights,
                self.weights,
                self.pot.dist(self.x, self.y),
                self.epsilon,
                numItermax=_MOST_ITERATIONS,
                stopThr=TOL / np.sqrt(len(self.x)),
                warn=False,
            )

    def time_otdist(self, n, d, part):
        self.ours()

    def time_pot_sinkhorn(self, n, d, part):
        self.peer("sinkhorn")

    def track_ratio_to_pot(self, n, d, part):
        """Return the time of the faster of POT's functions over ours, calls interleaved."""
        return best_ratio(self.ours, [lambda: self.peer("sinkhorn"), self.peer_log])

    track_ratio_to_pot.unit = "POT / otdist"

    def peer_log(self):
        return self.peer("sinkhorn_log")


def best_ratio(ours: Callable[[], object], others: list[Callable[[], object]]) -> float:
    """Return the median time of the fastest of the others over that of ours."""
    own: list[float] = []
    times: list[list[float]] = [[] for _ in others]
    for _ in range(_REPEATS):
        own.append(_seconds(ours))
        for other, found in zip(others, times, strict=True):
            if not found or found[0] < _HOPELESS * own[0]:
                found.append(_seconds(other))
    return min(map(statistics.median, times)) / statistics.median(own)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
