"""Sliced distances: transport along directions, where it is sorting.

Along a unit vector u the points x become the numbers ``x @ u``, and W_p of those takes
O(n log n) time, and is proved as on the line. The mean over all directions is estimated,
and the maximum is searched for; neither exceeds W_p of the measures themselves.
"""

from otdist.sliced.projections import (
    Estimate,
    Slice,
    max_sliced_wasserstein_distance,
    sliced_wasserstein_distance,
    sliced_wasserstein_estimate,
)

__all__ = [
    "Estimate",
    "Slice",
    "max_sliced_wasserstein_distance",
    "sliced_wasserstein_distance",
    "sliced_wasserstein_estimate",
]
