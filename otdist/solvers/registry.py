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

from otdist.geometry.circle import Circle
from otdist.geometry.graph import Graph
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.grid_separable import Grid
from otdist.geometry.protocol import Geometry
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.typing import FloatArray


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
SOLVERS = (
    "network_simplex",
    "line",
    "circle",
    "bottleneck",
    "flow",
    "tree",
    "coprime",
    "highs",
    "sinkhorn",
)

_MODULES = {
    "network_simplex": "network_simplex.solver",
    "circle": "circle.solver",
    "bottleneck": "bottleneck.solver",
    "flow": "flow.solver",
    "tree": "flow.tree_solver",
    "coprime": "flow.coprime_solver",
    "sinkhorn": "sinkhorn.solver",
}

#: Methods for p = inf.
BOTTLENECK = ("line", "bottleneck")

#: Methods for problems in which not all mass is moved.
PARTIAL = ("network_simplex", "highs")

#: Methods whose plan is a flow on all nodes, with potentials for all of them.
FLOWS = ("flow", "tree", "coprime")

#: Methods that end with a marginal error instead of an exact plan.
ENTROPIC = ("sinkhorn",)


def start_from(geometry: Geometry, warm_start: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return g of a warm start, made c-concave and balanced.

    That keeps good potentials as they are and brings back any others, of whatever
    size, to no more than twice the size of the costs.
    """
    g = geometry.column_minimum(geometry.row_minimum(warm_start[1]))
    return np.asarray(g - g.mean())


@functools.cache
def load(method: str) -> Callable[[Problem, Options], Candidate]:
    """Return the entry point of a method, importing it now."""
    module = importlib.import_module(f"otdist.solvers.{_MODULES.get(method, method)}")
    run: Callable[[Problem, Options], Candidate] = module.run
    return run


def choose(problem: Problem) -> str:
    """Return the exact method that is fastest for the problem."""
    if isinstance(problem.geometry, Circle):
        return "circle"
    if problem.is_line:
        return "line"
    if problem.is_bottleneck:
        return "bottleneck"
    for method in ("tree", "flow"):
        if fits(problem, method):
            return method
    return "network_simplex"


def fits(problem: Problem, method: str) -> bool:
    """Whether a method that works by flows can solve the problem."""
    geometry = problem.geometry
    if isinstance(geometry, Graph):
        is_whole = geometry.is_whole
        return is_whole and (method == "flow" or (method == "tree" and geometry.is_tree))
    if isinstance(geometry, Grid):
        is_l1 = (geometry.metric, geometry.p) == ("cityblock", 1)
        return method == "flow" and is_l1
    if isinstance(geometry, Pixels) and method == "flow":
        steps = {float(step) for axis in geometry.axes for step in axis[1:2]}
        return geometry.metric == "chebyshev" and len(steps) <= 1
    if isinstance(geometry, Pixels) and method == "coprime":
        return geometry.metric == "euclidean" and len(geometry.axes) == 2
    return False
