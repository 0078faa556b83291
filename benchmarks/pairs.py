"""Many small problems in one call, beside a loop over POT; ``python -m benchmarks.pairs``.

Digits are the images of 8 by 8 pixels of scikit-learn, Euclidean between pixels, as
masses of sum 1; clouds have 100 to 300 Gaussian points each. Both were chosen before
any result was seen. A loop over POT is what a user writes: `emd2` on the matrix of
pixels, made once, or `dist` and `emd2` for each pair of clouds.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, NamedTuple

import numpy as np

from benchmarks import peers
from benchmarks.instances import FloatArray, sizes
from otdist import Problem, pairwise, solve

FAMILIES = ("digits", "clouds_2", "clouds_16")
FULL = {"digits": 500, "clouds_2": 200, "clouds_16": 200}
# Pairs that POT is timed on, evenly among all.
_POT_PAIRS = 200


class Task(NamedTuple):
    """Measures as `pairwise` takes them."""

    measures: Any
    support: FloatArray | None


def make(family: str, count: int) -> Task:
    """Return the first `count` measures of a family."""
    if family == "digits":
        images = _digits()[:count]
        pixels = np.indices((8, 8)).reshape(2, -1).T.astype(float)
        return Task(images / images.sum(axis=1, keepdims=True), pixels)
    d = int(family.removeprefix("clouds_"))
    rng = np.random.default_rng([2026, d])
    clouds = []
    for _ in range(count):
        n = int(rng.integers(100, 301))
        clouds.append(rng.normal(size=(n, d)) + rng.normal(size=d))
    return Task(clouds, None)


def _digits() -> FloatArray:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise NotImplementedError("scikit-learn is not installed") from None
    return load_digits().data


def ours(task: Task, n_jobs: int = 1) -> FloatArray:
    """Return the condensed matrix."""
    return pairwise(task.measures, support=task.support, condensed=True, n_jobs=n_jobs)


def pairs_for_pot(task: Task) -> list[tuple[int, int]]:
    """Return some pairs, evenly among all."""
    i, j = np.triu_indices(len(task.measures), 1)
    chosen = np.unique(np.linspace(0, len(i) - 1, _POT_PAIRS).astype(int))
    return list(zip(i[chosen], j[chosen], strict=True))


def pot_loop(task: Task, pairs: list[tuple[int, int]]) -> list[float]:
    """Return POT's values of some pairs, to the optimum."""
    ot, options = peers.load_pot(), {"numItermax": 10**9}
    if task.support is not None:
        cost = ot.dist(task.support, task.support, metric="euclidean")
        return [ot.emd2(task.measures[i], task.measures[j], cost, **options) for i, j in pairs]
    values = []
    for i, j in pairs:
        x, y = task.measures[i], task.measures[j]
        cost = ot.dist(x, y, metric="euclidean")
        values.append(ot.emd2(ot.unif(len(x)), ot.unif(len(y)), cost, **options))
    return values


class Measured(NamedTuple):
    """Medians in seconds for each pair."""

    otdist: float
    pot: float

    @property
    def ratio(self) -> float:
        return self.pot / self.otdist


def measure(task: Task, repeats: int) -> Measured:
    """Time both in turn, on one core."""
    pairs = pairs_for_pot(task)
    calls = [lambda: ours(task), lambda: pot_loop(task, pairs)]
    otdist, pot = peers.medians(calls, repeats)
    n_pairs = len(task.measures) * (len(task.measures) - 1) / 2
    return Measured(otdist / n_pairs, pot / len(pairs))


def worst_gap(task: Task) -> float:
    """Return the largest certified relative gap of the pairs that POT is timed on."""
    return max(solve(_problem(task, i, j)).relative_gap for i, j in pairs_for_pot(task))


def _problem(task: Task, i: int, j: int) -> Problem:
    x, y = task.measures[i], task.measures[j]
    if task.support is None:
        return Problem(x, y)
    return Problem(task.support, task.support, x, y)


def scaling(task: Task, repeats: int) -> float:
    """Return how many times faster two workers are than one."""
    alone, both = peers.medians([lambda: ours(task), lambda: ours(task, 2)], repeats)
    return alone / both


class _OnPairs:
    params = (FAMILIES, (15, *sizes(100)))
    param_names = ("family", "count")
    repeats = 5
    timeout = 600

    def setup(self, family, count):
        self.task = make(family, count)
        ours(make(family, 3), 2)


class Pairs(_OnPairs):
    def time_pairwise(self, family, count):
        ours(self.task)

    def time_pairwise_of_two_workers(self, family, count):
        ours(self.task, 2)

    def peakmem_pairwise(self, family, count):
        ours(self.task)

    def track_gap(self, family, count):
        return worst_gap(self.task)

    def track_scaling(self, family, count):
        return scaling(self.task, self.repeats)

    track_scaling.unit = "one worker / two"


class Pot(_OnPairs):
    """A loop over POT, and how many times longer it takes for each pair."""

    def setup(self, family, count):
        peers.load_pot()
        super().setup(family, count)

    def time_loop(self, family, count):
        pot_loop(self.task, pairs_for_pot(self.task))

    def track_ratio_to_pot(self, family, count):
        return measure(self.task, self.repeats).ratio

    track_ratio_to_pot.unit = "POT / otdist"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--count", type=int, help="measures; default: all of a family")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    head = "family      measures  us/pair  POT us/pair  ratio      gap  1 -> 2 workers\n"
    sys.stdout.write(head)
    for family in arguments.family or FAMILIES:
        count = arguments.count or FULL[family]
        task = make(family, count)
        ours(make(family, 3), 2)
        found = measure(task, arguments.repeats)
        speed, gap = scaling(task, arguments.repeats), worst_gap(task)
        sys.stdout.write(
            f"{family:<10} {count:9d} {1e6 * found.otdist:8.1f} {1e6 * found.pot:12.1f}"
            f" {found.ratio:6.1f} {gap:8.1e} {speed:8.2f}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
