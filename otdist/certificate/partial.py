"""Bounds where mass may be left, at a price or to a given amount.

The atoms outside, which make the problem a balanced one, are for solvers. Here the bounds are
those of the partial problem itself, in which the sums of a and b need not agree.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np

from otdist.certificate.checkers import checker_of
from otdist.certificate.rounding import (
    EPS,
    ROUNDING,
    SPARE,
    TINY,
    UNDERFLOW,
    Dual,
    Primal,
    charged,
    marginal_errors,
    paid,
    total,
)
from otdist.plans.plans import Arcs
from otdist.problem.marginals import LeaveAtPrice, MoveMass
from otdist.problem.result import COUPLING, SPECK
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem


def partial_upper(problem: Problem, arcs: Arcs) -> Primal:
    """Return the cost of a plan that leaves mass, rounded up.

    Masses that exceed a weight are taken away, and mass that is missing to a given one is added.
    """
    a, b, mass = problem.a, problem.b, arcs.mass
    value, size, is_tiny = paid(problem.geometry, arcs)
    off, rounded = marginal_errors(problem, arcs)
    error = float(np.maximum(off, 0.0).sum())
    if (off > -rounded).any():  # an atom whose mass is all moved, or nearly
        error += rounded
    fits = bool((off <= COUPLING * np.append(a, b) + SPECK * float(a.sum())).all())
    if isinstance(problem.marginals, MoveMass):
        missing = math.fsum([problem.marginals.mass, *(-mass).tolist()])
        fits = fits and abs(missing) <= COUPLING * problem.marginals.mass
        # Mass that exceeds a weight is taken away, and with what is missing put elsewhere.
        more = _for_missing(problem, arcs, off, missing + error)
        if more is None:
            upper = charged(problem, value, size, error + abs(missing), is_tiny=is_tiny)
        else:
            away = 0.0 if problem.geometry.facts.is_positive else error * problem.geometry.largest
            upper = charged(problem, value, size, 0.0, is_tiny=is_tiny) + more + 2 * away
            error += abs(missing)
        return Primal(value, upper, size, error, fits)
    price = cast("LeaveAtPrice", problem.marginals).price
    left = math.fsum([*a.tolist(), *b.tolist(), *(-2 * mass).tolist()])
    value, size = value + price * left, size + price * abs(left)
    is_tiny = is_tiny or (left != 0 and price * abs(left) < TINY)
    # What exceeds a weight is left at the price.
    upper = charged(problem, value, size, 0.0, is_tiny=is_tiny)
    upper += SPARE * error * (problem.geometry.largest + price)
    # The last digits of all weights may be left, at the price.
    return Primal(value, upper, size + price * float(a.sum() + b.sum()), error, fits)


def _for_missing(problem: Problem, arcs: Arcs, off: FloatArray, missing: float) -> float | None:
    """Return what it costs to move the mass that is missing along an arc, None without room.

    Mass that is too much is taken from the dearest arc.
    """
    rows, columns, mass = arcs
    if missing == 0:
        return 0.0
    room = mass if missing < 0 else -np.maximum(off[rows], off[len(problem.a) + columns])
    fits = room > 2 * abs(missing)
    if not fits.any():
        return None
    cost = problem.geometry.pairs(rows[fits], columns[fits])
    more = missing * float(cost.min() if missing > 0 else cost.max())
    return max(more * (1 + (2 + problem.geometry.facts.roundings) * EPS), 0.0)


def partial_lower(problem: Problem, f: FloatArray, n_jobs: int) -> Dual:
    """Return what a potential proves where mass may be left, rounded down.

    F and G are feasible if ``F + G + l <= cost``, and neither exceeds the price, or 0 where a
    given mass is moved. Then ``sum a F + sum b G + l * mass`` is a lower bound; l is 0 for a
    price. The sums of a and b need not agree.
    """
    a, b = problem.a, problem.b
    moved, price = 0.0, 0.0
    if isinstance(problem.marginals, MoveMass):
        moved = problem.marginals.mass
    else:
        price = cast("LeaveAtPrice", problem.marginals).price
    with np.errstate(over="ignore", invalid="ignore"):
        f = np.where(a > 0, np.minimum(f - (f.max() if moved else 0.0), price), -np.inf)
        checker = checker_of(problem.geometry)
        best = checker.column_minimum(f, n_jobs)
        f = np.where(a > 0, f, 0.0)
        best -= checker.column_error(f, np.where(np.isfinite(best), best, 0.0))
        level = 0.0
        if moved:
            by_cost = np.argsort(best)
            enough = np.searchsorted(np.cumsum(b[by_cost]), moved)
            level = float(best[by_cost[min(int(enough), len(best) - 1)]])
        g = np.where(b > 0, np.minimum(best - level, price), 0.0)
        terms = np.concatenate([a * f, b * g, [level * moved]])
        size = float(np.abs(terms).sum() + b @ np.where((b > 0) & (g < price), np.abs(best), 0.0))
        if not size < math.inf:
            return Dual(-math.inf, math.inf)
        value, facts = total(terms), problem.geometry.facts
        rounding = ROUNDING * (size + abs(level) * float(b.sum()))
    rounding += facts.roundings * EPS * abs(value) + facts.least * problem.mass
    rounding += UNDERFLOW if terms.any() else 0.0
    return Dual(value - rounding, rounding)


def outer_potential(f: FloatArray, problem: Problem, whole: Problem) -> FloatArray:
    """Return a potential of the atoms proper with the best one for outside.

    For a price that is 0. For a given mass, moving some more of it costs as much as the
    most expensive column of that mass, and outside is worth as much less.
    """
    if not isinstance(problem.marginals, MoveMass):
        return np.append(f, 0.0)
    best = checker_of(problem.geometry).column_minimum(f, 1)
    by_cost = np.argsort(best)
    moved = np.cumsum(problem.b[by_cost])
    # All columns but the part that outside gives.
    marginal = np.searchsorted(moved, moved[-1] - whole.a[-1])
    return np.append(f, -best[by_cost[min(int(marginal), len(best) - 1)]])
