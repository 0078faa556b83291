"""Problems in a unit of length of their own, where the user's would leave float64.

Distances are computed in such a unit by all functions that return numbers. `solve` and `certify`
use one where solvers and certificates would take squares that over- or underflow.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from otdist.errors import InputError
from otdist.geometry.build import points_of, unit_circle, unit_geometry
from otdist.inputs import validate as _validate
from otdist.problem.marginals import LeaveAtPrice
from otdist.problem.problem import POINTS, Problem, Weights, weigh
from otdist.problem.result import Candidate, Certificate
from otdist.typing import ArrayLike, FloatArray, Metric

_LEAST_PRICE, _MOST_PRICE = 2.0**-900, 2.0**900


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


def in_unit(problem: Problem) -> tuple[Problem, int]:
    """Return the problem for solvers, with costs in the unit 2**k, and k, mostly 0."""
    k = problem.geometry.exponent
    if k == 0:
        return problem, 0
    marginals = problem.marginals
    if isinstance(marginals, LeaveAtPrice):
        marginals = LeaveAtPrice(_price(marginals.price, k))
    weights = Weights(problem.a, problem.b, problem.mass, marginals)
    return Problem._of(problem.geometry.in_unit(k), weights, problem.metric, problem.p), k


def _price(price: float, k: int) -> float:
    """Return a price in the unit 2**k."""
    exponent = math.frexp(price)[1] - k
    if abs(exponent) > 900:
        raise InputError(
            f"price is {price:.3g}, too far from the distances, of about {2.0**k:.3g};"
            " divide the points by a constant, or leave out the mass that is not moved"
        )
    return math.ldexp(price, -k)


def in_costs(problem: Problem, potential: FloatArray, k: int) -> FloatArray:
    """Return a potential in costs of the unit 2**k; those of p = inf are no costs."""
    return potential if k == 0 or problem.is_bottleneck else np.ldexp(potential, -k)


def claim_from_unit(problem: Problem, claim: Candidate, k: int) -> Candidate:
    """Return a claim about the problem in the unit 2**k in costs of the user."""
    return claim._replace(f=in_costs(problem, claim.f, -k), g=in_costs(problem, claim.g, -k))


def certificate_from_unit(certificate: Certificate, k: int) -> Certificate:
    """Return a certificate of a problem in the unit 2**k in units of the user."""
    costs: dict[str, Any] = {
        name: math.ldexp(getattr(certificate, name), k)
        for name in ("lower", "upper", "dual_violation", "rounding")
    }
    return replace(certificate, **costs)
