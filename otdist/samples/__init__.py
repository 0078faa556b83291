"""Divergences of two laws, estimated or bounded from samples of them.

The divergences of `otdist` itself compare atoms, and samples of continuous laws share
none: there KL is inf and JS log 2, whatever the laws. What is here looks past the atoms.
Nothing bounds a divergence from above by samples alone, without assumptions on how
smooth the laws are; and no lower bound of KL exceeds about the log of the sample size.
"""

from otdist.samples.estimates import (
    Estimate,
    LowerBound,
    classifier_divergence,
    divergence_lower,
    knn_divergence,
)

__all__ = [
    "Estimate",
    "LowerBound",
    "classifier_divergence",
    "divergence_lower",
    "knn_divergence",
]
