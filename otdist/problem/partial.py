"""Partial transport in the terms of its measures, and with an atom outside on each side.

A plan that moves some of the mass is a coupling of what the measures have become: the
rest goes outside, or comes from there. For a price per unit of mass, outside may take
and give everything, and what is left of that stays there for nothing. For a mass to be
moved, outside takes and gives for nothing what has to be left, and an arc from outside
to outside, which would have more moved, costs more than any other.
"""

from __future__ import annotations

import numpy as np

from otdist.geometry.outside import Extended
from otdist.geometry.protocol import Geometry
from otdist.plans.plans import Arcs
from otdist.typing import FloatArray


def with_price(
    geometry: Geometry, a: FloatArray, b: FloatArray, price: float
) -> tuple[Extended, FloatArray, FloatArray]:
    """Return costs and masses where mass may be left at a price."""
    of_a, of_b = float(a.sum()), float(b.sum())
    # Two measures without mass would make a problem without any.
    spare = 0.0 if of_a + of_b > 0 else 1.0
    # Nothing is known of an order with outside: points on the line are points.
    extended = Extended(geometry.as_points() or geometry, price, 0.0)
    return extended, np.append(a, of_b + spare), np.append(b, of_a + spare)


def with_mass(
    geometry: Geometry, a: FloatArray, b: FloatArray, left_a: float, left_b: float
) -> tuple[Extended, FloatArray, FloatArray]:
    """Return costs and masses where all but `left_a` and `left_b` is moved."""
    idle = 2 * geometry.largest or 1.0
    extended = Extended(geometry.as_points() or geometry, 0.0, idle)
    return extended, np.append(a, left_b), np.append(b, left_a)


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
