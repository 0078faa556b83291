"""Distances and divergences of two normal distributions N(m1, C1) and N(m2, C2).

The functions have the names of those of `otdist` that take data, and give their true values.

A mean is a number or an array ``(d,)``. A covariance is a number, the variance along every
axis, or a positive definite symmetric matrix ``(d, d)``: variances, not standard deviations.
All functions take O(d**3) time and O(d**2) memory.
"""

from otdist.gaussian.closed_forms import (
    chi2_divergence,
    hellinger_distance,
    js_divergence,
    kl_divergence,
    renyi_divergence,
    total_variation,
    wasserstein_distance,
)

__all__ = [
    "chi2_divergence",
    "hellinger_distance",
    "js_divergence",
    "kl_divergence",
    "renyi_divergence",
    "total_variation",
    "wasserstein_distance",
]
