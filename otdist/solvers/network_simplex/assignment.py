"""Square problems of equal weights, solved by shortest augmenting paths where these are few."""

from __future__ import annotations

import numpy as np

from otdist.compiled.costs import read_only
from otdist.plans.plans import Arcs
from otdist.problem.result import Candidate
from otdist.solvers.network_simplex.kernels import assignment as kernel
from otdist.typing import FloatArray

# Pairs up to which giving up takes little time.
_MOST_PAIRS = 1 << 24


def room_for(n: int) -> kernel.Room:
    """Return arrays for n rows and columns."""
    integers, floats = np.empty((5, n), np.int64), np.empty((5, n))
    return kernel.Room(*integers, *floats)


def solve_square(cost: FloatArray, a: FloatArray, b: FloatArray) -> Candidate | None:
    """Solve a problem of equal weights, without forbidden arcs; None where that takes long.

    Also None where weights differ, or rows are more or fewer than columns.
    """
    n, m = cost.shape
    if n != m or n * m > _MOST_PAIRS or np.ptp(a) > 0 or np.ptp(b) > 0:
        return None
    room = room_for(n)
    n_read = kernel.assign(read_only(cost), room)
    if n_read < 0:
        return None
    rows = np.arange(n)
    f = cost[rows, room.column] - room.price[room.column]
    return Candidate(Arcs(rows, room.column, a.copy()), f, room.price, int(n_read))
