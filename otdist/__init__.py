"""Optimal-transport distances, each with a certificate."""

import importlib as _importlib
import typing as _typing

from otdist._version import __version__ as __version__
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
from otdist.pipeline import certify, solve
from otdist.problem.gradients import Gradients
from otdist.problem.problem import Problem
from otdist.problem.result import Certificate, Result, Status
from otdist.sliced.projections import sliced_wasserstein_distance

if _typing.TYPE_CHECKING:
    from otdist import comparison as comparison
    from otdist import critics as critics
    from otdist import datasets as datasets
    from otdist import divergences as divergences
    from otdist import gaussian as gaussian
    from otdist import plans as plans
    from otdist import plot as plot
    from otdist import samples as samples
    from otdist import sliced as sliced
    from otdist import torch as torch
    from otdist.cli.warm_up import warmup as warmup
    from otdist.comparison.table import compare as compare
    from otdist.gaussian.bures import bures_wasserstein_distance as bures_wasserstein_distance

__all__ = [
    "Certificate",
    "FailedPairsWarning",
    "Gradients",
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
    "warmup",
    "wasserstein_distance",
]

#: Public modules, imported when first used.
_SUBMODULES = (
    "comparison",
    "critics",
    "datasets",
    "divergences",
    "gaussian",
    "plans",
    "plot",
    "samples",
    "sliced",
    "torch",
)

#: Functions that are imported when first used too: their packages import much else.
_FUNCTIONS = {
    "bures_wasserstein_distance": "otdist.gaussian.bures",
    "compare": "otdist.comparison.table",
    "warmup": "otdist.cli.warm_up",
}


#: What other libraries have and this one has not.
_NOT_HERE = (
    "SinkhornTransport",
    "barycenter",
    "barycenters",
    "da",
    "gromov",
    "gromov_wasserstein",
    "gw",
    "neural",
)
#: Names in other libraries, and what does that here.
_MEANT = {
    **dict.fromkeys(
        _NOT_HERE, "it is not here; https://otdist.github.io/otdist/not-here.html says who has it"
    ),
    "unbalanced": "Problem.partial and sinkhorn_divergence(reach=) take unequal masses",
    "emd2": "otdist.emd returns the cost, and solve(Problem.from_cost(cost, a, b)).plan the plan",
    "sinkhorn": "write solve(problem, method='sinkhorn', epsilon=...)",
    "sinkhorn2": "write solve(problem, method='sinkhorn', epsilon=...).value",
    "dist": "write scipy.spatial.distance.cdist(x, y)",
    "wasserstein_1d": "otdist.wasserstein_distance takes points on the line",
    "sliced_wasserstein": "write otdist.sliced_wasserstein_distance",
    "energy_distance": "it is in scipy.stats",
    "jensenshannon": "write otdist.js_distance",
    "entropy": "write otdist.kl_divergence",
}


def __getattr__(name: str) -> _typing.Any:
    if name in _FUNCTIONS:
        return getattr(_importlib.import_module(_FUNCTIONS[name]), name)
    if name not in _SUBMODULES:
        meant = _MEANT.get(name)
        hint = "" if meant is None else f"; {meant}"
        raise AttributeError(f"module 'otdist' has no attribute {name!r}{hint}")
    try:
        return _importlib.import_module(f"otdist.{name}")
    except ImportError as error:
        # help() and completion skip what raises AttributeError: PyTorch is optional.
        raise AttributeError(str(error)) from error


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])
