"""Problems in a unit of length of their own, for functions that return distances."""

from __future__ import annotations

import numpy as np

from otdist.geometry.build import points_of, unit_circle, unit_geometry
from otdist.geometry.protocol import Geometry
from otdist.inputs import validate as _validate
from otdist.problem.problem import POINTS, Problem, weigh
from otdist.typing import ArrayLike, FloatArray, Metric


def unit_problem(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None,
    b: ArrayLike | None,
    *,
    metric: Metric = "euclidean",
    p: float = 1,
    normalize: bool | None = False,
    concave: bool = False,
    period: float | None = None,
) -> tuple[Problem, int]:
    """Return a problem of points in the unit 2**k of length, and k.

    Its distance is right also where the value, a power, would leave float64. See `Problem`
    and, for a period, `Problem.on_circle`.
    """
    if period is None:
        order = _validate.as_order(p, concave)
        points = points_of(x, y, metric, order, without_weights=a is None and b is None)
    else:
        metric, order, period = "arc", _validate.as_order(p), _validate.as_period(period)
        points = _validate.as_positions("x", x), _validate.as_positions("y", y)

    geometry, k = _in_unit(*points, metric, order, period)
    weights = weigh(geometry, a, b, POINTS, normalize, None, None)
    if k != 0 and not (weights.a.all() and weights.b.all()):
        # Atoms without mass, wherever they are, do not decide the unit.
        rows, columns = np.flatnonzero(weights.a), np.flatnonzero(weights.b)
        geometry, k = _in_unit(points[0][rows], points[1][columns], metric, order, period)
        weights = weights._replace(a=weights.a[rows], b=weights.b[columns])
    return Problem._of(geometry, weights, metric, order), k


def _in_unit(
    x: FloatArray, y: FloatArray, metric: Metric, p: float, period: float | None
) -> tuple[Geometry, int]:
    if period is None:
        return unit_geometry(x, y, metric, p)
    return unit_circle(x, y, period, p)
