"""The ground cost as kernels read it: coordinates, or a matrix.

With many coordinates a pair costs more to compute than to store, and most of the
work of a Euclidean matrix is a product of matrices, which BLAS does best.
"""

from __future__ import annotations

import numpy as np

from otdist.compiled import costs as kernel
from otdist.compiled.products import from_products
from otdist.geometry.line import Line
from otdist.geometry.line_concave import Concave
from otdist.geometry.matrix import Dense
from otdist.geometry.outside import Extended
from otdist.geometry.points import Points
from otdist.geometry.protocol import Geometry
from otdist.runtime.blocks import require_memory
from otdist.typing import FloatArray, IntArray

# Coordinates from which on a matrix is better than computing pairs anew.
_MATRIX_FROM = 24
# Below this part of their sizes, squares of distances are computed from differences.
_CLOSE = 0.05
# Rows computed at a time; with fewer BLAS is slower.
_ROWS = 512
KINDS = {
    "euclidean": kernel.EUCLIDEAN,
    "sqeuclidean": kernel.SQUARED,
    "cityblock": kernel.CITYBLOCK,
    "chebyshev": kernel.CHEBYSHEV,
}


def tabulated(geometry: Geometry) -> Geometry:
    """Return the geometry to solve on: the matrix, if points have many coordinates.

    Also where there are atoms outside, and for concave costs: tiles of points rely on
    convex ones.
    """
    if isinstance(geometry, Concave):
        return Dense(geometry.dense(), geometry.largest)
    if isinstance(geometry, Points) and geometry.x.shape[1] >= _MATRIX_FROM:
        return Dense(_matrix_of(geometry), geometry.largest)
    return geometry.tabulated() if isinstance(geometry, Extended) else geometry


def costs_of(geometry: Geometry) -> kernel.Costs:
    """Return coordinates, or the matrix where there are none or too many."""
    if isinstance(geometry, Line):
        x, y = geometry.x[None], geometry.y[None]
        return kernel.Costs(_NO_MATRIX, _frozen(x), _frozen(y), 1, geometry.p)
    if isinstance(geometry, Points):
        costs = _from_coordinates(geometry)
        if costs is not None:
            return costs
    n, m = geometry.shape
    x, y = np.empty((0, n)), np.empty((0, m))
    matrix = geometry.dense()
    return kernel.Costs(matrix, _frozen(x), _frozen(y), kernel.MATRIX, 1.0)


def rows_of(costs: kernel.Costs, start: int, stop: int) -> FloatArray:
    """Return the costs of a block of rows."""
    if costs.kind == kernel.MATRIX:
        return costs.matrix[start:stop]
    m = costs.y.shape[1]
    block = np.empty((stop - start, m))
    kernel.fill_rows(costs, start, np.zeros(m), block)
    return block


def restricted(costs: kernel.Costs, rows: IntArray, columns: IntArray) -> kernel.Costs:
    """Return the coordinates of the listed points only."""
    x, y = _frozen(costs.x[:, rows]), _frozen(costs.y[:, columns])
    return costs._replace(x=x, y=y)


def _matrix_of(points: Points) -> FloatArray:
    """Return the matrix (n, m), read-only."""
    n, m = points.shape
    if points.metric in ("euclidean", "sqeuclidean"):
        return _euclidean(points)
    costs = _from_coordinates(points)
    if costs is None:
        return points.dense()
    require_memory(n, m)
    matrix, nothing = np.empty((n, m)), np.zeros(m)
    for start in range(0, n, _ROWS):
        kernel.fill_rows(costs, start, nothing, matrix[start : start + _ROWS])
    return _frozen(matrix)


def _euclidean(points: Points) -> FloatArray:
    """Return Euclidean costs, from products of matrices where they have the digits."""
    n, m = points.shape
    require_memory(n, m)
    matrix = np.empty((n, m))
    # From the middle, so that an offset common to all points costs no digits.
    middle = 0.5 * points.x.mean(axis=0) + 0.5 * points.y.mean(axis=0)
    x, y = points.x - middle, points.y - middle
    size_x, size_y = (x * x).sum(axis=1), (y * y).sum(axis=1)
    is_squared = points.metric == "sqeuclidean"
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        part = np.matmul(x[rows], y.T, out=matrix[rows])
        from_products(
            points.x[rows],
            points.y,
            size_x[rows],
            size_y,
            is_squared,
            points.p,
            _CLOSE,
            part,
        )
    return _frozen(matrix)


def _from_coordinates(points: Points) -> kernel.Costs | None:
    """Return the coordinates; None where the metric is a function."""
    if not isinstance(points.metric, str):
        return None
    x, y = _frozen(points.x.T), _frozen(points.y.T)
    return kernel.Costs(_NO_MATRIX, x, y, KINDS[points.metric], points.p)


def _frozen(values: FloatArray) -> FloatArray:
    """Return a contiguous read-only array: one type for the compiler."""
    values = np.ascontiguousarray(values, dtype=np.float64).view()
    values.flags.writeable = False
    return values


_NO_MATRIX = _frozen(np.empty((0, 0)))
