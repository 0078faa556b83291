"""Optimal-transport distances, each with a certificate."""

from otdist._align import align
from otdist._bures import bures_wasserstein_distance
from otdist._certify import certify
from otdist._compare import compare
from otdist._distances import emd, sinkhorn_divergence, wasserstein_distance
from otdist._divergences import (
    hellinger_distance,
    js_distance,
    js_divergence,
    kl_divergence,
    total_variation,
)
from otdist._duality import c_transform, kr_dual
from otdist._errors import (
    InfeasibleError,
    InputError,
    InputWarning,
    NotCertifiedError,
)
from otdist._f_divergences import (
    chi2_divergence,
    f_divergence,
    renyi_divergence,
)
from otdist._interval import w1_interval
from otdist._lipschitz import lipschitz_lower
from otdist._pairwise import pairwise
from otdist._problem import Problem
from otdist._result import Certificate, Result, Status
from otdist._solve import solve
from otdist._version import __version__ as __version__
from otdist.sliced import sliced_wasserstein_distance

__all__ = [
    "Certificate",
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
    "sliced_wasserstein_distance",
    "solve",
    "total_variation",
    "w1_interval",
    "wasserstein_distance",
]
