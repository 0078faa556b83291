"""Plans and potentials of partial problems, completed by those of the outside."""

from __future__ import annotations

import numpy as np

from otdist.certificate.checkers import checker_of
from otdist.geometry.outside import Extended
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.typing import FloatArray, IntArray

# Of a mass, what the sum of a few parts of it may miss.
_ROUNDING = 2.0**-50


def outer_arcs(arcs: Arcs, problem: Problem) -> Arcs:
    """Send what a plan of the atoms proper leaves to outside."""
    n, m = (size - 1 for size in problem.shape)
    rows, columns, mass = arcs
    left_a = _rest(problem.a[:n], _sums(rows, mass, n))
    left_b = _rest(problem.b[:m], _sums(columns, mass, m))
    idle = _rest(problem.b[m:], left_a.sum(keepdims=True))
    return Arcs(
        np.concatenate([rows, np.arange(n), np.full(m + 1, n)]),
        np.concatenate([columns, np.full(n, m), np.arange(m + 1)]),
        np.concatenate([mass, left_a, left_b, idle]),
    )


def _sums(index: IntArray, mass: FloatArray, size: int) -> FloatArray:
    return np.bincount(index, mass, size).astype(np.float64, copy=False)


def _rest(mass: FloatArray, moved: FloatArray) -> FloatArray:
    """Return what is left of masses, nothing where that is the rounding of a sum."""
    rest = mass - moved
    return np.where(rest > _ROUNDING * mass, rest, 0.0)


def outer_potential(f: FloatArray, problem: Problem) -> FloatArray:
    """Return a potential of the atoms proper with the best one of outside.

    With a price that is 0. With a mass, moving some more of it costs what the most
    expensive column of that mass costs, and outside is worth as much less.
    """
    geometry = problem.geometry
    assert isinstance(geometry, Extended)
    if geometry.price > 0:
        return np.append(f, 0.0)
    best = checker_of(geometry.base).column_minimum(f, 1)
    by_cost = np.argsort(best)
    moved = np.cumsum(problem.b[:-1][by_cost])
    # All of the columns but what outside gives.
    marginal = np.searchsorted(moved, moved[-1] - problem.a[-1])
    return np.append(f, -best[by_cost[min(int(marginal), len(best) - 1)]])
