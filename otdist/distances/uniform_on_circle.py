"""Distance to the uniform law on a circle, in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.geometry.circle import reduced
from otdist.inputs.validate import as_axis, as_masses, as_order, as_period, as_positions
from otdist.problem.bracket import root
from otdist.typing import ArrayLike, FloatArray, Metric


def to_uniform(x: FloatArray, a: FloatArray, period: float, p: float) -> float:
    """Return the p-th power of W_p from atoms to the uniform law of the same mass.

    The best coupling keeps the order, so that the atom with the levels from A to B moves
    over the positions from ``period * A + s`` to ``period * B + s``, and what is left is
    to find s. For p = 2 that is a mean (Bonet et al., 2023), for p = inf the middle; else the
    cost is convex in s, and its slope is 0 between two neighbouring floats.

    Parameters
    ----------
    x, a : ndarray (n,)
        Positions, and their masses.
    period : float
        Circumference.
    p : float
        Order, 1 <= p <= inf.
    """
    x = reduced(x, period)
    order = np.argsort(x, kind="stable")
    x, mass = x[order], math.fsum(a.tolist())
    share = a[order] / mass
    level = np.cumsum(share.astype(np.longdouble))
    middle = (level - 0.5 * share).astype(np.float64) / float(level[-1])
    # Each atom moves over an interval of this length around this place, moved by s.
    length, centre = period * share, x - period * middle
    if p == 2:
        centre = centre - centre @ share
        return mass * math.fsum(share * (centre * centre + length * length / 12))
    carries = share > 0
    length, centre = length[carries], centre[carries]
    low, high = centre - 0.5 * length, centre + 0.5 * length
    if math.isinf(p):
        return float(0.5 * (high.max() - low.min()))
    return mass / period * _least(low, high, p)


def _least(low: FloatArray, high: FloatArray, p: float) -> float:
    """Return the least sum of ``integral of |u - s| ** p from low to high`` over s."""
    start, stop = float(low.min()), float(high.max())
    while True:
        s = 0.5 * (start + stop)
        if not start < s < stop:
            break
        # What the sum falls by as s grows, times a constant.
        slope = math.fsum(np.abs(high - s) ** p - np.abs(low - s) ** p)
        start, stop = (s, stop) if slope > 0 else (start, s)

    def primitive(u: FloatArray) -> FloatArray:
        return np.asarray(np.sign(u) * np.abs(u) ** (p + 1) / (p + 1))

    return math.fsum(primitive(high - s) - primitive(low - s))


def require_arcs(metric: Metric, concave: bool) -> None:
    """Raise for options that have no meaning on a circle."""
    if metric != "euclidean":
        raise InputError(
            f"with period= the distance is the shorter arc; leave metric out, got metric={metric!r}"
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
) -> float | FloatArray:
    """Return W_p from measures along an axis to the uniform law on a circle."""
    order = as_order(p)
    if y != "uniform" or period is None:
        raise InputError(
            f"y must be points, or 'uniform' together with a period; got {y!r} and"
            f" period={period!r}"
        )
    if b is not None:
        raise InputError("b must be left out: the uniform law takes the mass of x")
    length, along = as_period(period), 0 if axis is None else axis
    if axis is None:
        return _distance(x, a, length, order, normalize)
    points, masses = _along("x", x, along), None if a is None else _along("a", a, along)
    lanes = points.shape[:-1]
    if masses is not None:
        try:
            lanes = np.broadcast_shapes(lanes, masses.shape[:-1])
        except ValueError:
            raise InputError(
                f"the axes of x and a other than axis={axis} must broadcast, got"
                f" {lanes} and {masses.shape[:-1]}"
            ) from None
        masses = np.broadcast_to(masses, (*lanes, masses.shape[-1]))
    points = np.broadcast_to(points, (*lanes, points.shape[-1]))
    values = np.empty(lanes)
    for index in np.ndindex(lanes):
        weights = None if masses is None else masses[index]
        try:
            values[index] = _distance(points[index], weights, length, order, normalize)
        except InputError as error:
            raise InputError(f"pair {list(index)}: {error}" if lanes else str(error)) from error
    return values if lanes else float(values)


def _along(name: str, values: ArrayLike, axis: int) -> NDArray[Any]:
    """Return an array as it came, the axis last."""
    array = np.asarray(values)
    return np.moveaxis(array, as_axis(name, axis, array.ndim), -1)


def _distance(x: ArrayLike, a: ArrayLike | None, period: float, p: float, normalize: bool) -> float:
    """Return W_p of one measure to the uniform law."""
    points = as_positions("x", x)
    shape = len(points), len(points)
    masses, _, _ = as_masses(a, a, shape, ("point of x", "point of x"), normalize)
    return root(to_uniform(points, masses, period, p), p)
