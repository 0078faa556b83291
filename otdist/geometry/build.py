"""Choose where costs come from, after making sure that they fit float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from otdist.errors import InputError, short
from otdist.geometry.circle import Circle, reduced
from otdist.geometry.grid_metric import Pixels, pixels_of
from otdist.geometry.grid_separable import Grid
from otdist.geometry.line import Line
from otdist.geometry.metrics import known, line_power, named
from otdist.geometry.points import Points, box, diagonal_cost, largest_cost
from otdist.geometry.protocol import Dense, Geometry
from otdist.inputs import validate as _validate
from otdist.inputs.convert import first_index
from otdist.inputs.scale import (
    EXACT,
    FAR,
    exponent,
    from_unit,
    in_unit,
    keeps_digits,
    largest_difference,
)
from otdist.typing import ArrayLike, FloatArray, Metric

# Binary exponent of the power of a turn, beside the costs, from which on a circle is a line.
_MOST_DIGITS = 400


def require_metric(metric: Any, p: float) -> None:
    """Raise if the metric is unknown or does not go with the order."""
    if isinstance(metric, str):
        known(metric)
    elif not callable(metric):
        raise InputError(f"metric must be a name or a function, got {short(metric)}")
    if metric == "sqeuclidean" and p != 1:
        raise InputError(
            f"metric='sqeuclidean' with p={p:g} would mean distances to the power"
            f" {2 * p:g}: write metric='euclidean', p=2 for W_2, or"
            f" metric='euclidean', p={2 * p:g} if that power is meant"
        )


def points_of(
    x: ArrayLike, y: ArrayLike, metric: Metric, p: float, *, without_weights: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return validated points; a warning tells of weights in their place."""
    require_metric(metric, p)
    points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
    _validate.require_same_space(points_x, points_y)
    if without_weights:
        _validate.warn_if_histograms(points_x, points_y)
        _validate.warn_if_images(x, y)
    return points_x, points_y


def point_geometry(x: FloatArray, y: FloatArray, metric: Metric, p: float) -> Geometry:
    """Choose the geometry, after making sure that its costs fit float64."""
    metric, p = _on_the_line(x, metric, p)
    return _points(x, y, metric, p, largest_cost(x, y, metric, p))


def unit_geometry(x: FloatArray, y: FloatArray, metric: Metric, p: float) -> tuple[Geometry, int]:
    """Return `point_geometry` in a unit of length 2**k, and k.

    For distances: they are right in any unit, where costs leave float64.
    """
    if not isinstance(metric, str) or metric == "sqeuclidean":
        return point_geometry(x, y, metric, p), 0
    metric, p = _on_the_line(x, metric, p)
    assert isinstance(metric, str)
    low, high = box(x, y)
    if p < 1 or p in EXACT:
        largest = diagonal_cost(low, high, metric, p)
        if p < 1 or 2.0**-FAR < largest < 2.0**FAR:
            return _points(x, y, metric, p, largest), 0
    k = exponent(largest_difference(low, high), p)
    _require_digits("x", x, k)
    _require_digits("y", y, k)
    x, y, low, high = (in_unit(each, k) for each in (x, y, low, high))
    return _points(x, y, metric, p, diagonal_cost(low, high, metric, p)), k


def _require_digits(name: str, array: FloatArray, k: int) -> None:
    """Raise for coordinates that the unit 2**k would round."""
    if k <= FAR:  # what is lost has no part in a power of the others
        return
    array = array[:, 0] if array.shape[1:] == (1,) else array
    kept = keeps_digits(array, k)
    if not kept.all():
        raise InputError(
            f"{name}{first_index(~kept)} is {array[~kept][0]:.3g} beside coordinates"
            f" of about 2**{k}; squares and sums of both leave float64: divide the points by a"
            " constant, and make the small ones 0 or leave them out"
        )


def _on_the_line(x: FloatArray, metric: Metric, p: float) -> tuple[Metric, float]:
    """Return metric and order of the costs: of numbers they are powers of |x - y|."""
    r = line_power(metric) if x.shape[1] == 1 else None
    if math.isinf(p):
        p = 1.0
    if p < 1 and r is None:
        raise InputError(
            f"p={p:g} with concave=True is for points on the line, with a metric known by"
            " name; elsewhere pass the matrix distance**p to emd"
        )
    # This metric takes no squares.
    return (metric, p) if r is None else ("cityblock", p * r)


def _points(x: FloatArray, y: FloatArray, metric: Metric, p: float, largest: float) -> Geometry:
    """Return the geometry of points whose costs are at most `largest`."""
    smallest, most = 1e-280, 1e300
    if metric == "euclidean" and 1 < p < 2:
        # Solvers take squares, which leave float64 first. For p = 1 they change the unit.
        smallest, most = max(smallest, 1e-140**p), 1e140**p
    is_lost = largest < smallest and isinstance(metric, str)
    if is_lost:  # unless all points are equal
        is_lost = bool((x.min(0) != y.max(0)).any() or (x.max(0) != y.min(0)).any())
    if largest > most or is_lost:
        raise InputError(
            f"distances to the power {p:g} reach {largest:.3g}, outside what float64"
            " holds well; divide the points by a constant and multiply the distance"
            " by it"
        )
    if x.shape[1] > 1 or metric != "cityblock" or p < 1:
        return Points(x, y, metric, p, largest)
    return Line.of(_validate.frozen(x[:, 0]), _validate.frozen(y[:, 0]), p, largest)


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


def circle_geometry(x: FloatArray, y: FloatArray, period: float, p: float) -> Circle:
    """Bring positions into one turn, after making sure that costs fit float64."""
    circle = _on_the_circle(x, y, period, p)
    if not (circle.largest == 0 or 1e-280 < circle.largest < 1e300):
        raise InputError(
            f"distances to the power {p:g} reach {circle.largest:.3g}, outside what"
            " float64 holds well; divide positions and period by a constant and"
            " multiply the distance by it"
        )
    return circle


def unit_circle(x: FloatArray, y: FloatArray, period: float, p: float) -> tuple[Geometry, int]:
    """Return `circle_geometry` in a unit of length 2**k, and k; see `unit_geometry`.

    A part of the circle so small that the power of a turn would overflow is a line.
    """
    if math.isinf(p):
        return circle_geometry(x, y, period, p), 0  # raises
    circle = _on_the_circle(x, y, period, 1.0)
    x, y, longest = circle.x, circle.y, circle.largest
    digits = math.frexp(period)[1] - math.frexp(longest)[1]
    if longest > 0 and p > 1 and digits * p > _MOST_DIGITS:
        if max(x.max(), y.max()) - min(x.min(), y.min()) > longest:
            # From the other end of the circle they lie next to each other, exactly.
            half = 0.5 * period
            x, y = (np.where(each > 0, each - half, each + half) for each in (x, y))
        return unit_geometry(x[:, None], y[:, None], "euclidean", p)
    k = exponent(longest, p)
    _require_digits("x", x, k)
    _require_digits("y", y, k)
    return circle_geometry(in_unit(x, k), in_unit(y, k), from_unit(period, -k), p), k


def unit_geometry_of(
    x: FloatArray, y: FloatArray, metric: Metric, p: float, period: float | None
) -> tuple[Geometry, int]:
    """Return `unit_geometry`, or with a period `unit_circle`."""
    if period is None:
        return unit_geometry(x, y, metric, p)
    return unit_circle(x, y, period, p)


def _on_the_circle(x: FloatArray, y: FloatArray, period: float, p: float) -> Circle:
    if math.isinf(p):
        raise InputError("p=inf is not available on the circle; use a large finite p")
    x, y = (_validate.frozen(reduced(each, period)) for each in (x, y))
    return Circle.of(x, y, period, p)


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
