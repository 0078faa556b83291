"""Costs computed from points: a metric to the power p.

Distances come from coordinate differences, never from the expansion
``|x|**2 - 2 x.y + |y|**2``, which loses all digits when the points are far from
the origin compared with the distance between them.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from otdist.errors import InputError, short
from otdist.geometry.metrics import (
    NAMED,
    NamedMetric,
    code_of,
    known,
    named,
    names_of,
    power,
    rounding_of,
)
from otdist.geometry.protocol import Dense, Facts, Geometry
from otdist.inputs.scale import FAR, from_unit, in_unit
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray, Metric

if TYPE_CHECKING:
    from otdist.compiled.costs import Costs

_EPS = float(np.finfo(float).eps)
# Types of a distance that a function may return.
_REAL = (int, float, np.integer, np.floating)
# Coordinates from which on a matrix is better than computing pairs anew, for any number of
# pairs, and for so few that the matrix takes 32 MB.
_MATRIX_FROM, _SMALL_MATRIX_FROM, _SMALL_MATRIX = 24, 6, 1 << 22
# Below this part of their sizes, squares of distances are computed from differences.
_CLOSE = 0.05
# Squares of distances that are all below this have lost digits.
_LEAST_SQUARE = 2.0**-400
# Rows of such a matrix computed at a time; with fewer BLAS is slower.
_ROWS = 512
# Pairs closer than this part of the points' size are summed by their differences:
# products of matrices lose the digits that the two points share.
_NEAR = 1e-5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Points(Geometry):
    """Points x (n, d) and y (m, d) with cost ``metric(x, y) ** p``."""

    x: FloatArray
    y: FloatArray
    metric: Metric
    p: float
    largest: float

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return len(self.x), len(self.y)

    @property
    def facts(self) -> Facts:
        """Facts: of a function of two points nothing is known."""
        metric = named(self.metric)
        if metric is None:
            return Facts(has_positions=True, roundings=0.0 if self.p == 1 else 1.0)
        return _facts_of(metric, self.p, *rounding_of(metric, self.x.shape[1], self.p))

    def resolution(self) -> tuple[float, float] | None:
        """Return the distance by which two units in the last place move two points, and p."""
        metric = named(self.metric)
        if metric is None:
            return None
        power_of = metric.line_power or 1.0
        ones = _distance_of_ones(metric, self.x.shape[1])
        largest = max(float(np.abs(self.x).max()), float(np.abs(self.y).max()))
        return 2 * _EPS * ones ** (1 / power_of) * largest, self.p * power_of

    def rows(self, start: int, stop: int) -> FloatArray:
        """Compute the costs of a block of rows."""
        return cost_matrix(self.x[start:stop], self.y, self.metric, self.p)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Compute the costs of the listed pairs."""
        metric = named(self.metric)
        if metric is not None:
            return _costs(self.x[rows].T, self.y[columns].T, metric, self.p)
        assert callable(self.metric)
        points = zip(self.x[rows], self.y[columns], strict=True)
        values = (self.metric(x, y) for x, y in points)
        return power(np.fromiter(values, float, len(rows)), self.p)

    def coincide(self, rows: IntArray, columns: IntArray) -> Any:
        """Return which of the listed pairs of points are at one place."""
        return (self.x[rows] == self.y[columns]).all(axis=1)

    def tabulated(self) -> Geometry:
        """Return the matrix for many coordinates, and where tiles of points are no use.

        Tiles rely on convex costs, p >= 1.
        """
        metric = named(self.metric)
        is_tiled = metric is None or metric.is_tiled
        is_small = math.prod(self.shape) <= _SMALL_MATRIX
        most = _SMALL_MATRIX_FROM if is_small else _MATRIX_FROM
        if self.x.shape[1] < most and is_tiled and self.p >= 1:
            return self
        return Dense(_matrix_of(self), self.largest)

    def costs(self) -> Costs:
        """Return the coordinates, or the matrix where the metric is a function."""
        from otdist.compiled.costs import from_matrix, from_points

        metric = named(self.metric)
        if metric is None:
            return from_matrix(self.dense())
        return from_points(self.x.T, self.y.T, kernel_code(metric.name), self.p)

    def as_points(self) -> Points:
        """Return the geometry itself."""
        return self

    @property
    def exponent(self) -> int:
        """Return the exponent of a unit of length for solvers, which take squares."""
        metric, size = named(self.metric), self.largest
        takes_squares = metric is not None and metric.is_root and self.p == 1
        is_far = takes_squares and not 2.0**-FAR < size < 2.0**FAR
        return math.frexp(size)[1] if is_far else 0

    def in_unit(self, k: int) -> Self:
        """Return the geometry of the points in a unit of length 2**k, p = 1."""
        x = in_unit(self.x, k)
        y = x if self.y is self.x else in_unit(self.y, k)
        return replace(self, x=x, y=y, largest=from_unit(self.largest, -k))

    def restrict(self, rows: IntArray, columns: IntArray) -> Points:
        """Return the geometry of the listed points."""
        return Points(self.x[rows], self.y[columns], self.metric, self.p, self.largest)

    def transposed(self) -> Points:
        """Return the geometry with x and y exchanged."""
        return Points(self.y, self.x, self.metric, self.p, self.largest)

    def has_equal_sides(self) -> bool:
        """Whether x and y are the same points in the same order."""
        return self.x is self.y or np.array_equal(self.x, self.y)

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient of the costs in the first point of each pair."""
        slope = distance_gradient(self.x[rows] - self.y[columns], self.metric)
        if self.p == 1:
            return slope
        distance = self.pairs(rows, columns) ** (1 / self.p)
        # The gradient at equal points is 0, also where the power has a cusp.
        distance[distance == 0] = 1.0
        return self.p * distance[:, None] ** (self.p - 1) * slope

    def slopes(self, start: int, stop: int, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return `Geometry.slopes`, for whole blocks at once where the metric is known."""
        x = self.x[start:stop]
        if self.metric in ("euclidean", "sqeuclidean"):
            return self._slopes_by_products(start, stop, mass)
        if self.metric in ("cityblock", "chebyshev") and self.p >= 1:
            return _slopes_by_coordinates(x, self.y, known(str(self.metric)), self.p, mass)
        return Geometry.slopes(self, start, stop, mass)

    def _slopes_by_products(
        self, start: int, stop: int, mass: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Sum ``weight * (x - y)`` by products of matrices: slopes are along the lines."""
        # From the middle, so that an offset common to all points costs no digits.
        middle = self.y.mean(axis=0)
        x, y = self.x[start:stop] - middle, self.y - middle
        if self.p == 2 or self.metric == "sqeuclidean":
            return _products(x, y, 2 * mass)
        distance = cost_matrix(x, y, "euclidean", 1)
        near = distance <= _NEAR * max(np.abs(x).max(), np.abs(y).max())
        distance[near] = 1.0
        weight = self.p * distance ** (self.p - 2) * mass
        weight[near] = 0.0
        rows, columns = np.nonzero(near)
        close = self.arc_slopes(start, stop, rows, columns, mass[rows, columns])
        by_x, by_y = _products(x, y, weight)
        return by_x + close[0], by_y + close[1]


@functools.lru_cache
def _facts_of(metric: NamedMetric, p: float, roundings: float, least: float) -> Facts:
    """Return the facts of points with a metric known by name, and with these roundings."""
    return Facts(
        is_metric=metric.is_metric and p == 1,
        is_compiled=True,
        has_positions=True,
        is_positive=True,
        roundings=roundings,
        least=least,
    )


@functools.lru_cache
def _distance_of_ones(metric: NamedMetric, d: int) -> float:
    """Return the distance of a point whose coordinates are all 1 from the origin."""
    return float(cost_matrix(np.ones((1, d)), np.zeros((1, d)), metric.name, 1)[0, 0])


def _products(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    by_x = weight.sum(axis=1)[:, None] * x - weight @ y
    by_y = weight.sum(axis=0)[:, None] * y - weight.T @ x
    return by_x, by_y


def _slopes_by_coordinates(
    x: FloatArray, y: FloatArray, metric: NamedMetric, p: float, mass: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sum the signs of the differences: of all coordinates, or of the largest one."""
    weight = mass
    if p != 1:
        weight = p * cost_matrix(x, y, metric.name, p - 1) * mass
    steepest = _steepest(x, y) if metric.name == "chebyshev" else None
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


def _matrix_of(points: Points) -> FloatArray:
    """Return the matrix (n, m) of the costs of points, read-only."""
    n, m = points.shape
    if points.metric in ("euclidean", "sqeuclidean") and points.p >= 1:
        return _euclidean(points)
    from otdist.compiled import costs as kernel

    costs = points.costs()
    if costs.kind == kernel.MATRIX:
        return costs.matrix
    blocks.require_memory(n, m)
    matrix, nothing = np.empty((n, m)), np.zeros(m)
    for start in range(0, n, _ROWS):
        kernel.fill_rows(costs, start, nothing, matrix[start : start + _ROWS])
    return kernel.read_only(matrix)


def _euclidean(points: Points) -> FloatArray:
    """Return Euclidean costs, from products of matrices where they have the digits."""
    from otdist.compiled.costs import read_only
    from otdist.compiled.products import from_products

    n, m = points.shape
    blocks.require_memory(n, m)
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
    return read_only(matrix)


def kernel_code(metric: str) -> int:
    """Return the code of a metric; `InputError` if the solvers' kernels do not compute it."""
    from otdist.compiled.costs import METRIC_CODES

    return code_of(metric, METRIC_CODES, "the kernels of the solvers")


def distance_gradient(difference: FloatArray, metric: Metric) -> FloatArray:
    """Return the gradient (k, d) of ``metric(x, y)`` in x, given ``x - y``."""
    record = named(metric)
    if record is None:
        raise InputError(f"metric {metric!r} has no known gradient; use {names_of(NAMED.values())}")
    return record.gradient(difference)


def cost_matrix(x: FloatArray, y: FloatArray, metric: Metric, p: float) -> FloatArray:
    """Return ``metric(x[i], y[j]) ** p`` for all pairs, one coordinate at a time.

    Meant for blocks that fit the cache. In plain NumPy, since the first use of
    SciPy's cdist loads for longer than a small problem takes to solve.
    """
    record = named(metric)
    if record is None:
        from scipy.spatial.distance import cdist

        return power(np.asarray(cdist(x, y, metric)), p)
    return _costs(x.T[:, :, None], y.T[:, None, :], record, p)


def _costs(x: FloatArray, y: FloatArray, metric: NamedMetric, p: float) -> FloatArray:
    """Return costs of points (d, …) that broadcast, for blocks and pairs alike.

    A pair costs the same to the last bit whether it is computed alone or in a block.
    """
    total = np.zeros(np.broadcast_shapes(x.shape[1:], y.shape[1:]))
    part = np.empty_like(total)
    with np.errstate(over="ignore"):
        for x_k, y_k in zip(x, y, strict=True):
            metric.add(total, np.subtract(x_k, y_k, out=part))
        # The square is exact where its root would round.
        if not metric.is_root or p == 2:
            return power(total, p / 2 if metric.is_root else p)
        if total.size and not _LEAST_SQUARE < total.item(total.argmax()) < np.inf:
            return _far_costs(x, y, metric, p)
        return power(np.sqrt(total, out=total), p)


def _far_costs(x: FloatArray, y: FloatArray, metric: NamedMetric, p: float) -> FloatArray:
    """Return costs whose squares leave float64, from points in a unit of their size."""
    size = max(float(np.abs(x_k - y_k).max()) for x_k, y_k in zip(x, y, strict=True))
    k = math.frexp(size)[1]
    if size == 0 or k == 0:
        return np.full(np.broadcast_shapes(x.shape[1:], y.shape[1:]), size)
    distance = np.ldexp(_costs(np.ldexp(x, -k), np.ldexp(y, -k), metric, 1.0), k)
    return power(distance, p)


def largest_cost(x: FloatArray, y: FloatArray, metric: Metric, p: float) -> float:
    """Return a bound on all costs: the cost of the bounding box's diagonal."""
    if isinstance(metric, str):
        return diagonal_cost(*box(x, y), metric, p)
    most = max(_checked(metric, point, y, i) for i, point in enumerate(x))
    return float(power(np.array([most]), p)[0])


def _checked(metric: Metric, point: FloatArray, y: FloatArray, i: int) -> float:
    """Return the largest distance from point i of x by a function, once all are distances."""
    assert callable(metric)
    most = 0.0
    for j, other in enumerate(y):
        distance: Any = metric(point, other)
        if not isinstance(distance, _REAL) or not 0 <= distance < math.inf:
            raise InputError(
                f"metric gave {short(distance)} for x[{i}] and y[{j}]; it must return a"
                " number >= 0, the distance of two points"
            )
        most = max(most, float(distance))
    return most


def may_repeat(points: FloatArray) -> bool:
    """Return whether some points (n, d) may be equal: their first coordinates are."""
    first = np.sort(points[:, 0])
    return bool((first[1:] == first[:-1]).any())


def box(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the least and the largest coordinates (d,) of points x and y."""
    return np.minimum(x.min(axis=0), y.min(axis=0)), np.maximum(x.max(axis=0), y.max(axis=0))


def diagonal_cost(low: FloatArray, high: FloatArray, metric: str, p: float) -> float:
    """Return the cost between two corners (d,), ``inf`` where it overflows."""
    return float(cost_matrix(low[None], high[None], metric, p)[0, 0])
