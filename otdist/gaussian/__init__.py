"""Distances and divergences of two normal laws N(m1, C1) and N(m2, C2), in closed form.

The functions are named as those of `otdist` that take data: truths to compare with.

A mean is a number or an array ``(d,)``; a covariance is a number c, the variance along
every axis (c times the identity), or a symmetric matrix ``(d, d)``, positive definite.
Variances, not standard deviations. All take O(d**3) time and O(d**2) memory.

After a change of coordinates in which the second law is N(0, I) and the first has a
diagonal covariance, all but the Wasserstein distances are sums over the axes. The new
variances less 1 come from C1 - C2, so that near-equal laws keep their digits.
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
