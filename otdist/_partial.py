"""Partial transport in the terms of its measures, and with an atom outside on each side.

A plan that moves some of the mass is a coupling of what the measures have become: the
rest goes outside, or comes from there. For a price per unit of mass, outside may take
and give everything, and what is left of that stays there for nothing. For a mass to be
moved, outside takes and gives for nothing what has to be left, and an arc from outside
to outside, which would have more moved, costs more than any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otdist._geometry import Geometry
from otdist._geometry.extended import Extended
from otdist._geometry.line import Line
from otdist._geometry.points import Points
from otdist._plan import Arcs
from otdist._transform import column_minimum
from otdist._typing import FloatArray, IntArray

# Of a mass, what the sum of a few parts of it may miss.
_ROUNDING = 2.0**-50

if TYPE_CHECKING:
    from otdist._problem import Problem


def with_price(
    geometry: Geometry, a: FloatArray, b: FloatArray, price: float
) -> tuple[Extended, FloatArray, FloatArray]:
    """Return costs and masses where mass may be left at a price."""
    of_a, of_b = float(a.sum()), float(b.sum())
    # Two measures without mass would make a problem without any.
    spare = 0.0 if of_a + of_b > 0 else 1.0
    extended = Extended(_without_order(geometry), price, 0.0)
    return extended, np.append(a, of_b + spare), np.append(b, of_a + spare)


def with_mass(
    geometry: Geometry, a: FloatArray, b: FloatArray, left_a: float, left_b: float
) -> tuple[Extended, FloatArray, FloatArray]:
    """Return costs and masses where all but `left_a` and `left_b` is moved."""
    idle = 2 * geometry.largest or 1.0
    extended = Extended(_without_order(geometry), 0.0, idle)
    return extended, np.append(a, left_b), np.append(b, left_a)


def _without_order(geometry: Geometry) -> Geometry:
    """Return points on the line as points: nothing is known of an order with outside."""
    if not isinstance(geometry, Line):
        return geometry
    x, y = geometry.x[:, None], geometry.y[:, None]
    return Points(x, y, "cityblock", geometry.p, geometry.largest)


def inner_arcs(arcs: Arcs, geometry: Extended) -> Arcs:
    """Return the arcs between the atoms proper."""
    n, m = geometry.base.shape
    rows, columns, mass = arcs
    inside = (rows < n) & (columns < m)
    return Arcs(rows[inside], columns[inside], mass[inside])


def unmatched(arcs: Arcs, geometry: Extended) -> tuple[FloatArray, FloatArray]:
    """Return the masses (n,), (m,) that go outside or come from there."""
    n, m = geometry.base.shape
    rows, columns, mass = arcs
    left_a, left_b = np.zeros(n + 1), np.zeros(m + 1)
    np.add.at(left_a, rows[columns == m], mass[columns == m])
    np.add.at(left_b, columns[rows == n], mass[rows == n])
    return left_a[:n], left_b[:m]


def inner_potentials(f: FloatArray, g: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what a unit of mass costs anew: 0 outside."""
    return f[:-1] + g[-1], g[:-1] + f[-1]


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
    best = column_minimum(geometry.base, f, 1)
    by_cost = np.argsort(best)
    moved = np.cumsum(problem.b[:-1][by_cost])
    # All of the columns but what outside gives.
    marginal = np.searchsorted(moved, moved[-1] - problem.a[-1])
    return np.append(f, -best[by_cost[min(int(marginal), len(best) - 1)]])
