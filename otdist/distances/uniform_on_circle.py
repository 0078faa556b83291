"""Distance to the uniform distribution on a circle, in closed form."""

from __future__ import annotations

import math

import numpy as np

from otdist.batch.line import Side, fill, pairs_of
from otdist.errors import InputError, short
from otdist.geometry.circle import reduced
from otdist.inputs.scale import exponent, from_unit, in_unit
from otdist.inputs.validate import as_masses, as_order, as_period, as_positions
from otdist.problem.result import root
from otdist.solvers.registry import permits
from otdist.typing import ArrayLike, FloatArray, Metric


def to_uniform(x: FloatArray, a: FloatArray, period: float, p: float) -> float:
    """Return W_p from atoms to the uniform distribution of the same mass.

    The best coupling keeps the order: the atom with the levels from A to B moves over the
    positions from ``period * A + s`` to ``period * B + s``, for some s. For p = 2 the best s
    is a mean (Bonet et al., 2023), for p = inf the middle; else the cost is convex in s, and
    its slope is 0 between two neighbouring floats.
    """
    unit = math.frexp(period)[1]
    x, period = in_unit(reduced(x, period), unit), from_unit(period, -unit)
    order = np.argsort(x, kind="stable")
    x, mass = x[order], math.fsum(a.tolist())
    share = a[order] / mass
    level = np.cumsum(share.astype(np.longdouble))
    middle = (level - 0.5 * share).astype(np.float64) / float(level[-1])
    # Each atom moves over an interval of this length around this place, moved by s.
    length, centre = period * share, x - period * middle
    if p == 2:
        centre = centre - centre @ share
        square = math.fsum(share * (centre * centre + length * length / 12))
        return root(mass * square, p, unit)
    carries = share > 0
    length, centre = length[carries], centre[carries]
    low, high = centre - 0.5 * length, centre + 0.5 * length
    # Many atoms are near to their places: powers need a unit of that size.
    if math.isinf(p):
        return from_unit(float(0.5 * (high.max() - low.min())), unit)
    near = exponent(float(high.max() - low.min()), p)
    cost = mass / from_unit(period, -near) * _least(in_unit(low, near), in_unit(high, near), p)
    return root(cost, p, unit + near)


def _least(low: FloatArray, high: FloatArray, p: float) -> float:
    """Return the least sum of ``integral of |u - s| ** p from low to high`` over s."""
    start, stop = float(low.min()), float(high.max())
    while True:
        s = 0.5 * (start + stop)
        if not start < s < stop:
            break
        # How fast the sum falls as s grows, times a constant.
        slope = math.fsum(np.abs(high - s) ** p - np.abs(low - s) ** p)
        start, stop = (s, stop) if slope > 0 else (start, s)

    def primitive(u: FloatArray) -> FloatArray:
        return np.asarray(np.sign(u) * np.abs(u) ** (p + 1) / (p + 1))

    return math.fsum(primitive(high - s) - primitive(low - s))


def require_arcs(metric: Metric, concave: bool) -> None:
    """Raise for options that do not go with a circle."""
    if not isinstance(metric, str) or metric != "euclidean":
        raise InputError(
            "with period= the distance is the shorter arc; leave metric out, got"
            f" metric={short(metric)}"
        )
    if concave:
        raise InputError("concave=True is for the line; it does not go with period=")


def distances_to_uniform(
    x: ArrayLike,
    y: str,
    a: ArrayLike | None,
    b: ArrayLike | None,
    axis: int | None,
    p: float,
    period: float | None,
    normalize: bool,
    method: str,
) -> float | FloatArray:
    """Return W_p from measures along an axis to the uniform distribution on a circle."""
    order = as_order(p)
    if y != "uniform" or period is None:
        raise InputError(
            f"y must be points, or 'uniform' together with a period; got {y!r} and"
            f" period={period!r}"
        )
    if not permits(method, "circle"):
        raise InputError(f"with y='uniform' the method is 'circle', got {method!r}")
    if b is not None:
        raise InputError("b must be left out: the uniform distribution takes the mass of x")
    length = as_period(period)
    if axis is None:
        return _distance(x, a, length, order, normalize)
    sides = (Side.of(("x", "a"), x, a, axis),)
    shape = pairs_of(sides, axis)

    def one(points: FloatArray, masses: FloatArray | None) -> float:
        return _distance(points, masses, length, order, normalize)

    values = np.empty(math.prod(shape))
    fill(values, np.arange(len(values)), one, sides, shape)
    return values.reshape(shape) if shape else values[0]


def _distance(x: ArrayLike, a: ArrayLike | None, period: float, p: float, normalize: bool) -> float:
    """Return W_p of one measure to the uniform distribution."""
    points = as_positions("x", x)
    shape = len(points), len(points)
    masses, _, _ = as_masses(a, a, shape, ("point of x", "point of x"), normalize)
    return to_uniform(points, masses, period, p)
