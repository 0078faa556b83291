"""Solves blocks of small problems between many measures; see `batch.kernels.small_problems`."""

from __future__ import annotations

import numpy as np

from otdist.batch.kernels import small_problems as kernel
from otdist.geometry.packed import Clouds, Family
from otdist.geometry.points import kernel_code
from otdist.solvers.network_simplex.kernels.small_problem import Room
from otdist.typing import IntArray

# Atoms of a measure up to which its pairs are small problems.
LARGEST = 512


def claims_for(family: Family, n_pairs: int, n: int, m: int) -> kernel.Claims:
    """Return room for what is claimed of some pairs of at most n and m atoms."""
    n_arcs = n + m
    n_potentials = m if isinstance(family, Clouds) else family.cost.shape[1]
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
        ),
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


def solve_pairs(
    family: Family,
    first: IntArray,
    second: IntArray,
    work: kernel.Work,
    claims: kernel.Claims,
) -> None:
    """Solve pairs, and write what is claimed; ``code`` is 0 where that is an optimum."""
    if isinstance(family, Clouds):
        kernel.solve_clouds(
            family.points,
            family.weights,
            family.starts,
            family.d,
            first,
            second + family.offset,
            kernel_code(family.metric),
            family.p,
            work,
            claims,
        )
        return
    kernel.solve_histograms(
        family.cost,
        family.a,
        family.b,
        first,
        second,
        family.is_metric,
        work,
        claims,
    )
