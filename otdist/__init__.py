"""Optimal-transport distances, each with a certificate."""

from otdist._version import __version__ as __version__
from otdist.certificate.certify import certify
from otdist.comparison.table import compare
from otdist.critics.kr_dual import c_transform, kr_dual, w1_interval
from otdist.critics.lipschitz_search import lipschitz_lower
from otdist.distances.pairwise import pairwise
from otdist.distances.sinkhorn_divergence import (
    sinkhorn_divergence,
    sinkhorn_divergence_gradients,
)
from otdist.distances.wasserstein import emd, wasserstein_distance
from otdist.divergences.align import align
from otdist.divergences.f_divergences import (
    chi2_divergence,
    f_divergence,
    renyi_divergence,
)
from otdist.divergences.shannon import (
    hellinger_distance,
    js_distance,
    js_divergence,
    kl_divergence,
    total_variation,
)
from otdist.errors import (
    FailedPairsWarning,
    InfeasibleError,
    InputError,
    InputWarning,
    NotCertifiedError,
)
from otdist.gaussian.bures import bures_wasserstein_distance
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.problem.result import Certificate, Result, Status
from otdist.sliced.projections import sliced_wasserstein_distance

__all__ = [
    "Certificate",
    "FailedPairsWarning",
    "InfeasibleError",
    "InputError",
    "InputWarning",
    "NotCertifiedError",
    "Problem",
    "Result",
    "Status",
    "align",
    "bures_wasserstein_distance",
    "c_transform",
    "certify",
    "chi2_divergence",
    "compare",
    "emd",
    "f_divergence",
    "hellinger_distance",
    "js_distance",
    "js_divergence",
    "kl_divergence",
    "kr_dual",
    "lipschitz_lower",
    "pairwise",
    "renyi_divergence",
    "sinkhorn_divergence",
    "sinkhorn_divergence_gradients",
    "sliced_wasserstein_distance",
    "solve",
    "total_variation",
    "w1_interval",
    "wasserstein_distance",
]
