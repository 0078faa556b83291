"""The largest distance moved (p = inf), beside bisection by maximum matchings of SciPy."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial.distance import cdist

from benchmarks import peers
from benchmarks.instances import FloatArray, make_points, sizes
from otdist import Problem, Result, solve

SIZES = sizes(100, 1000, 2000, 4000, 10000)
FAMILIES = (
    "uniform_2",
    "uniform_3_weights",
    "gaussian_2",
    "gaussian_2_weights",
    "gaussian_16",
    "clustered_2",
)
UNIFORM = ("uniform_2", "gaussian_2", "gaussian_16", "clustered_2")


def bottleneck(family: str, n: int) -> Result:
    clouds = make_points(family, n)
    return solve(Problem(clouds.x, clouds.y, clouds.a, clouds.b, p=math.inf))


def by_matchings(x: FloatArray, y: FloatArray) -> float:
    """Bisect the sorted distances; a perfect matching within is sought by SciPy."""
    distance = cdist(x, y)
    values = np.unique(distance)
    low = np.searchsorted(values, max(distance.min(0).max(), distance.min(1).max()))
    high = len(values) - 1
    while low < high:
        middle = (low + high) // 2
        within = csr_array(distance <= values[middle])
        if (maximum_bipartite_matching(within) >= 0).all():
            high = middle
        else:
            low = middle + 1
    return float(values[low])


class Bottleneck:
    params = (SIZES, FAMILIES)
    param_names = ("n", "family")
    timeout = 600

    def setup(self, n, family):
        bottleneck(family, 20)

    def time_solve(self, n, family):
        bottleneck(family, n)

    def peakmem_solve(self, n, family):
        bottleneck(family, n)

    def track_gap(self, n, family):
        return bottleneck(family, n).relative_gap


class RatioToMatchings:
    """Uniform masses, of one number: others are no matching."""

    params = (sizes(100, 1000, 2000), UNIFORM)
    param_names = ("n", "family")
    timeout = 3600
    unit = "scipy / otdist"

    def track_ratio(self, n, family):
        clouds = make_points(family, n)
        assert math.isclose(
            bottleneck(family, n).value, by_matchings(clouds.x, clouds.y), rel_tol=1e-14
        )
        ours, theirs = peers.medians(
            [
                lambda: bottleneck(family, n),
                lambda: by_matchings(clouds.x, clouds.y),
            ],
            3,
        )
        return theirs / ours
