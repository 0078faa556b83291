"""Sums of mass times the slope of the costs: what moving a point does to a plan's cost.

Costs depend on x - y, so what a pair does to y is minus what it does to x.
"""

from __future__ import annotations

import numpy as np

from otdist.geometry.grid_separable import Grid
from otdist.geometry.line import Line
from otdist.geometry.points import Points, cost_matrix
from otdist.geometry.protocol import Geometry
from otdist.typing import FloatArray, IntArray

# Pairs closer than this part of the points' size are summed by their differences:
# products of matrices lose the digits that the two points share.
_NEAR = 1e-5


def slopes(
    geometry: Geometry, start: int, stop: int, mass: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what moving x[start:stop] and all y does to ``sum(mass * cost)``.

    Parameters
    ----------
    geometry : Geometry
        Costs of points.
    start, stop : int
        A block of rows.
    mass : ndarray (stop - start, m)
        A plan's entries there.

    Returns
    -------
    by_x, by_y : ndarray (stop - start, d), (m, d)
        Cost × mass per unit of coordinate; of y the part of these rows.
    """
    if isinstance(geometry, Grid):
        pixels = np.arange(geometry.shape[0])
        part = geometry.restrict(pixels[start:stop], pixels)
        return slopes(part, 0, stop - start, mass)
    if isinstance(geometry, Line):
        # All metrics are one on the line.
        x, y = geometry.x[start:stop, None], geometry.y[:, None]
        return _by_coordinates(x, y, "cityblock", geometry.p, mass)
    if isinstance(geometry, Points) and geometry.metric in ("euclidean", "sqeuclidean"):
        return _by_products(geometry, start, stop, mass)
    if isinstance(geometry, Points) and isinstance(geometry.metric, str):
        x, y = geometry.x[start:stop], geometry.y
        return _by_coordinates(x, y, geometry.metric, geometry.p, mass)
    rows, columns = np.nonzero(mass)
    return arc_slopes(geometry, start, stop, rows, columns, mass[rows, columns])


def arc_slopes(
    geometry: Geometry,
    start: int,
    stop: int,
    rows: IntArray,
    columns: IntArray,
    mass: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the same for the listed arcs, `rows` counted from `start`."""
    slope = mass[:, None] * geometry.derivative(rows + start, columns)
    by_x = np.zeros((stop - start, slope.shape[1]))
    by_y = np.zeros((geometry.shape[1], slope.shape[1]))
    np.add.at(by_x, rows, slope)
    np.subtract.at(by_y, columns, slope)
    return by_x, by_y


def _by_products(
    points: Points, start: int, stop: int, mass: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sum ``weight * (x - y)`` by products of matrices: slopes are along the lines."""
    # From the middle, so that an offset common to all points costs no digits.
    middle = points.y.mean(axis=0)
    x, y = points.x[start:stop] - middle, points.y - middle
    if points.p == 2 or points.metric == "sqeuclidean":
        return _products(x, y, 2 * mass)
    distance = cost_matrix(x, y, "euclidean", 1)
    near = distance <= _NEAR * max(np.abs(x).max(), np.abs(y).max())
    distance[near] = 1.0
    weight = points.p * distance ** (points.p - 2) * mass
    weight[near] = 0.0
    rows, columns = np.nonzero(near)
    close = arc_slopes(points, start, stop, rows, columns, mass[rows, columns])
    by_x, by_y = _products(x, y, weight)
    return by_x + close[0], by_y + close[1]


def _products(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    by_x = weight.sum(axis=1)[:, None] * x - weight @ y
    by_y = weight.sum(axis=0)[:, None] * y - weight.T @ x
    return by_x, by_y


def _by_coordinates(
    x: FloatArray, y: FloatArray, metric: str, p: float, mass: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sum the signs of the differences: of all coordinates, or of the largest one."""
    weight = mass
    if p != 1:
        weight = p * cost_matrix(x, y, metric, p - 1) * mass
    steepest = _steepest(x, y) if metric == "chebyshev" else None
    by_x, by_y = np.empty_like(x), np.empty_like(y)
    for k in range(x.shape[1]):
        part = np.sign(x[:, k, None] - y[:, k])
        part *= weight
        if steepest is not None:
            part[steepest != k] = 0.0
        by_x[:, k], by_y[:, k] = part.sum(axis=1), -part.sum(axis=0)
    return by_x, by_y


def _steepest(x: FloatArray, y: FloatArray) -> IntArray:
    """Return the coordinate (k, m) in which the points are farthest apart."""
    steepest = np.zeros((len(x), len(y)), dtype=np.int64)
    largest = np.zeros(steepest.shape)
    for k in range(x.shape[1]):
        size = np.abs(x[:, k, None] - y[:, k])
        steepest[size > largest] = k
        np.maximum(largest, size, out=largest)
    return steepest
