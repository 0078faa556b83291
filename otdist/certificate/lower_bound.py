"""Lower bounds of the optimum: what potentials prove, once they are feasible."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from otdist.certificate.c_transform import column_minimum, row_minimum
from otdist.certificate.edge_slopes import STEEP, slope_to_trust
from otdist.certificate.image_w1 import slope_one, violation_of
from otdist.certificate.rounding import total
from otdist.geometry.circle import Circle
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.grid_separable import Grid
from otdist.geometry.line import Line
from otdist.problem.problem import Problem
from otdist.typing import FloatArray


class Dual(NamedTuple):
    """A feasible pair of potentials, balanced and 0 where there is no mass."""

    value: float
    f: FloatArray
    g: FloatArray
    violation: float  # of the pair as given
    size: float  # sum of the absolute terms of the value


def lower_bound(
    problem: Problem,
    f: FloatArray,
    g: FloatArray | None,
    n_jobs: int,
    *,
    is_flow: bool = False,
) -> Dual:
    """Return the dual value of f and its c-transform."""
    slope = slope_to_trust(problem, f, is_flow=is_flow)
    if slope is not None:
        # f and -f are feasible, or would be if f were less by that factor. No pair is
        # violated by more than its distance times the excess of the slope.
        off = 0.0 if g is None else max(float(np.max(g + f)), 0.0)
        if slope > STEEP and g is not None:
            off += (slope - 1) * problem.geometry.largest
        f = f / max(slope, 1.0)
        return _dual_value(problem, f, -f, off, by_row=False)
    if isinstance(problem.geometry, Pixels):
        best = slope_one(problem, f, g, n_jobs)
        off = 0.0 if g is None else violation_of(problem, f, g, best, n_jobs)
        return _dual_value(problem, -best, best, off, by_row=False)
    best = column_minimum(problem.geometry, f, n_jobs)
    violation = 0.0 if g is None else max(float(np.max(g - best)), 0.0)
    carries = problem.a > 0
    if not carries.all():
        # Atoms without mass constrain nothing.
        known = np.where(carries, f, -np.inf)
        best = column_minimum(problem.geometry, known, n_jobs)
    return _dual_value(problem, f, best, violation, by_row=False)


def other_lower_bound(
    problem: Problem, f: FloatArray, g: FloatArray, dual: Dual, n_jobs: int
) -> Dual:
    """Return the dual value of g and its c-transform, or `dual` if that is larger.

    The potential of an atom far away is large, and so is its rounding. As f, that
    costs every column it is nearest to; as a c-transform, only its own mass.
    """
    if isinstance(problem.geometry, Pixels):
        g = slope_one(problem, f, g, n_jobs, turned=True)
        f = -g
    else:
        known = np.where(problem.b > 0, g, -np.inf)
        f = row_minimum(problem.geometry, known, n_jobs)
    other = _dual_value(problem, f, g, dual.violation, by_row=True)
    return other if other.value > dual.value else dual


def _dual_value(
    problem: Problem, f: FloatArray, g: FloatArray, violation: float, *, by_row: bool
) -> Dual:
    """Return the value of a potential and its c-transform, which is f if `by_row`."""
    a, b = problem.a, problem.b
    carries, used = a > 0, b > 0
    f, g = np.where(carries, f, 0.0), np.where(used, g, 0.0)
    if not (np.isfinite(f).all() and np.isfinite(g).all()):
        return Dual(math.inf, np.zeros(len(a)), np.zeros(len(b)), violation, math.inf)
    # A c-transform is rounded in units of its own size, before it is balanced.
    size = float(a @ np.abs(f)) if by_row else float(b @ np.abs(g))
    if isinstance(problem.geometry, Line | Circle):
        # On the line it compares sums of coordinates, or relies on their order.
        size += problem.mass * problem.geometry.largest
    if isinstance(problem.geometry, Pixels):
        # Both potentials are c-transforms, costs minus potentials of the sources.
        size = float(a @ np.abs(f) + b @ np.abs(g))
        size += problem.mass * problem.geometry.largest
    if isinstance(problem.geometry, Grid):
        # Each axis adds its cost to what the axes before left, which may be negative.
        size = len(problem.geometry.axes) * (size + problem.mass * problem.geometry.largest)
    # Potentials are defined up to a constant; the balanced choice rounds least.
    shift = float(a @ f - b @ g) / (2 * problem.mass)
    f, g = np.where(carries, f - shift, 0.0), np.where(used, g + shift, 0.0)
    terms = np.concatenate([a * f, b * g])
    return Dual(total(terms), f, g, violation, size + float(np.abs(terms).sum()))
