"""The calls people make, at the sizes they make them, beside the peer they would take instead.

Each is peer / otdist, a median of interleaved calls in one process: below 1 the peer is faster.
POT runs to the optimum, and gets its cost matrix as its users make it, with ``ot.dist``. Run
``python -m benchmarks.everyday`` for a table of all cases, or of those whose names are given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np

from benchmarks import peers
from otdist import emd, pairwise, wasserstein_distance

Call = Callable[[], object]
Case = tuple[str, Call, Call]

SHORT = (10, 100, 1000, 10_000)
LONG = 1_000_000
CLOUDS = (10, 50, 200, 500, 1000, 3000)
DIMENSIONS = (2, 3, 16, 64)
MATRICES = (5, 10, 20, 50, 100, 300, 500)
SQUARES = (100, 300, 500, 1000)
LARGE = (1000, 2500)


def line(n: int) -> Iterator[Case]:
    """Yield distances on the line, beside SciPy for p = 1 and POT for p = 2."""
    from scipy.stats import wasserstein_distance as scipy_w1

    pot, rng = peers.load_pot(), np.random.default_rng([1, n])
    x, y = rng.normal(size=n), rng.normal(size=n) + 0.1
    a, b = rng.dirichlet(np.ones(n), 2)
    yield "W1", lambda: wasserstein_distance(x, y), lambda: scipy_w1(x, y)
    yield "W1, weights", lambda: wasserstein_distance(x, y, a, b), lambda: scipy_w1(x, y, a, b)
    yield (
        "W2",
        lambda: wasserstein_distance(x, y, p=2),
        lambda: pot.wasserstein_1d(x, y, p=2),
    )
    yield (
        "W2, weights",
        lambda: wasserstein_distance(x, y, a, b, p=2),
        lambda: pot.wasserstein_1d(x, y, a, b, p=2),
    )
    yield (
        "W2, emd2_1d",
        lambda: wasserstein_distance(x, y, p=2),
        lambda: pot.emd2_1d(x, y) ** 0.5,
    )
    yield (
        "W2, weights, emd2_1d",
        lambda: wasserstein_distance(x, y, a, b, p=2),
        lambda: pot.emd2_1d(x, y, a, b) ** 0.5,
    )


def circle(n: int) -> Iterator[Case]:
    """Yield distances on a circle, beside POT, which halves a range down to 1e-6 for p = 2."""
    pot, rng = peers.load_pot(), np.random.default_rng([7, n])
    x, y = rng.random((2, n))
    a, b = rng.dirichlet(np.ones(n), 2)
    for p in (1, 2):
        for name, of in (("", ()), (", weights", (a, b))):
            yield (
                f"W{p}{name}",
                lambda p=p, of=of: wasserstein_distance(x, y, *of, p=p, period=1.0),
                lambda p=p, of=of: pot.wasserstein_circle(x, y, *of, p=p),
            )


def histograms(n: int) -> Iterator[Case]:
    """Yield distances of weights of the same bins, beside SciPy for p = 1 and POT for p = 2."""
    from scipy.stats import wasserstein_distance as scipy_w1

    pot, bins = peers.load_pot(), np.arange(float(n))
    a, b = np.random.default_rng([8, n]).dirichlet(np.ones(n), 2)
    yield (
        "W1",
        lambda: wasserstein_distance(bins, bins, a, b),
        lambda: scipy_w1(bins, bins, a, b),
    )
    yield (
        "W2",
        lambda: wasserstein_distance(bins, bins, a, b, p=2),
        lambda: pot.emd2_1d(bins, bins, a, b) ** 0.5,
    )


def clouds(n: int) -> Iterator[Case]:
    """Yield distances of points, beside POT and, for equal weights, SciPy's assignment."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    pot, uniform = peers.load_pot(), np.full(n, 1 / n)
    for d in DIMENSIONS:
        rng = np.random.default_rng([2, n, d])
        x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.3
        a, b = rng.dirichlet(np.ones(n), 2)
        for p, metric in ((1, "euclidean"), (2, "sqeuclidean")):
            for name, u, v in (("", None, None), (", weights", a, b)):

                def ours(u=u, v=v, p=p, x=x, y=y):
                    return wasserstein_distance(x, y, u, v, p=p)

                def theirs(u=u, v=v, metric=metric, x=x, y=y):
                    u, v = (uniform, uniform) if u is None else (u, v)
                    return pot.emd2(u, v, pot.dist(x, y, metric=metric), numItermax=10**9)

                yield f"W{p}, d = {d}{name}", ours, theirs

        def assigned(x=x, y=y):
            cost = cdist(x, y)
            return cost[linear_sum_assignment(cost)].mean()

        yield f"W1, d = {d}, SciPy", lambda x=x, y=y: wasserstein_distance(x, y), assigned


def _matrices(n: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield square cost matrices of the families of the everyday table."""
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng([3, n])
    for d in (2, 16):
        yield f"d = {d}", cdist(rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.5)
    yield "random", rng.random((n, n))
    yield "integers", rng.integers(0, 100, (n, n)).astype(float)


def matrices(n: int) -> Iterator[Case]:
    """Yield costs of couplings for a matrix, beside POT."""
    pot, uniform = peers.load_pot(), np.full(n, 1 / n)
    for name, cost in _matrices(n):
        weights = np.random.default_rng([4, n]).dirichlet(np.ones(n))
        for of, a in (("", uniform), (", weights", weights)):

            def ours(a=a, cost=cost):
                return emd(a, uniform, cost)

            def theirs(a=a, cost=cost):
                return pot.emd2(a, uniform, cost, numItermax=10**9)

            yield name + of, ours, theirs


def squares(n: int) -> Iterator[Case]:
    """Yield assignments, proved here and not there, beside lapcpp and laprust."""
    uniform = np.full(n, 1 / n)
    for name, cost in _matrices(n):
        for peer in filter(find_spec, ("lapcpp", "laprust")):
            solve = __import__(peer).lapjv
            yield (
                f"{name}, {peer}",
                lambda cost=cost: emd(uniform, uniform, cost),
                lambda cost=cost, solve=solve: solve(cost),
            )


def stacks(n: int) -> Iterator[Case]:
    """Yield 200 matrices in one call, beside a loop and lapcpp's batch."""
    pot, uniform = peers.load_pot(), np.full(n, 1 / n)
    cost = np.random.default_rng([5, n]).random((200, n, n))

    def ours():
        return emd(uniform, uniform, cost)

    yield "random", ours, lambda: [pot.emd2(uniform, uniform, each) for each in cost]
    if find_spec("lapcpp"):
        from lapcpp import lapjv_batch

        yield "random, lapcpp", ours, lambda: lapjv_batch(cost)


def many(n: int) -> Iterator[Case]:
    """Yield all pairs of clouds, and of weights on one support, beside a loop over POT."""
    from scipy.spatial.distance import cdist

    pot, rng = peers.load_pot(), np.random.default_rng([6, n])
    count = max(8, min(60, 2400 // n))
    for name, sizes in (("equal", [n] * count), ("ragged", rng.integers(n // 2, n + 1, count))):
        sets = [rng.normal(size=(size, 2)) for size in sizes]

        def loop(sets=sets):
            for i, x in enumerate(sets):
                for y in sets[:i]:
                    pot.emd2([], [], pot.dist(x, y, metric="euclidean"), numItermax=10**9)

        yield name, lambda sets=sets: pairwise(sets), loop
    grid = np.argwhere(np.ones((8, 8))).astype(float)
    weights, cost = rng.dirichlet(np.full(64, 0.3), count), cdist(grid, grid)
    yield (
        "one support",
        lambda: pairwise([(grid, a) for a in weights]),
        lambda: [pot.emd2(a, b, cost) for i, a in enumerate(weights) for b in weights[:i]],
    )


#: What is compared, and at which sizes.
CASES: dict[str, tuple[Callable[[int], Iterator[Case]], tuple[int, ...]]] = {
    "line": (line, (*SHORT, LONG)),
    "circle": (circle, SHORT),
    "histograms": (histograms, SHORT),
    "clouds": (clouds, CLOUDS),
    "matrices": (matrices, (*MATRICES, *LARGE)),
    "squares": (squares, SQUARES),
    "stacks": (stacks, (64,)),
    "many": (many, (20, 50, 200)),
}


def ratio(ours: Call, peer: Call) -> float:
    """Return how many times longer the peer takes: medians of 7, in turns.

    Short calls are repeated until a timing takes a millisecond.
    """
    peers.medians([ours, peer], 3)
    seconds, _ = peers.medians([ours, peer], 3)
    seconds, others = peers.medians([ours, peer], 7, max(1, int(1e-3 / seconds)))
    return others / seconds


class Everyday:
    """The worst and the geometric mean of a kind of calls, at one size."""

    params = (tuple(f"{kind} {n}" for kind, (_, sizes) in CASES.items() for n in sizes),)
    param_names = ("calls",)
    timeout = 3600

    def setup(self, calls):
        kind, n = calls.split()
        self.cases = list(CASES[kind][0](int(n)))
        if not self.cases:
            raise NotImplementedError("the peers are not installed")

    def ratios(self):
        return [ratio(ours, theirs) for _, ours, theirs in self.cases]

    def track_worst(self, calls):
        return min(self.ratios())

    track_worst.unit = "peer / otdist"

    def track_mean(self, calls):
        return float(np.exp(np.mean(np.log(self.ratios()))))

    track_mean.unit = "peer / otdist"


def main(kinds: list[str]) -> None:
    """Print all ratios of the kinds named, and of each size the worst."""
    for kind in kinds or CASES:
        cases, sizes = CASES[kind]
        for n in sizes:
            found = [(ratio(ours, theirs), name) for name, ours, theirs in cases(n)]
            for value, name in found:
                print(f"{kind:10} n = {n:<8} {name:24} {value:8.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
