"""Costs computed from points: a metric to the power p.

Distances come from coordinate differences, never from the expansion
``|x|**2 - 2 x.y + |y|**2``, which loses all digits when the points are far from
the origin compared with the distance between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otdist.errors import InputError
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray, Metric

#: The metrics known by name; the value says whether it is one (triangle
#: inequality), which decides what duality may assume.
METRICS = {
    "euclidean": True,
    "cityblock": True,
    "chebyshev": True,
    "sqeuclidean": False,
}


@dataclass(frozen=True, slots=True, eq=False)
class Points:
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

    def rows(self, start: int, stop: int) -> FloatArray:
        """Compute the costs of a block of rows."""
        return cost_matrix(self.x[start:stop], self.y, self.metric, self.p)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Compute the costs of the listed pairs."""
        if not isinstance(self.metric, str):
            distance = self.metric
            pairs = zip(rows, columns, strict=True)
            values = (distance(self.x[i], self.y[j]) for i, j in pairs)
            return power(np.fromiter(values, float, len(rows)), self.p)
        return _costs(self.x[rows].T, self.y[columns].T, self.metric, self.p)

    def dense(self) -> FloatArray:
        """Compute the whole matrix; `InputError` if it cannot fit in memory."""
        return blocks.dense(self)

    def restrict(self, rows: IntArray, columns: IntArray) -> Points:
        """Return the geometry of the listed points."""
        return Points(self.x[rows], self.y[columns], self.metric, self.p, self.largest)

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return ``min_i c[i, j] - f[i]``."""
        return blocks.column_minimum(self, f)

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return ``min_j c[i, j] - g[j]``."""
        return blocks.row_minimum(self, g)

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient of the costs in the first point of each pair."""
        difference = self.x[rows] - self.y[columns]
        if self.metric == "sqeuclidean":
            return 2 * difference
        slope = distance_gradient(difference, self.metric)
        if self.p == 1:
            return slope
        distance = self.pairs(rows, columns) ** (1 / self.p)
        return self.p * distance[:, None] ** (self.p - 1) * slope


def distance_gradient(difference: FloatArray, metric: Metric) -> FloatArray:
    """Return the gradient (k, d) of ``metric(x, y)`` in x, given ``x - y``.

    Where the distance has a kink the subgradient with the smallest entries is
    taken: 0 for equal points.
    """
    if metric == "euclidean":
        length = np.sqrt(np.einsum("kd,kd->k", difference, difference))
        return difference / np.where(length > 0, length, 1.0)[:, None]
    if metric == "cityblock":
        return np.sign(difference)
    if metric == "chebyshev":
        steepest = np.abs(difference).argmax(axis=1)[:, None]
        slope = np.zeros_like(difference)
        sign = np.sign(np.take_along_axis(difference, steepest, axis=1))
        np.put_along_axis(slope, steepest, sign, axis=1)
        return slope
    raise InputError(
        f"metric {metric!r} has no known gradient; use 'euclidean', 'cityblock' or 'chebyshev'"
    )


def cost_matrix(x: FloatArray, y: FloatArray, metric: Metric, p: float) -> FloatArray:
    """Return ``metric(x[i], y[j]) ** p`` for all pairs, one coordinate at a time.

    Meant for blocks that fit the cache. In plain NumPy, since the first use of
    SciPy's cdist loads for longer than a small problem takes to solve.
    """
    if not isinstance(metric, str):
        from scipy.spatial.distance import cdist

        return power(np.asarray(cdist(x, y, metric)), p)
    return _costs(x.T[:, :, None], y.T[:, None, :], metric, p)


def _costs(x: FloatArray, y: FloatArray, metric: str, p: float) -> FloatArray:
    """Return costs of points (d, …) that broadcast, for blocks and pairs alike.

    One code for both, so that a pair costs the same to the last bit either way.
    """
    total = np.zeros(np.broadcast_shapes(x.shape[1:], y.shape[1:]))
    part = np.empty_like(total)
    for x_k, y_k in zip(x, y, strict=True):
        np.subtract(x_k, y_k, out=part)
        if metric == "chebyshev":
            np.maximum(total, np.abs(part, out=part), out=total)
        elif metric == "cityblock":
            total += np.abs(part, out=part)
        else:
            total += np.multiply(part, part, out=part)
    if metric == "euclidean":
        # The square is exact where its root would round.
        return total if p == 2 else power(np.sqrt(total, out=total), p)
    return power(total, p)


def power(distance: FloatArray, p: float) -> FloatArray:
    """Return ``distance ** p``, leaving the array alone for p = 1."""
    return distance if p == 1 else np.asarray(distance**p)


def largest_cost(x: FloatArray, y: FloatArray, metric: Metric, p: float) -> float:
    """Return a bound on all costs: the cost of the bounding box's diagonal."""
    if isinstance(metric, str):
        low = np.minimum(x.min(axis=0), y.min(axis=0))[None]
        high = np.maximum(x.max(axis=0), y.max(axis=0))[None]
        with np.errstate(over="ignore"):
            return float(cost_matrix(low, high, metric, p)[0, 0])
    return max(
        float(np.abs(cost_matrix(x[start:stop], y, metric, p)).max())
        for start, stop in blocks.row_blocks(len(x), len(y))
    )
