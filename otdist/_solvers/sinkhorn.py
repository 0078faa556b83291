"""Entropic transport by Sinkhorn's iteration in the log domain.

Minimises ``<P, c> + epsilon KL(P | a bᵀ / mass)`` over couplings P. One pass over
the costs, in blocks of rows, does a whole iteration with one exp per entry: the
exps that update f are summed again to update g. The weight epsilon is annealed
from the scale of the costs down to its target (Schmitzer, 2019), and the plan
is rounded to exact marginals (Altschuler, Weed, Rigollet, 2017).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist._geometry import Geometry
from otdist._geometry.blocks import row_blocks
from otdist._plan import EntropicPlan
from otdist._problem import Problem
from otdist._result import Candidate
from otdist._solvers import Options
from otdist._typing import FloatArray, IntArray

# Iterations at each annealed weight before the target.
_ITERATIONS_PER_LEVEL = 5
_ANNEALING = 0.5


class _Pass(NamedTuple):
    """What one pass over the rows finds for potentials g."""

    f: FloatArray  # makes every row sum exact
    columns: FloatArray  # column sums of the plan with that f


def run(problem: Problem, options: Options) -> Candidate:
    """Iterate until the marginal error is at most ``tol * mass``; O(n + m) memory."""
    geometry, a, b = problem.geometry, problem.a, problem.b
    blocked = _blocked_rows(geometry)
    if len(blocked):
        nothing = np.zeros(len(a)), np.zeros(len(b))
        plan = EntropicPlan(geometry, *nothing, 1.0, *nothing)
        return Candidate(
            plan=plan,
            f=nothing[0],
            g=nothing[1],
            n_iter=0,
            finished=False,
            stranded=blocked,
        )
    target = default_epsilon(problem) if options.epsilon is None else options.epsilon
    log_a, log_b = np.log(a), np.log(b)
    g = np.zeros(len(b)) if options.warm_start is None else options.warm_start[1]
    epsilon = max(target, geometry.largest) if options.warm_start is None else target
    is_symmetric = problem.is_symmetric
    n_iter = n_level = 0
    finished = False
    # In here g holds epsilon * log b too, so that the plan is exp((f+g-c)/epsilon).
    g = g + epsilon * log_b
    while n_iter < options.max_iter:
        rows = _sweep(geometry, log_a, g, epsilon)
        n_iter += 1
        n_level += 1
        options.report(n_iter)
        error = float(np.abs(rows.columns - b).sum())
        if epsilon == target and error <= options.tol * problem.mass:
            finished = True
            break
        if is_symmetric:
            # Both potentials are equal at the optimum: meet halfway, which converges
            # much faster than taking turns (Feydy et al., 2019).
            g = 0.5 * (g + rows.f)
        else:
            g = _update(geometry, rows, g, log_b, epsilon)
        if epsilon > target and n_level == _ITERATIONS_PER_LEVEL:
            lower = max(target, _ANNEALING * epsilon)
            g = g + (lower - epsilon) * log_b
            epsilon, n_level = lower, 0
    if n_iter == 0 or not finished:
        rows = _sweep(geometry, log_a, g, epsilon)
    f = rows.f
    plan = _rounded(problem, f, g, epsilon, rows.columns)
    log_mass = np.log(problem.mass)
    f, g = f - epsilon * (log_a - log_mass), g - epsilon * log_b
    # Row sums are exact, so the dual objective has no further term.
    regularized = float(a @ f + b @ g)
    return Candidate(
        plan=plan,
        f=f,
        g=g,
        n_iter=n_iter,
        finished=finished,
        regularized_value=regularized if epsilon == target else float("nan"),
    )


def default_epsilon(problem: Problem) -> float:
    """Return 1 % of the mean cost under the product measure."""
    geometry, a, b = problem.geometry, problem.a, problem.b
    n, m = geometry.shape
    total = 0.0
    for start, stop in row_blocks(n, m):
        block = geometry.rows(start, stop)
        total += float(a[start:stop] @ np.where(np.isinf(block), 0.0, block) @ b)
    mean = abs(total) / problem.mass**2
    return 0.01 * mean if mean > 0 else 0.01 * (geometry.largest or 1.0)


def _blocked_rows(geometry: Geometry) -> IntArray:
    """Return rows with no allowed arc; the transpose is found by not converging."""
    return np.flatnonzero(np.isinf(geometry.row_minimum(np.zeros(geometry.shape[1]))))


def _sweep(
    geometry: Geometry, log_a: FloatArray, g: FloatArray, epsilon: float
) -> _Pass:
    """Return f from the soft c-transform of g, and the column sums that follow."""
    n, m = geometry.shape
    f, columns = np.empty(n), np.zeros(m)
    for start, stop in row_blocks(n, m):
        exponent = (g - geometry.rows(start, stop)) / epsilon
        top = exponent.max(axis=1)
        weights = np.exp(exponent - top[:, None])
        sums = weights.sum(axis=1)
        log_rows = log_a[start:stop]
        f[start:stop] = epsilon * (log_rows - top - np.log(sums))
        columns += (np.exp(log_rows) / sums) @ weights
    return _Pass(f, columns)


def _update(
    geometry: Geometry, rows: _Pass, g: FloatArray, log_b: FloatArray, epsilon: float
) -> FloatArray:
    """Scale the columns to their masses.

    A column whose sum underflows is out of reach of every row at this epsilon;
    its potential is taken from the hard c-transform, which the next iteration
    refines.
    """
    lost = rows.columns < np.finfo(float).tiny
    with np.errstate(divide="ignore"):
        updated = g + epsilon * (log_b - np.log(rows.columns))
    if lost.any():
        hard = geometry.column_minimum(rows.f) + epsilon * log_b
        updated[lost] = hard[lost]
    return updated


def _rounded(
    problem: Problem,
    f: FloatArray,
    g: FloatArray,
    epsilon: float,
    columns: FloatArray,
) -> EntropicPlan:
    """Scale columns down to their masses and spread what is missing.

    Row sums of the plan are exact here, so only columns can be too large; the
    missing mass of rows then follows from one more pass.
    """
    with np.errstate(divide="ignore"):
        scale = np.minimum(1.0, problem.b / columns)
    g = g + epsilon * np.log(scale)
    none = np.zeros(0)
    plan = EntropicPlan(problem.geometry, f, g, epsilon, none, none)
    row_sums, column_sums = _marginals(plan)
    rest_a = np.maximum(problem.a - row_sums, 0.0)
    rest_b = np.maximum(problem.b - column_sums, 0.0)
    total = rest_b.sum()
    if total > 0 and rest_a.sum() > 0:
        u, v = rest_a * (total / rest_a.sum()), rest_b / total
    else:
        u, v = np.zeros(len(f)), np.zeros(len(g))
    return EntropicPlan(problem.geometry, f, g, epsilon, u, v)


def _marginals(plan: EntropicPlan) -> tuple[FloatArray, FloatArray]:
    n, m = plan.shape
    row_sums, column_sums = np.empty(n), np.zeros(m)
    for start, stop in row_blocks(n, m):
        exponent = plan.f[start:stop, None] + plan.g - plan.geometry.rows(start, stop)
        block = np.exp(exponent / plan.epsilon)
        row_sums[start:stop] = block.sum(axis=1)
        column_sums += block.sum(axis=0)
    return row_sums, column_sums
