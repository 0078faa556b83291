"""Cancellation of the mass that two distributions share, where the cost is a metric.

Mass that both distributions have at one point may stay there: a plan that replaces it by other
mass is no better, by the triangle inequality (Villani, *Topics in Optimal Transportation*,
2003, 1.2). The rest has fewer atoms, about half of them for two images.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from otdist.geometry.points import Points
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.solvers.network_simplex.pooled_images import Sources, least_from
from otdist.typing import FloatArray, IntArray

# A rest below this part of the mass is not solved by itself, since it has few digits.
_LEAST = 1e-9


class Rest(NamedTuple):
    """The rest of a problem, and the mass that stays in place."""

    problem: Problem | None  # None if nothing is left
    rows: IntArray
    columns: IntArray
    kept: Arcs


def cancel(problem: Problem) -> Rest | None:
    """Cancel common mass; return None without common mass, or with almost no other mass.

    Points that occur more than once on a side are not cancelled.
    """
    geometry = cast("Points", problem.geometry)
    if geometry.facts.same_atoms:
        both = np.flatnonzero(np.minimum(problem.a, problem.b))
        return _without(problem, both, both) or _nothing(problem)
    x, y = geometry.x, geometry.y
    if len(np.intersect1d(x[:, 0], y[:, 0])) == 0:
        return None
    _, place = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    at_x, at_y = place[: len(x)], place[len(x) :]
    once = (np.bincount(at_x, minlength=len(place)) == 1) & (
        np.bincount(at_y, minlength=len(place)) == 1
    )
    rows, columns = np.flatnonzero(once[at_x]), np.flatnonzero(once[at_y])
    if len(rows) == 0:
        return None
    rows, columns = rows[np.argsort(at_x[rows])], columns[np.argsort(at_y[columns])]
    return _without(problem, rows, columns)


def _without(problem: Problem, rows: IntArray, columns: IntArray) -> Rest | None:
    """Cancel the common mass of the listed pairs of equal points."""
    mass = np.minimum(problem.a[rows], problem.b[columns])
    kept = Arcs(rows, columns, mass)
    a, b = problem.a.copy(), problem.b.copy()
    a[rows] -= mass
    b[columns] -= mass
    left_x, left_y = np.flatnonzero(a), np.flatnonzero(b)
    if len(left_x) == len(left_y) == 0:
        return Rest(None, left_x, left_y, kept)
    if min(a.sum(), b.sum()) < _LEAST * problem.mass:
        return None
    part = problem.restrict(left_x, left_y, a[left_x], b[left_y])
    return Rest(part, left_x, left_y, kept)


def _nothing(problem: Problem) -> Rest:
    """Cancel nothing, and drop the atoms without mass."""
    rows, columns = np.flatnonzero(problem.a), np.flatnonzero(problem.b)
    none = np.empty(0, np.int64)
    kept = Arcs(none, none, np.empty(0))
    return Rest(problem.restrict(rows, columns), rows, columns, kept)


def potentials(
    problem: Problem, rest: Rest, f: FloatArray, g: FloatArray, n_jobs: int
) -> tuple[FloatArray, FloatArray]:
    """Return potentials of all atoms, from optimal potentials of the rest.

    They are a function of slope at most 1 and its negative: the least ``cost - f`` over the
    rows of the rest. Mass that stays in place costs 0 and gains 0.
    """
    geometry = cast("Points", problem.geometry)
    if geometry.facts.same_atoms:
        return _of_pixels(geometry, rest, f, g, n_jobs)
    sources = Sources(geometry.x[rest.rows], f)
    of_x = least_from(sources, geometry.x, geometry, n_jobs)
    return -of_x, least_from(sources, geometry.y, geometry, n_jobs)


def _of_pixels(
    grid: Points, rest: Rest, f: FloatArray, g: FloatArray, n_jobs: int
) -> tuple[FloatArray, FloatArray]:
    """Return potentials of all pixels; no pixel is in both lists of the rest.

    -f and g form one function of slope at most 1, since every atom i has a tight arc i -> j:
    if ``f[i'] > f[i] + c(i', i)`` for some i', the arc i' -> j would violate its cost. Only
    the other pixels need new potentials.
    """
    value = np.full(len(grid.x), np.nan)
    value[rest.rows], value[rest.columns] = -f, g
    others = np.flatnonzero(np.isnan(value))
    if len(rest.rows) <= len(rest.columns):
        sources = Sources(grid.x[rest.rows], f)
        value[others] = least_from(sources, grid.x[others], grid, n_jobs)
    else:
        sources = Sources(grid.x[rest.columns], g)
        value[others] = -least_from(sources, grid.x[others], grid, n_jobs)
    return -value, value
