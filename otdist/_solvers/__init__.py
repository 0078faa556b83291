"""One file, one method, one entry point ``run(problem, options) -> Candidate``.

A solver gets a problem whose atoms all carry mass, and claims a plan and
potentials. It validates nothing and proves nothing. Solvers are imported when
they are first used, so that importing otdist loads neither numba nor SciPy.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from otdist._geometry import Geometry
from otdist._geometry.circle import Circle
from otdist._problem import Problem
from otdist._result import Candidate
from otdist._typing import FloatArray


class Options(NamedTuple):
    """What `solve` hands to every solver; each uses what it knows."""

    tol: float
    max_iter: int
    epsilon: float | None
    warm_start: tuple[FloatArray, FloatArray] | None
    #: Takes the iteration count and, where one is known, the relative gap.
    report: Callable[[int, float], None] | None
    n_jobs: int = 1
    deadline: float = float("inf")
    #: The relative gap that an entropic method without epsilon should come near.
    gap: float | None = None


#: The methods by name: each is a module of this package.
SOLVERS = ("network_simplex", "line", "circle", "bottleneck", "highs", "sinkhorn")

#: Methods for p = inf.
BOTTLENECK = ("line", "bottleneck")

#: Methods for problems in which not all mass is moved.
PARTIAL = ("network_simplex", "highs")

#: Methods that end with a marginal error instead of an exact plan.
ENTROPIC = ("sinkhorn",)


def start_from(
    geometry: Geometry, warm_start: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Return g of a warm start, made c-concave and balanced.

    That keeps good potentials as they are and brings back any others, of whatever
    size, to no more than twice the size of the costs.
    """
    g = geometry.column_minimum(geometry.row_minimum(warm_start[1]))
    return np.asarray(g - g.mean())


@functools.cache
def load(method: str) -> Callable[[Problem, Options], Candidate]:
    """Return the entry point of a method, importing it now."""
    module = importlib.import_module(f"otdist._solvers.{method}")
    run: Callable[[Problem, Options], Candidate] = module.run
    return run


def choose(problem: Problem) -> str:
    """Return the exact method that is fastest for the problem."""
    if isinstance(problem.geometry, Circle):
        return "circle"
    if problem.is_line:
        return "line"
    return "bottleneck" if problem.is_bottleneck else "network_simplex"
