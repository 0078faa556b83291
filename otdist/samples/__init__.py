"""Divergences of two distributions, estimated or bounded from samples.

The divergences of `otdist` itself compare atoms. Samples of continuous distributions share no
atom: their KL is inf and their JS log 2. The functions here estimate the divergences of the
distributions (`Estimate`: nothing is proved) or bound them (`LowerBound`: proved, with a
confidence). Without assumptions on smoothness, samples give no upper bound of a divergence,
and no lower bound of KL above about the log of the sample size.
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
