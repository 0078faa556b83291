"""Cancels the mass that two measures have in common, where the cost is a metric.

Mass that both measures have at one point may stay there: a plan that moves it and brings
other mass instead is no better, by the triangle inequality (Villani, *Topics in Optimal
Transportation*, 2003, 1.2). What is left has fewer atoms, of two images half of them.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from otdist.geometry.points import Points
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.solvers.network_simplex.pooled_images import Sources, least_from
from otdist.typing import FloatArray, IntArray

# Less than this part of the mass is not worth another problem, and has few digits.
_LEAST = 1e-9


class Rest(NamedTuple):
    """What is left of a problem, and the mass that stays where it is."""

    problem: Problem | None  # None if nothing is left
    rows: IntArray
    columns: IntArray
    kept: Arcs


def cancel(problem: Problem) -> Rest | None:
    """Cancel common mass; None if there is none, or next to nothing besides.

    Points that occur more than once on a side are left alone.
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
    """Cancel what the listed pairs, each at one point, have in common."""
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
    """Cancel nothing; leave out the atoms without mass."""
    rows, columns = np.flatnonzero(problem.a), np.flatnonzero(problem.b)
    none = np.empty(0, np.int64)
    kept = Arcs(none, none, np.empty(0))
    return Rest(problem.restrict(rows, columns), rows, columns, kept)


def potentials(
    problem: Problem,
    rest: Rest,
    f: FloatArray,
    g: FloatArray,
    n_jobs: int,
) -> tuple[FloatArray, FloatArray]:
    """Return potentials of all atoms, from optimal ones of those that were left.

    They are one function and its negative, whose slope is nowhere more than 1: the
    least ``cost - f`` over the rows that were left. Mass that stays costs 0 and earns 0.
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
    """Do the same for pixels, of which none is in both lists.

    f and g are of slope 1 together, since each atom has an arc that costs no more than
    they pay: if i' did pay more than i and the way there, i' -> j would pay more than
    its cost, where i -> j is such an arc of i. Only the other pixels are new.
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
