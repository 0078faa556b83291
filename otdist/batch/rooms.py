"""Arrays for small problems, which compiled code does not make itself."""

from __future__ import annotations

import numpy as np

from otdist.batch.kernels import small_problems as kernel
from otdist.solvers.network_simplex.assignment import room_for
from otdist.solvers.network_simplex.kernels.small_problem import Room


def claims_of(n_pairs: int, n_arcs: int, n_potentials: int) -> kernel.Claims:
    """Return room for claims of so many arcs and potentials."""
    return kernel.Claims(
        code=np.empty(n_pairs, np.int64),
        n_arcs=np.zeros(n_pairs, np.int64),
        row=np.empty((n_pairs, n_arcs), np.int64),
        column=np.empty((n_pairs, n_arcs), np.int64),
        mass=np.empty((n_pairs, n_arcs)),
        g=np.empty((n_pairs, n_potentials)),
    )


def work_for(n: int, m: int) -> kernel.Work:
    """Return arrays for problems of at most n sources and m sinks."""
    both, larger = n + m, max(n, m)
    width = both + 1 + kernel.BLOCK_ROWS
    return kernel.Work(
        room=Room(
            np.empty((9, width), np.uint32),
            np.empty((3, both + 3), np.int64),
            np.empty((2, width)),
            np.empty((2, both + 1)),
        ),
        assignment=room_for(min(n, m)),
        most=np.array([n, m]),
        matrix=np.empty(n * m),
        atom=np.empty((3, larger), np.int64),
        mass=np.empty((2, larger)),
        whole=np.empty(both, np.int64),
        floats=np.empty((3, larger)),
        potential=np.empty(both + 1),
        arcs=np.empty((3, both), np.int64),
        links=np.empty((3, 2 * both), np.int64),
    )
