"""Entropic transport by Sinkhorn's iteration in the log domain.

Minimises ``<P, c> + epsilon KL(P | a bᵀ / mass)`` over couplings P. One pass over the costs, in
blocks of rows, does a whole iteration with one exp per entry: the exponentials that update f
also give the column sums that update g. epsilon is annealed from the scale of the costs to its
target (Schmitzer, 2019), and the plan is rounded to exact marginals (Altschuler, Weed,
Rigollet, 2017).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from otdist.compiled.costs import rows_of
from otdist.plans.integer_masses import shrink
from otdist.plans.plans import EntropicPlan
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.runtime.blocks import N_PARTS, share_rows
from otdist.solvers.registry import Options
from otdist.solvers.sinkhorn import part_of_mean, start_of_size
from otdist.solvers.sinkhorn.annealing import Anneal, State
from otdist.solvers.sinkhorn.coarsen import Start, begin, in_order
from otdist.solvers.sinkhorn.grid import run_on_grid
from otdist.solvers.sinkhorn.scaling import scale
from otdist.typing import FloatArray

# Marginal error, as a part of the mass, at which a plan counts as a coupling.
_COUPLING = 5e-14
# Pairs up to which the plan is rounded with an additional pass.
_FEW_PAIRS = 1 << 22


def run(problem: Problem, options: Options) -> Candidate:
    """Iterate until the marginal error is at most ``tol * mass``."""
    if problem.geometry.facts.is_separable:
        return run_on_grid(problem, options)
    target = options.epsilon or default_epsilon(problem, options)
    scaled, n_iter = scale(problem, target, options)
    if scaled is not None:
        state, plan = scaled
        plan = plan or _rounded(problem, state, options.n_jobs)
        return _candidate(problem, state, plan, target, n_iter, options)
    found = _run(problem, target, options._replace(max_iter=options.max_iter - n_iter))
    return found._replace(n_iter=n_iter + found.n_iter)


def _run(problem: Problem, target: float, options: Options) -> Candidate:
    """Solve in the log domain, with points in an order in which near ones are together."""
    order = in_order(problem)
    if order is None:
        return _annealed(problem, target, options)
    rows, columns = order
    found = _annealed(problem.restrict(rows, columns), target, options.restricted(rows, columns))
    f, g = np.empty(len(rows)), np.empty(len(columns))
    f[rows], g[columns] = found.f, found.g
    assert isinstance(found.plan, EntropicPlan)
    plan = found.plan.put_back(problem.geometry, rows, columns)
    return found._replace(plan=plan, f=f, g=g)


def _annealed(problem: Problem, target: float, options: Options) -> Candidate:
    """Lower epsilon to the target."""
    geometry = problem.geometry
    if geometry.facts.has_forbidden:
        # Spreading missing mass would use forbidden arcs: iterate until none is missing.
        options = options._replace(tol=min(options.tol, _COUPLING))
    anneal = Anneal(problem, options)
    if options.warm_start is not None:
        start: Start | None = Start(start_of_size(geometry, options.warm_start), target)
    else:
        start = begin(problem, target, options)
    if start is None:
        f, g, epsilon = anneal.first(target)
    else:
        f, epsilon = anneal.least(start.g, start.epsilon)
        g = start.g
    state = anneal.run(f, g, epsilon, target)
    plan = _rounded(problem, state, options.n_jobs)
    return _candidate(problem, state, plan, target, anneal.n_iter, options)


def _candidate(
    problem: Problem,
    state: State,
    plan: EntropicPlan,
    target: float,
    n_iter: int,
    options: Options,
) -> Candidate:
    """Return what a state claims: its potentials, and its plan rounded to the marginals."""
    a, b = problem.a, problem.b
    f, g = state.f + state.epsilon * np.log(problem.mass), state.g
    # Row sums are exact, so the dual objective has no further term.
    value = float(a @ f + b @ g) if state.epsilon == target else float("nan")
    return Candidate(
        plan=plan,
        f=f,
        g=g,
        n_iter=n_iter,
        ended=options.ended(n_iter, finished=state.finished),
        regularized_value=value,
    )


def default_epsilon(problem: Problem, options: Options) -> float:
    """Return a part of the mean absolute cost under the product measure: 1 %, or less."""
    geometry, a, b = problem.geometry, problem.a, problem.b
    n, m = geometry.shape
    costs, totals = geometry.costs(), np.zeros(N_PARTS)

    def add(part: int, start: int, stop: int) -> None:
        block = rows_of(costs, start, stop)
        block = np.where(np.isinf(block), 0.0, np.abs(block))
        totals[part] += float(a[start:stop] @ (block @ b))

    share_rows(n, m, add, options.n_jobs)
    mean = float(totals.sum()) / problem.mass**2
    return part_of_mean(options.gap) * (mean if mean > 0 else geometry.largest or 1.0)


def _rounded(problem: Problem, state: State, n_jobs: int) -> EntropicPlan:
    """Scale rows and columns down to their masses and spread the missing mass.

    For many pairs the column sums are those of the last pass, which differ from the plan's by
    the rounding of exponents; columns are scaled by slightly less to allow for it.
    """
    a, b, epsilon = problem.a, problem.b, state.epsilon
    f, g = state.f + epsilon * np.log(a), state.g + epsilon * np.log(b)
    ones, nothing = np.ones(len(a)), np.zeros(len(a))
    plan = EntropicPlan(problem.geometry, f, g, epsilon, ones, 0 * b + 1, nothing, 0 * b)
    columns, room = state.columns, 1e-15 * (10 + problem.geometry.largest / epsilon)
    if len(a) * len(b) <= _FEW_PAIRS:
        columns, room = _marginals(plan, a, n_jobs)[1], 0.0
    plan = replace(plan, s=shrink(b, columns) * (1 - min(room, 0.5)))
    rows, columns = _marginals(plan, a, n_jobs)
    plan = replace(plan, r=shrink(a, rows))
    rest_a = np.maximum(a - plan.r * rows, 0.0)
    rest_b = np.maximum(b - columns, 0.0)
    has_forbidden = problem.geometry.facts.has_forbidden
    if has_forbidden or not rest_a.any() or not rest_b.any():
        return plan
    return replace(plan, u=rest_a, v=rest_b / rest_b.sum())


def _marginals(plan: EntropicPlan, a: FloatArray, n_jobs: int) -> tuple[FloatArray, FloatArray]:
    """Return row sums, and column sums after rows are scaled down to their masses.

    Only the columns of the plan have been scaled before.
    """
    n, m = plan.shape
    rows, columns, scratch = np.empty(n), np.zeros((N_PARTS, m)), np.empty((N_PARTS, m))

    def add(part: int, start: int, stop: int) -> None:
        plan.add_scaled_down(start, stop, a, rows, columns[part], scratch[part])

    share_rows(n, m, add, n_jobs)
    return rows, columns.sum(axis=0)
