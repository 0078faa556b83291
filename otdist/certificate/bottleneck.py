"""Bounds for p = inf, where the largest distance that mass moves counts.

Mass below 1e-12 of the total is rounding of the weights and is not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from otdist.certificate.checkers import checker_of
from otdist.geometry.line import Line
from otdist.plans.plans import Arcs
from otdist.problem.result import Certificate
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

# Mass that is not counted, as a part of the total, in the upper and the lower bound.
_ROUNDING = 1e-12
# Less where a solver that leaves out rounding itself has to be followed.
_LESS = 2e-13


def certify_bottleneck(problem: Problem, arcs: Arcs, f: FloatArray, n_jobs: int) -> Certificate:
    """Bound W_inf: by the plan's longest arc, and by a set that has no room near it.

    The set is where f > 0. On the line f is not read: all intervals are tried.
    """
    n, m = problem.shape
    rows, columns, mass = arcs
    error_a = np.abs(np.bincount(rows, mass, n) - problem.a).sum()
    error_b = np.abs(np.bincount(columns, mass, m) - problem.b).sum()
    marginal_error = float(error_a + error_b)
    slack = _ROUNDING * problem.mass
    upper = _longest(problem.geometry.pairs(rows, columns), mass, slack)
    if marginal_error > slack:
        # Mass may go anywhere.
        geometry = problem.geometry
        upper = max(upper, np.inf if geometry.facts.has_forbidden else geometry.largest)
    if problem.is_line:
        line = cast("Line", problem.geometry)
        x, y = line.x, line.y
        lower = max(
            _longest_crossing(x, problem.a, y, problem.b, slack),
            _longest_crossing(y, problem.b, x, problem.a, slack),
        )
    else:
        lower = _least_radius(problem, f > 0, n_jobs)
    # Distances are rounded.
    facts = problem.geometry.facts
    relative = facts.roundings * float(np.finfo(float).eps)
    least = facts.least if relative > 0 else 0.0
    lower = min(lower, upper)
    is_known = -np.inf < upper < np.inf
    return Certificate(
        lower=lower - relative * abs(lower) - (least if lower > 0 else 0.0),
        upper=upper + relative * abs(upper) + (least if upper > 0 else 0.0) if is_known else upper,
        value=upper,
        is_coupling=marginal_error <= slack,
        marginal_error=marginal_error,
        dual_violation=0.0,
        order=np.inf,
    )


def _longest(cost: FloatArray, mass: FloatArray, slack: float) -> float:
    """Return the least cost that arcs of no more than `slack` exceed."""
    if not len(cost):
        return -np.inf
    by_cost = np.argsort(-cost, kind="stable")
    beyond = np.cumsum(mass[by_cost])
    first = np.searchsorted(beyond, slack, side="right")
    return float(cost[by_cost[min(int(first), len(cost) - 1)]])


def _least_radius(problem: Problem, crowded: np.ndarray, n_jobs: int) -> float:
    """Return the least radius within which the columns have room for a set of rows.

    Strassen's theorem: whatever the coupling, the mass of the set goes to columns that
    have room for it, and these reach no nearer. All rows, if the set has no mass.
    """
    slack = _LESS * problem.mass
    carries = crowded & (problem.a > 0)
    if not problem.a[carries].sum() > slack:
        carries = problem.a > 0
    start = np.where(carries, 0.0, -np.inf)
    distance = checker_of(problem.geometry).column_minimum(start, n_jobs)
    by_distance = np.argsort(distance)
    room = np.cumsum(problem.b[by_distance])
    wanted = problem.a[carries].sum() - slack
    reached = min(int(np.searchsorted(room, wanted, side="left")), len(room) - 1)
    return float(distance[by_distance[reached]])


def _longest_crossing(
    x: FloatArray, a: FloatArray, y: FloatArray, b: FloatArray, slack: float
) -> float:
    """Return the largest t - s such that mass of a at or below s must reach t.

    If more mass lies at or below s in one measure than below t in the other, some of
    it must cross from s to t.
    """
    by_x, by_y = np.argsort(x), np.argsort(y)
    must_fit = np.cumsum(a[by_x]) - slack
    room = np.cumsum(b[by_y])
    # The mass up to s fits below t only if some level of b reaches it first.
    reached = np.searchsorted(room, must_fit, side="left")
    reached = np.minimum(reached, len(y) - 1)
    crossing = (y[by_y][reached] - x[by_x])[must_fit > 0]
    return float(crossing.max(initial=0.0))
