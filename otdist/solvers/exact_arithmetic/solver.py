"""An optimal plan and small potentials in exact arithmetic, from a claim that is nearly right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otdist.geometry.protocol import Dense
from otdist.plans.plans import Arcs, Flow
from otdist.problem.result import Candidate, Ended
from otdist.solvers.exact_arithmetic import simplex
from otdist.solvers.exact_arithmetic.potentials import exact_potentials, small_potentials
from otdist.solvers.exact_arithmetic.tree import Tree
from otdist.solvers.exact_arithmetic.whole import as_whole, rounded, unit_of
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

# Pairs up to which the pivots take some seconds.
_MOST_PAIRS = 10_000_000


def refined(problem: Problem, claim: Candidate, deadline: float = np.inf) -> Candidate | None:
    """Return the optimum of the problem in the floats given, found from a solver's claim.

    The weights are those given, b scaled by the exact ratio of the sums; costs are
    ``problem.geometry.dense()``. Weights, costs, flows and potentials are whole numbers of a
    power of two, and are rounded once at the end.

    Parameters
    ----------
    problem : Problem
        A balanced problem (see `Problem.with_outside`) of a finite p.
    claim : Candidate
        A plan and potentials. A better one saves time; any leads to the optimum.
    deadline : float, default inf
        When to give up, by ``time.monotonic()``.

    Returns
    -------
    Candidate or None
        None for too many pairs, for entropic plans, after the deadline or some seconds, and
        if no coupling exists.
    """
    n, m = problem.shape
    if problem.is_bottleneck or n * m > _MOST_PAIRS:
        return None
    plan = claim.plan.arcs(problem.a, problem.b) if isinstance(claim.plan, Flow) else claim.plan
    if not isinstance(plan, Arcs):
        return None
    part, rows, columns = problem.support()
    geometry = part.geometry
    part = part.on(Dense(geometry.dense(), geometry.largest, geometry.facts.has_forbidden))
    plan = _restricted(plan, rows, columns, problem.shape)
    try:
        found = _optimum(part, plan, claim.g[columns], deadline)
    except OverflowError:  # potentials beyond the largest float
        return None
    if found is None:
        return None
    plan, f, g, n_pivots = found
    plan = Arcs(rows[plan.rows], columns[plan.columns], plan.mass)
    f, g = _on_all_atoms(problem, rows, columns, f, g)
    return Candidate(plan, f, g, claim.n_iter + n_pivots, Ended.FINISHED)


def _optimum(
    problem: Problem, plan: Arcs, g: FloatArray, deadline: float
) -> tuple[Arcs, FloatArray, FloatArray, int] | None:
    """Return an optimal plan and potentials, rounded once, and the number of pivots."""
    unit = unit_of(np.concatenate([problem.a, problem.b]))
    a, b = as_whole(problem.a, unit), as_whole(problem.b, unit)
    total_a, total_b = sum(a), sum(b)
    prices = simplex.Prices(problem.geometry.dense())
    # If the plan is optimal and only the potentials are not, no pivot is needed then.
    f, g = small_potentials(problem, plan, g, deadline)
    order = np.argsort(-plan.mass, kind="stable")
    start = simplex.start_from(prices, plan.rows[order], plan.columns[order], f, g)
    flows = simplex.optimal_flows(
        prices, [x * total_b for x in a], [x * total_a for x in b], start, deadline
    )
    if flows is None:
        return None
    mass = rounded(flows.flows, unit, total_b)
    arcs = flows.rows.tolist(), (len(a) + flows.columns).tolist()
    tree = Tree(len(a) + len(b), *arcs, prices.whole(flows.rows, flows.columns))
    guess = start.potential[len(a) :]
    f, g = exact_potentials(problem, tree, prices.unit, guess, deadline)
    used = mass > 0
    plan = Arcs(flows.rows[used], flows.columns[used], mass[used])
    return plan, f, g, flows.n_pivots


def _restricted(plan: Arcs, rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> Arcs:
    """Return the arcs between the listed atoms, which are numbered anew."""
    place_i, place_j = np.full(shape[0], -1), np.full(shape[1], -1)
    place_i[rows], place_j[columns] = np.arange(len(rows)), np.arange(len(columns))
    i, j = place_i[plan.rows], place_j[plan.columns]
    inside = (i >= 0) & (j >= 0)
    return Arcs(i[inside], j[inside], plan.mass[inside])


def _on_all_atoms(
    problem: Problem, rows: IntArray, columns: IntArray, f: FloatArray, g: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give potentials to the atoms without mass: c-transforms, 0 where no pair is allowed."""
    n, m = problem.shape
    all_f, all_g = np.full(n, -np.inf), np.full(m, -np.inf)
    all_f[rows], all_g[columns] = f, g
    empty_rows, empty_columns = problem.a == 0, problem.b == 0
    if empty_columns.any():
        all_g[empty_columns] = problem.geometry.column_minimum(all_f)[empty_columns]
    all_g[np.isinf(all_g)] = 0.0
    if empty_rows.any():
        all_f[empty_rows] = problem.geometry.row_minimum(all_g)[empty_rows]
    all_f[np.isinf(all_f)] = 0.0
    return all_f, all_g
