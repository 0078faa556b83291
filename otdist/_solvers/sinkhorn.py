"""Entropic transport by Sinkhorn's iteration in the log domain.

Minimises ``<P, c> + epsilon KL(P | a bᵀ / mass)`` over couplings P. One pass over
the costs, in blocks of rows, does a whole iteration with one exp per entry: the
exps that update f are summed again to update g. The weight epsilon is annealed
from the scale of the costs down to its target (Schmitzer, 2019), and the plan
is rounded to exact marginals (Altschuler, Weed, Rigollet, 2017).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from otdist._entropic.grid import run_on_grid
from otdist._geometry import Geometry, blocks
from otdist._geometry.blocks import row_blocks
from otdist._geometry.dense import Dense
from otdist._geometry.grid import Grid
from otdist._masses import shrink
from otdist._plan import EntropicPlan
from otdist._problem import Problem
from otdist._result import Candidate
from otdist._solvers import Options, start_from
from otdist._typing import FloatArray

# Iterations at each annealed weight before the target.
_ITERATIONS_PER_LEVEL = 5
_ANNEALING = 0.5
# Matrices up to this many entries (256 MB) are held, to compute costs only once.
_HELD_ENTRIES = 1 << 25
# Marginal error, as a part of the mass, at which a plan counts as a coupling.
_COUPLING = 5e-14


class _Sweep(NamedTuple):
    """What one pass over the rows finds."""

    f: FloatArray
    columns: FloatArray  # column sums of the plan of (f, g)
    row_error: float  # |row sums - a|_1 of that plan


class _State(NamedTuple):
    """Where the iteration stands.

    In here f and g hold epsilon * log of the masses too, so that the plan is
    ``exp((f + g - c) / epsilon)``.
    """

    f: FloatArray
    g: FloatArray
    epsilon: float
    n_iter: int
    finished: bool


def run(problem: Problem, options: Options) -> Candidate:
    """Iterate until the marginal error is at most ``tol * mass``; O(n + m) memory."""
    if isinstance(problem.geometry, Grid):
        return run_on_grid(problem, options)
    geometry, a, b = _held(problem.geometry), problem.a, problem.b
    has_forbidden = isinstance(geometry, Dense) and geometry.has_forbidden
    # Spreading what is missing would use forbidden arcs: iterate until nothing is.
    tol = min(options.tol, _COUPLING) if has_forbidden else options.tol
    target = default_epsilon(problem) if options.epsilon is None else options.epsilon
    epsilon, g = max(target, geometry.largest), np.zeros(len(b))
    if options.warm_start is not None:
        epsilon, g = target, options.warm_start[1]
        if np.ptp(g) > 2 * geometry.largest:
            g = start_from(geometry, options.warm_start)
    limits = options._replace(tol=tol, epsilon=target)
    state = _iterate(problem, geometry, g, epsilon, limits)
    plan = _rounded(problem, state, has_forbidden)
    f = state.f - state.epsilon * (np.log(a) - np.log(problem.mass))
    g = state.g - state.epsilon * np.log(b)
    # Row sums are exact, so the dual objective has no further term.
    value = float(a @ f + b @ g) if state.epsilon == target else float("nan")
    return Candidate(
        plan=plan,
        f=f,
        g=g,
        n_iter=state.n_iter,
        finished=state.finished,
        regularized_value=value,
    )


def _iterate(
    problem: Problem,
    geometry: Geometry,
    g: FloatArray,
    epsilon: float,
    options: Options,
) -> _State:
    """Anneal epsilon to its target and iterate there, with rows exact at the end."""
    target = epsilon if options.epsilon is None else options.epsilon
    log_a, log_b = np.log(problem.a), np.log(problem.b)
    g = g + epsilon * log_b
    f: FloatArray | None = None
    is_symmetric = problem.is_symmetric
    relaxation = Relaxation()
    n_level = 0
    for n_iter in range(1, options.max_iter + 1):
        sweep = _sweep(geometry, log_a, f, g, epsilon, relaxation.omega)
        f = sweep.f
        n_level += 1
        if options.report is not None:
            options.report(n_iter, np.inf)
        error = sweep.row_error + float(np.abs(sweep.columns - problem.b).sum())
        if epsilon == target and error <= options.tol * problem.mass:
            if relaxation.omega == 1.0:
                return _State(f, g, epsilon, n_iter, True)
            # Once more with exact rows, as rounding assumes.
            relaxation, f = Relaxation(), None
            continue
        if is_symmetric:
            # Both potentials are equal at the optimum: meeting halfway converges
            # much faster than taking turns (Feydy et al., 2019).
            g = 0.5 * (g + f)
        else:
            if epsilon == target and relaxation.observe(error):
                f = None
            g = _update(geometry, sweep, g, log_b, epsilon, relaxation.omega)
        if epsilon > target and n_level == _ITERATIONS_PER_LEVEL:
            lower = max(target, _ANNEALING * epsilon)
            g = g + (lower - epsilon) * log_b
            epsilon, n_level, f = lower, 0, None
    f = _sweep(geometry, log_a, None, g, epsilon, 1.0).f
    return _State(f, g, epsilon, options.max_iter, False)


class Relaxation:
    """Over-relaxation: potentials move omega times as far as the iteration says.

    Near the optimum Sinkhorn's iteration is block Gauss-Seidel; with contraction
    rate r at weight omega, its own rate is ``(r + omega - 1)**2 / (r omega**2)``
    and the best weight follows from that (Young, 1971; Thibault et al., 2021).
    The rate is observed over a few iterations at a time. If the error grows, the
    weight goes back to 1 and is trusted less from then on.
    """

    _WINDOW = 10

    def __init__(self) -> None:
        self.omega = 1.0
        self._cap = 1.9995
        self._errors: list[float] = []
        self._best = np.inf

    def observe(self, error: float) -> bool:
        """Take the error of one iteration; return whether to start over from g."""
        if not error <= 10 * self._best:
            self._cap = 1 + (max(self.omega, 1.01) - 1) / 2
            self.omega, self._best, self._errors = 1.0, np.inf, []
            return True
        self._best = min(self._best, error)
        self._errors.append(error)
        if len(self._errors) > self._WINDOW:
            rate = (self._errors[-1] / self._errors[-4]) ** (1 / 3)
            if self.omega - 1 < rate < 1:
                own = (rate + self.omega - 1) ** 2 / (rate * self.omega**2)
                best = 2 / (1 + np.sqrt(max(1 - own, 0.0)))
                self.omega = min(max(best, self.omega), self._cap)
            self._errors = []
        return False


def _held(geometry: Geometry) -> Geometry:
    """Return the geometry with its costs in memory, where they are not too many."""
    n, m = geometry.shape
    if isinstance(geometry, Dense) or n * m > _HELD_ENTRIES:
        return geometry
    if 8 * n * m > blocks.available_memory():
        return geometry
    return Dense(geometry.dense(), geometry.largest)


def default_epsilon(problem: Problem) -> float:
    """Return 1 % of the mean absolute cost under the product measure."""
    geometry, a, b = problem.geometry, problem.a, problem.b
    n, m = geometry.shape
    total = 0.0
    for start, stop in row_blocks(n, m):
        block = geometry.rows(start, stop)
        total += float(
            a[start:stop] @ np.where(np.isinf(block), 0.0, np.abs(block)) @ b
        )
    mean = total / problem.mass**2
    return 0.01 * mean if mean > 0 else 0.01 * (geometry.largest or 1.0)


def _sweep(
    geometry: Geometry,
    log_a: FloatArray,
    f_before: FloatArray | None,
    g: FloatArray,
    epsilon: float,
    omega: float,
) -> _Sweep:
    """Move f to the soft c-transform of g, omega times as far from `f_before`."""
    n, m = geometry.shape
    f, columns, row_error = np.empty(n), np.zeros(m), 0.0
    for start, stop in row_blocks(n, m):
        exponent = g - geometry.rows(start, stop)
        exponent /= epsilon
        top = exponent.max(axis=1)
        exponent -= top[:, None]
        weights = np.exp(exponent, out=exponent)
        sums = weights.sum(axis=1)
        exact = epsilon * (log_a[start:stop] - top - np.log(sums))
        mass = np.exp(log_a[start:stop])
        if f_before is None or omega == 1.0:
            f[start:stop] = exact
            columns += (mass / sums) @ weights
            continue
        step = (1 - omega) * (f_before[start:stop] - exact)
        f[start:stop] = exact + step
        factor = np.exp(np.clip(step / epsilon, -700, 700))
        columns += (mass * factor / sums) @ weights
        row_error += float(mass @ np.abs(factor - 1))
    return _Sweep(f, columns, row_error)


def _update(
    geometry: Geometry,
    sweep: _Sweep,
    g: FloatArray,
    log_b: FloatArray,
    epsilon: float,
    omega: float,
) -> FloatArray:
    """Scale the columns to their masses, omega times as far in the logarithm.

    A column whose sum underflows is out of reach of every row at this epsilon;
    its potential is taken from the hard c-transform, which the next iteration
    refines.
    """
    lost = sweep.columns < np.finfo(float).tiny
    with np.errstate(divide="ignore"):
        updated = g + omega * epsilon * (log_b - np.log(sweep.columns))
    if lost.any():
        hard = geometry.column_minimum(sweep.f) + epsilon * log_b
        updated[lost] = hard[lost]
    return updated


def _rounded(problem: Problem, state: _State, has_forbidden: bool) -> EntropicPlan:
    """Scale rows, then columns, down to their masses and spread what is missing."""
    a, b = problem.a, problem.b
    r, s = np.ones(len(a)), np.ones(len(b))
    u, v = np.zeros(len(a)), np.zeros(len(b))
    f, g, epsilon = state.f, state.g, state.epsilon
    plan = EntropicPlan(problem.geometry, f, g, epsilon, r, s, u, v)
    r = shrink(a, _marginals(plan)[0])
    plan = replace(plan, r=r)
    s = shrink(b, _marginals(plan)[1])
    plan = replace(plan, s=s)
    if has_forbidden:
        return plan
    rows, columns = _marginals(plan)
    rest_a, rest_b = np.maximum(a - rows, 0.0), np.maximum(b - columns, 0.0)
    if not rest_a.any() or not rest_b.any():
        return plan
    return replace(plan, u=rest_a, v=rest_b / rest_b.sum())


def _marginals(plan: EntropicPlan) -> tuple[FloatArray, FloatArray]:
    n, m = plan.shape
    rows, columns = np.empty(n), np.zeros(m)
    for start, stop in row_blocks(n, m):
        block = plan.rows(start, stop)
        rows[start:stop] = block.sum(axis=1)
        columns += block.sum(axis=0)
    return rows, columns
