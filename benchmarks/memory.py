"""Memory that a solve takes beyond its input, in a fresh process.

Wanted: at most 10 % of a cost matrix, and at most 200 bytes for each point of either
cloud. Below some 10^4 points the allocator and the pages of code weigh more than that.
"""

from __future__ import annotations

import math

from benchmarks import fresh
from benchmarks.instances import FAMILIES, sizes


class Matrix:
    params = (sizes(250, 1000, 4000, 10000), FAMILIES)
    param_names = ("n", "family")
    timeout = 3600

    def track_beyond_input(self, n, family):
        measured = fresh.measure("matrix", family, n)
        matrix = 8 * math.prod(measured.shape)
        return 100 * (measured.peak - measured.before) / matrix

    track_beyond_input.unit = "% of the matrix"


class Points:
    params = (
        sizes(250, 1000, 10**4, 10**5),
        ("uniform_2", "uniform_3_weights", "gaussian_2", "gaussian_3", "gaussian_16"),
    )
    param_names = ("n", "family")
    timeout = 3600

    def track_beyond_input(self, n, family):
        measured = fresh.measure("points", family, n)
        return (measured.peak - measured.before) / sum(measured.shape)

    track_beyond_input.unit = "bytes per point"
