"""The methods of `solve` as records: the problems and options each of them takes.

A solver is one file with an entry point ``run(problem, options) -> Candidate`` and one
record in `SOLVERS`. It gets a validated problem, by default without atoms of weight 0,
and claims a plan and potentials; it validates nothing and proves nothing. It is imported
when it is first used, so that importing otdist loads no compiler and no SciPy.
"""

from __future__ import annotations

import functools
import importlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from otdist.errors import InputError, short
from otdist.geometry.circle import Circle
from otdist.geometry.graph import Graph
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.grid_separable import Grid
from otdist.geometry.protocol import Geometry
from otdist.problem.problem import Problem
from otdist.problem.result import EXACT_TOL, Candidate, Ended
from otdist.typing import FloatArray, IntArray

#: No run takes so many iterations; kernels count them in int64.
NO_LIMIT = 2**62


class Options(NamedTuple):
    """The options of one run; a solver reads those that its record names."""

    tol: float = EXACT_TOL
    max_iter: int = NO_LIMIT
    epsilon: float | None = None
    warm_start: tuple[FloatArray, FloatArray] | None = None
    #: Takes the iteration count and, where one is known, the relative gap.
    report: Callable[[int, float], None] | None = None
    n_jobs: int = 1
    deadline: float = math.inf
    #: The relative gap that an entropic method without epsilon should come near.
    gap: float | None = None

    def limit_met(self, n_iter: int) -> Ended | None:
        """Return the limit that is met, or None."""
        if n_iter >= self.max_iter:
            return Ended.ITERATIONS
        return Ended.TIME if time.monotonic() >= self.deadline else None

    def restricted(self, rows: IntArray, columns: IntArray) -> Options:
        """Return these options for some rows and columns of the problem, in that order."""
        if self.warm_start is None:
            return self
        f, g = self.warm_start
        return self._replace(warm_start=(f[rows], g[columns]))

    def ended(self, n_iter: int, *, finished: bool) -> Ended:
        """Return how a run ended that stops by its own rule, at a limit, or stalls."""
        return Ended.FINISHED if finished else self.limit_met(n_iter) or Ended.STALLED


class Kind(Enum):
    """The promise of a method, which decides the status of its answer."""

    EXACT = "exact"
    """OPTIMAL, or a gap that says by how much it is not."""
    WITHIN_TOL = "within tol"
    """CONVERGED once the bracket is as narrow as `tol`, relative."""
    ENTROPIC = "entropic"
    """CONVERGED by its own marginal error, at a given epsilon."""


@dataclass(frozen=True, kw_only=True)
class Solver:
    """A method of `solve`: the word, the entry point, and facts about both."""

    name: str
    #: The entry point, ``"module:function"``.
    run: str
    #: Whether it can solve a problem.
    accepts: Callable[[Problem], bool]
    #: The end of "method='…' needs …", for problems that it does not accept.
    requires: str
    kind: Kind = Kind.EXACT
    #: Defaults of `solve`.
    tol: float = EXACT_TOL
    max_iter: int = NO_LIMIT
    #: Options of `solve` that it knows beside `tol`, `n_jobs` and `progress`.
    options: frozenset[str] = frozenset()
    #: Whether it gets the atoms of weight 0 too, and gives potentials to them.
    takes_empty_atoms: Callable[[Problem], bool] = lambda problem: False
    #: Whether ``method="auto"`` may choose it.
    is_automatic: bool = True

    def load(self) -> Callable[[Problem, Options], Candidate]:
        """Return the entry point, importing it on first use."""
        return _loaded(self.run)


@functools.cache
def _loaded(run: str) -> Callable[[Problem, Options], Candidate]:
    module, function = run.split(":")
    entry: Callable[[Problem, Options], Candidate]
    entry = getattr(importlib.import_module(module), function)
    return entry


def _is_tree(problem: Problem) -> bool:
    geometry = problem.geometry
    return _has_edges(problem) and isinstance(geometry, Graph) and geometry.is_tree


def _has_edges(problem: Problem) -> bool:
    """Whether distances are lengths of paths along a few edges at each atom."""
    geometry = problem.geometry
    if problem.is_partial or problem.is_bottleneck:
        return False
    if isinstance(geometry, Grid):
        return (geometry.metric, geometry.p) == ("cityblock", 1)
    if isinstance(geometry, Pixels):
        steps = {float(step) for axis in geometry.axes for step in axis[1:2]}
        return geometry.metric == "chebyshev" and len(steps) <= 1
    return isinstance(geometry, Graph) and geometry.is_whole


def _is_euclidean_image(problem: Problem) -> bool:
    geometry = problem.geometry
    is_image = isinstance(geometry, Pixels) and len(geometry.axes) == 2
    return is_image and problem.metric == "euclidean" and not problem.is_partial


_LIMITS = frozenset({"max_iter", "time_limit"})

#: In the order in which ``method="auto"`` tries them.
SOLVERS: tuple[Solver, ...] = (
    Solver(
        name="circle",
        run="otdist.solvers.circle.solver:run",
        accepts=lambda problem: isinstance(problem.geometry, Circle) and not problem.is_partial,
        requires="a problem made by Problem.on_circle, without price or mass",
    ),
    Solver(
        name="line",
        run="otdist.solvers.line:run",
        accepts=lambda problem: problem.is_line and not problem.is_partial,
        requires="points on the line, a metric known by name and all mass moved",
    ),
    Solver(
        name="bottleneck",
        run="otdist.solvers.bottleneck.solver:run",
        accepts=lambda problem: problem.is_bottleneck,
        requires="p=inf",
        options=_LIMITS,
    ),
    Solver(
        name="tree",
        run="otdist.solvers.flow.solver:run_tree",
        accepts=_is_tree,
        requires="a connected graph without cycles and all mass moved",
        takes_empty_atoms=lambda problem: True,
    ),
    Solver(
        name="flow",
        run="otdist.solvers.flow.solver:run",
        accepts=_has_edges,
        requires=(
            "all mass moved on a graph, or on a grid with p=1 and metric='cityblock', or"
            " metric='chebyshev' and one spacing"
        ),
        options=_LIMITS,
        takes_empty_atoms=lambda problem: True,
    ),
    Solver(
        name="network_simplex",
        run="otdist.solvers.network_simplex.solver:run",
        accepts=lambda problem: not problem.is_bottleneck,
        requires="a finite p",
        options=_LIMITS | {"warm_start"},
        takes_empty_atoms=lambda problem: isinstance(problem.geometry, Pixels),
    ),
    Solver(
        name="highs",
        run="otdist.solvers.highs:run",
        accepts=lambda problem: not problem.is_bottleneck,
        requires="a finite p",
        options=frozenset({"max_iter"}),
        is_automatic=False,
    ),
    Solver(
        name="coprime",
        run="otdist.solvers.flow.solver:run_coprime",
        kind=Kind.WITHIN_TOL,
        # Steps up to 3 promise this, where the spacings are equal.
        tol=0.013,
        accepts=_is_euclidean_image,
        requires="two images, metric='euclidean', p=1 and all mass moved",
        options=_LIMITS,
        takes_empty_atoms=lambda problem: True,
        is_automatic=False,
    ),
    Solver(
        name="sinkhorn",
        run="otdist.solvers.sinkhorn.solver:run",
        kind=Kind.ENTROPIC,
        tol=1e-6,
        max_iter=10_000,
        accepts=lambda problem: not (problem.is_bottleneck or problem.is_partial),
        requires="a finite p and all mass moved (unequal masses: see sinkhorn_divergence)",
        options=_LIMITS | {"warm_start", "epsilon"},
        takes_empty_atoms=lambda problem: isinstance(problem.geometry, Grid),
        is_automatic=False,
    ),
)


def named(method: str) -> Solver:
    """Return the solver of a name; `InputError` if it is unknown."""
    for solver in SOLVERS if isinstance(method, str) else ():
        if solver.name == method:
            return solver
    known = ", ".join(repr(name) for name in ("auto", *(solver.name for solver in SOLVERS)))
    raise InputError(f"method {short(method)} is unknown; known methods are {known}")


def permits(method: Any, *names: str) -> bool:
    """Return whether a choice of method leaves room for one of the named ways to solve."""
    if not isinstance(method, str):
        named(method)
    return method in ("auto", *names)


def choose(problem: Problem, method: str = "auto", **given: Any) -> Solver:
    """Return the solver of a method, or the first automatic one that takes the problem.

    `given` are options of `solve`; each that is not None must be known to the solver.
    """
    if isinstance(method, str) and method == "auto":
        solver = next(each for each in SOLVERS if each.is_automatic and each.accepts(problem))
    else:
        solver = named(method)
        if not solver.accepts(problem):
            raise InputError(
                f"method={method!r} needs {solver.requires}; for {problem!r} use"
                f" {_names(_fitting(problem))}"
            )
    for option, value in given.items():
        if value is not None and option not in solver.options:
            knowing = [each for each in _fitting(problem) if option in each.options]
            chosen = ", which method='auto' chose" if method == "auto" else ""
            if chosen and option in _LIMITS and not solver.options & _LIMITS:
                chosen += ": a direct method, which needs no limit"
            remedy = f", or use {_names(knowing)}" if knowing else ""
            raise InputError(
                f"{option} is not an option of method={solver.name!r}{chosen};"
                f" for {problem!r} leave it out{remedy}"
            )
    return solver


def another_exact(problem: Problem, name: str) -> Solver | None:
    """Return the exact solver to try after the named one, None if there is no other."""
    others = (solver for solver in SOLVERS if solver.kind is Kind.EXACT and solver.name != name)
    return next((solver for solver in others if solver.accepts(problem)), None)


def _fitting(problem: Problem) -> list[Solver]:
    return [solver for solver in SOLVERS if solver.accepts(problem)]


def _names(solvers: list[Solver]) -> str:
    """Return ``method='line', method='network_simplex' or method='highs'``."""
    *first, last = (f"method={solver.name!r}" for solver in solvers)
    return f"{', '.join(first)} or {last}" if first else last


def start_from(geometry: Geometry, warm_start: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return g of a warm start, made c-concave and balanced.

    That keeps good potentials as they are. Others are brought to the size of the costs, unless
    costs are forbidden: a path of the allowed arcs may then cost more than any of them.
    """
    g = geometry.column_minimum(geometry.row_minimum(warm_start[1]))
    return np.asarray(g - g.mean())
