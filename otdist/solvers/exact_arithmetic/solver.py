"""An optimal plan and small potentials in exact arithmetic, from a claim that is nearly right."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otdist.geometry.protocol import Dense
from otdist.plans.plans import Arcs, Flow
from otdist.problem.marginals import Balanced, MoveMass
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

    The weights are those given, b scaled by the exact ratio of the sums; where mass may be left,
    those of the atoms outside are exact. Costs are ``problem.geometry.dense()``. Weights, costs,
    flows and potentials are whole numbers of a power of two, and are rounded once at the end.

    Parameters
    ----------
    problem : Problem
        A problem of a finite p.
    claim : Candidate
        A plan and potentials of the balanced problem (see `Problem.with_outside`). A better one
        saves time; any leads to the optimum.
    deadline : float, default inf
        When to give up, by ``time.monotonic()``.

    Returns
    -------
    Candidate or None
        None for too many pairs, for entropic plans, after the deadline or some seconds, and
        if no coupling exists.
    """
    weights = _whole_weights(problem)
    problem = problem.with_outside()
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
        weights = weights.restricted(rows, columns)
        found = _optimum(part, weights, plan, claim.g[columns], deadline)
    except OverflowError:  # potentials beyond the largest float
        return None
    if found is None:
        return None
    plan, f, g, n_pivots = found
    plan = Arcs(rows[plan.rows], columns[plan.columns], plan.mass)
    f, g = _on_all_atoms(problem, rows, columns, f, g)
    return Candidate(plan, f, g, claim.n_iter + n_pivots, Ended.FINISHED)


class _Weights(NamedTuple):
    """Weights ``whole * 2 ** unit / over`` of both sides, which have one sum."""

    a: list[int]
    b: list[int]
    unit: int
    over: int

    def restricted(self, rows: IntArray, columns: IntArray) -> _Weights:
        """Return those of the listed atoms; the others have none."""
        a, b = ([side[k] for k in kept] for side, kept in ((self.a, rows), (self.b, columns)))
        return self._replace(a=a, b=b)


def _whole_weights(problem: Problem) -> _Weights:
    """Return the weights of the balanced problem as they are stated."""
    marginals = problem.marginals
    given = [marginals.mass] if isinstance(marginals, MoveMass) else [0.0]
    unit = unit_of(np.concatenate([problem.a, problem.b, given]))
    a, b = as_whole(problem.a, unit), as_whole(problem.b, unit)
    total_a, total_b = sum(a), sum(b)
    if not isinstance(marginals, Balanced):
        (moved,) = as_whole(np.array(given), unit)
        of_a, of_b = marginals.outside(total_a, total_b, moved)
        return _Weights([*a, of_a], [*b, of_b], unit, 1)
    return _Weights([x * total_b for x in a], [x * total_a for x in b], unit, total_b)


def _optimum(
    problem: Problem, weights: _Weights, plan: Arcs, g: FloatArray, deadline: float
) -> tuple[Arcs, FloatArray, FloatArray, int] | None:
    """Return an optimal plan and potentials, rounded once, and the number of pivots."""
    prices = simplex.Prices(problem.geometry.dense())
    # If the plan is optimal and only the potentials are not, no pivot is needed then.
    f, g = small_potentials(problem, plan, g, deadline)
    order = np.argsort(-plan.mass, kind="stable")
    start = simplex.start_from(prices, plan.rows[order], plan.columns[order], f, g)
    flows = simplex.optimal_flows(prices, weights.a, weights.b, start, deadline)
    if flows is None:
        return None
    mass = rounded(flows.flows, weights.unit, weights.over)
    n, m = problem.shape
    arcs = flows.rows.tolist(), (n + flows.columns).tolist()
    tree = Tree(n + m, *arcs, prices.whole(flows.rows, flows.columns))
    guess = start.potential[n:]
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
