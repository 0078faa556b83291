"""Problems in a unit of length of their own, for functions that return distances."""

from __future__ import annotations

from otdist.geometry.build import points_of, unit_circle, unit_geometry
from otdist.inputs import validate as _validate
from otdist.problem.problem import POINTS, Problem, weigh
from otdist.typing import ArrayLike, Metric


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
        geometry, k = unit_geometry(*points, metric, order)
    else:
        metric, order, length = "arc", _validate.as_order(p), _validate.as_period(period)
        first, second = _validate.as_positions("x", x), _validate.as_positions("y", y)
        geometry, k = unit_circle(first, second, length, order)
    weights = weigh(geometry, a, b, POINTS, normalize, None, None)
    return Problem._of(geometry, weights, metric, order), k
