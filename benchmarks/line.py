"""Points on the line: otdist beside SciPy and POT."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import wasserstein_distance as scipy_distance

from benchmarks import peers
from benchmarks.instances import masses
from otdist import Problem, solve, wasserstein_distance


def ratio(ours: Callable[[], object], peer: Callable[[], object]) -> float:
    """Return how many times longer the peer takes: medians of 5, in turns."""
    seconds, others = peers.medians([ours, peer], 5)
    return others / seconds


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


class PotEmd(_OnLine):
    params = ((10**2, 10**4, 10**6), (1,), ("uniform", "random"))

    def setup(self, n, p, weights):
        self.pot = peers.load_pot()
        super().setup(n, p, weights)

    def time_emd2_1d(self, n, p, weights):
        self.pot.emd2_1d(self.x, self.y, self.a, self.b, metric="cityblock")


class Ratio:
    """Peers beside otdist in one process; on two threads only otdist sorts at once."""

    params = ((10**4, 10**6), ("uniform", "random"), (1, 2))
    param_names = ("n", "weights", "n_jobs")
    timeout = 300

    def setup(self, n, weights, n_jobs):
        rng = np.random.default_rng(n)
        x, y = rng.standard_normal(n), rng.standard_normal(n + 1) + 1
        self.pair = x, y, masses(rng, n, weights), masses(rng, n + 1, weights)
        self.pot = peers.load_pot()

    def ratio(self, peer, n_jobs):
        return ratio(lambda: wasserstein_distance(*self.pair, n_jobs=n_jobs), peer)

    def track_scipy(self, n, weights, n_jobs):
        return self.ratio(lambda: scipy_distance(*self.pair), n_jobs)

    def track_pot_wasserstein_1d(self, n, weights, n_jobs):
        return self.ratio(lambda: self.pot.wasserstein_1d(*self.pair, p=1), n_jobs)

    def track_pot_emd2_1d(self, n, weights, n_jobs):
        return self.ratio(lambda: self.pot.emd2_1d(*self.pair, metric="cityblock"), n_jobs)


class Pairs:
    """Many pairs of 50 points in one call, beside a loop over SciPy on some of them."""

    params = ((10**3, 10**5), (1, 2), ("uniform", "random"))
    param_names = ("pairs", "p", "weights")
    timeout = 300

    def setup(self, pairs, p, weights):
        rng = np.random.default_rng(pairs)
        x, y = rng.standard_normal((pairs, 50)), rng.standard_normal((pairs, 50)) + 0.3
        self.arguments = [x, y]
        if weights == "random":
            a, b = rng.random((2, pairs, 50))
            self.arguments += [m / m.sum(axis=1, keepdims=True) for m in (a, b)]

    def distances(self, p):
        return wasserstein_distance(*self.arguments, p=p, axis=-1)

    def time_along_axis(self, pairs, p, weights):
        self.distances(p)

    def peakmem_along_axis(self, pairs, p, weights):
        self.distances(p)

    def track_ratio_to_scipy(self, pairs, p, weights):
        """Per pair, p = 1; SciPy has no other."""
        if p != 1:
            return float("nan")
        some = [each[:1000] for each in self.arguments]

        def loop():
            return [scipy_distance(*pair) for pair in zip(*some, strict=True)]

        return ratio(lambda: self.distances(p), loop) * pairs / 1000


class Sorted:
    """How much of the time of a pair is that of sorting it."""

    params = ((10**4, 10**6, 10**7),)
    param_names = ("n",)
    timeout = 600

    def setup(self, n):
        rng = np.random.default_rng(n)
        self.x, self.y = rng.standard_normal(n), rng.standard_normal(n) + 1
        self.a, self.b = masses(rng, n, "random"), masses(rng, n, "random")

    def distance(self):
        return wasserstein_distance(self.x, self.y, self.a, self.b)

    def time_distance(self, n):
        self.distance()

    def peakmem_distance(self, n):
        self.distance()

    def track_argsorts(self, n):
        """Time of NumPy's two argsorts, as a part of the whole."""
        return ratio(self.distance, lambda: (np.argsort(self.x), np.argsort(self.y)))
