"""Sliced distances: measures seen along directions, where transport is sorting.

Along a unit vector u the points x become the numbers ``x @ u``, and W_p of those takes
O(n log n) time, each proved as on the line. The mean over all directions is estimated,
the largest is searched for; neither is more than W_p of the measures themselves.
"""

from otdist.sliced.projections import (
    Slice,
    max_sliced_wasserstein_distance,
    sliced_wasserstein_distance,
)

__all__ = ["Slice", "max_sliced_wasserstein_distance", "sliced_wasserstein_distance"]
