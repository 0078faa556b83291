"""Plans and potentials of partial problems, completed by those of the atoms outside."""

from __future__ import annotations

import numpy as np

from otdist.certificate.checkers import checker_of
from otdist.plans.plans import Arcs
from otdist.problem.marginals import MoveMass, rest, unmatched
from otdist.problem.problem import Problem
from otdist.typing import FloatArray


def outer_arcs(arcs: Arcs, whole: Problem) -> Arcs:
    """Add the arcs to outside, of the mass that a plan of the atoms proper leaves.

    `whole` is the problem with outside as the last atom of each side.
    """
    n, m = (size - 1 for size in whole.shape)
    left_a, left_b = unmatched(arcs, whole.a[:n], whole.b[:m])
    idle = rest(whole.b[m:], left_a.sum(keepdims=True))
    return Arcs(
        np.concatenate([arcs.rows, np.arange(n), np.full(m + 1, n)]),
        np.concatenate([arcs.columns, np.full(n, m), np.arange(m + 1)]),
        np.concatenate([arcs.mass, left_a, left_b, idle]),
    )


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
