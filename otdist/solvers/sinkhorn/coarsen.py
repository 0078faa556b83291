"""Initial potentials from coarser problems.

A coarse atom represents a group (`solvers.coarsen`). A coarse problem is solved down to the
weight at which a row of its plan reaches only a few atoms: below that the grouping determines
the plan. The next finer problem continues from there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.compiled.costs import read_only
from otdist.geometry.protocol import Dense, Geometry
from otdist.problem.problem import Problem
from otdist.solvers.coarsen import hierarchy, kd_ordered
from otdist.solvers.registry import Options
from otdist.solvers.sinkhorn.annealing import Anneal
from otdist.solvers.sinkhorn.sweeps import Pairs
from otdist.typing import FloatArray, IntArray

# Pairs of atoms from which on coarser problems are worth their time.
_COARSE_FROM = 1 << 20
# Atoms of the coarsest problem at least, and pairs of the finest at most.
_FEWEST = 200
_MOST_PAIRS = 1 << 26


class Start(NamedTuple):
    """Potentials and weight that the annealing starts with."""

    g: FloatArray
    epsilon: float


def in_order(problem: Problem) -> tuple[IntArray, IntArray] | None:
    """Return an order in which neighbours lie together, for many points; else None.

    The larger entries of the plan then form blocks.
    """
    n, m = problem.shape
    points = problem.geometry.as_points()
    if n * m < _COARSE_FROM or points is None:
        return None
    order = problem.geometry.facts.order
    return order or (kd_ordered(points.x), kd_ordered(points.y))


def begin(problem: Problem, target: float, options: Options) -> Start | None:
    """Return potentials from coarser problems and a weight, or None without such problems."""
    n, m = problem.shape
    if n * m < _COARSE_FROM or problem.is_symmetric:
        return None
    problem = problem.on(problem.geometry.as_points() or problem.geometry)
    before = None
    for level in hierarchy(problem.geometry, problem.a, problem.b):
        n_pairs = len(level.rows) * len(level.columns)
        if len(level.rows) < _FEWEST or n_pairs > _MOST_PAIRS:
            continue
        part = problem.restrict(level.rows, level.columns, level.a, level.b)
        anneal = Anneal(part, options)
        if before is None:
            f, g, epsilon = anneal.first(target)
        else:
            f, epsilon = np.zeros(len(level.a)), before[2]
            g = _carried(problem, *before, level.columns, options.n_jobs)
        state = anneal.run(f, g, epsilon, target, until_sharp=True)
        before = (level.rows, state.f + state.epsilon * np.log(level.a), state.epsilon)
    if before is None:
        return None
    return Start(_carried(problem, *before, np.arange(m), options.n_jobs), before[2])


def _carried(
    problem: Problem, rows: IntArray, f: FloatArray, epsilon: float, columns: IntArray, n_jobs: int
) -> FloatArray:
    """Return the soft c-transform of the potentials of some rows, for some columns."""
    part = _turned(problem.geometry.restrict(rows, columns))
    pairs = Pairs(part, np.ones(len(columns)), n_jobs=n_jobs)
    return pairs.sweep(np.zeros(len(columns)), f, epsilon).f


def _turned(geometry: Geometry) -> Geometry:
    """Return the geometry with sources and sinks exchanged, a matrix row by row."""
    turned = geometry.transposed()
    if turned.as_points() is not None:
        return turned
    return Dense(read_only(turned.dense()), turned.largest)
