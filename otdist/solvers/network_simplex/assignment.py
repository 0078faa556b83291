"""Square problems of equal weights, solved by shortest augmenting paths where these are few."""

from __future__ import annotations

import numpy as np

from otdist.compiled.costs import read_only
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.network_simplex.kernels import assignment as kernel

# Pairs up to which giving up takes little time.
_MOST_PAIRS = 1 << 24


def room_for(n: int) -> kernel.Room:
    """Return arrays for n rows and columns."""
    integers, floats = np.empty((5, n), np.int64), np.empty((5, n))
    return kernel.Room(*integers, *floats)


def solve_square(problem: Problem) -> Candidate | None:
    """Solve a problem of equal weights on a matrix; None where that takes long, or is another."""
    n, m = problem.shape
    if n != m or n * m > _MOST_PAIRS or problem.geometry.facts.has_forbidden:
        return None
    if np.ptp(problem.a) > 0 or np.ptp(problem.b) > 0:
        return None
    cost, room = problem.geometry.dense(), room_for(n)
    n_read = kernel.assign(read_only(cost), room)
    if n_read < 0:
        return None
    rows = np.arange(n)
    f = cost[rows, room.column] - room.price[room.column]
    plan = Arcs(rows, room.column, problem.a.copy())
    return Candidate(plan, f, room.price, int(n_read))
