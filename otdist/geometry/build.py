"""Choose where costs come from, after making sure that they fit float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from otdist.errors import InputError
from otdist.geometry.circle import Circle, reduced
from otdist.geometry.grid_metric import Pixels, pixels_of
from otdist.geometry.grid_separable import Grid
from otdist.geometry.line import Line
from otdist.geometry.metrics import known, line_power, named
from otdist.geometry.points import Points, largest_cost
from otdist.geometry.protocol import Dense, Geometry
from otdist.inputs import validate as _validate
from otdist.typing import FloatArray, Metric


def require_metric(metric: Any, p: float) -> None:
    """Raise if the metric is unknown or does not go with the order."""
    if isinstance(metric, str):
        known(metric)
    elif not callable(metric):
        raise InputError(f"metric must be a name or a function, got {metric!r}")
    if metric == "sqeuclidean" and p != 1:
        raise InputError(
            f"metric='sqeuclidean' with p={p:g} would mean distances to the power"
            f" {2 * p:g}: write metric='euclidean', p=2 for W_2, or"
            f" metric='euclidean', p={2 * p:g} if that power is meant"
        )


def point_geometry(x: FloatArray, y: FloatArray, metric: Metric, p: float) -> Geometry:
    """Choose the geometry, after making sure that its costs fit float64."""
    r = line_power(metric) if x.shape[1] == 1 else None
    on_line = r is not None
    if math.isinf(p):
        p = 1.0
    if p < 1 and not on_line:
        raise InputError(
            f"p={p:g} with concave=True is for points on the line, with a metric known by"
            " name; elsewhere pass the matrix distance**p to emd"
        )
    if r is not None:
        # On the line the costs are powers of |x - y|; this metric takes no squares.
        metric, p = "cityblock", p * r
    largest = largest_cost(x, y, metric, p)
    if math.isnan(largest):
        raise InputError(f"metric {metric!r} gave nan; it must return numbers")
    # Euclidean distances go through squares, which underflow first.
    smallest = 1e-280
    if metric == "euclidean":
        smallest = max(smallest, 1e-140**p)
    is_lost = largest < smallest and isinstance(metric, str)
    if is_lost:  # unless all points are equal
        is_lost = bool((x.min(0) != y.max(0)).any() or (x.max(0) != y.min(0)).any())
    if largest > 1e300 or is_lost:
        raise InputError(
            f"distances to the power {p:g} reach {largest:.3g}, outside what float64"
            " holds well; divide the points by a constant and multiply the distance"
            " by it"
        )
    if on_line:
        if p < 1:
            return Points(x, y, metric, p, largest)
        return Line.of(_validate.frozen(x[:, 0]), _validate.frozen(y[:, 0]), p, largest)
    return Points(x, y, metric, p, largest)


def grid_geometry(axes: list[FloatArray], metric: Metric, p: float) -> Geometry:
    """Keep the axes apart, where the cost is a sum over several; else list pixels."""
    record = named(metric)
    is_separable = record is not None and p in record.separable_at
    is_simple = record is not None and record.is_metric and record.is_tiled and p == 1
    if len(axes) == 1 or not (is_separable or is_simple):
        points = _validate.frozen(pixels_of(tuple(axes)))
        return point_geometry(points, points, metric, p)
    assert record is not None
    corners = np.array([[axis[0] for axis in axes], [axis[-1] for axis in axes]])
    # Checked as points are: the farthest pixels are opposite corners.
    largest = point_geometry(corners, corners, metric, p).largest
    frozen = tuple(map(_validate.frozen, axes))
    if is_separable:
        return Grid(frozen, record.name, p, largest)
    return Pixels.of(frozen, metric, largest)


def circle_geometry(x: FloatArray, y: FloatArray, period: float, p: float) -> Geometry:
    """Bring positions into one turn, after making sure that costs fit float64."""
    if math.isinf(p):
        raise InputError("p=inf is not available on the circle; use a large finite p")
    circle = Circle.of(
        _validate.frozen(reduced(x, period)),
        _validate.frozen(reduced(y, period)),
        period,
        p,
    )
    if not (circle.largest == 0 or 1e-280 < circle.largest < 1e300):
        raise InputError(
            f"distances to the power {p:g} reach {circle.largest:.3g}, outside what"
            " float64 holds well; divide positions and period by a constant and"
            " multiply the distance by it"
        )
    return circle


def unordered(geometry: Geometry) -> Geometry:
    """Return points or a matrix with these costs, to which an atom outside can be added.

    An atom outside has no place in the order of a line, a circle or a grid. Points keep
    the certificate's memory at O(n + m).
    """
    if isinstance(geometry, Grid | Pixels):
        return geometry.restrict(*map(np.arange, geometry.shape))
    points = geometry.as_points()
    if points is not None:
        return points
    matrix = geometry.dense()
    return Dense(matrix, geometry.largest, bool(np.isinf(matrix).any()))
