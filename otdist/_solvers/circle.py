"""Transport on a circle: the line, once it is known where to cut.

Some optimal coupling keeps the order of the circle: it is that of the line for the level
functions of both measures, one of them shifted (Delon, Salomon, Sobolevski, *Fast
transport optimization for Monge costs on the circle*, 2010). The cost is a convex,
piecewise linear function of the shift. For p = 1 its minimum is a weighted median of
the differences of levels (Cabrelli and Molter, 1995); else it is found by its slope.
Potentials are sums of cost differences around the circle; where two levels meet they
may be those of either side, and a mixture of both closes the circle.
"""

from __future__ import annotations

import numpy as np

from otdist._geometry.circle import Circle
from otdist._kernels.circle import best_shift, steps_at
from otdist._masses import IntegerMasses, fitted, northwest, quantise
from otdist._plan import Arcs
from otdist._problem import Problem
from otdist._result import Candidate
from otdist._solvers import Options
from otdist._typing import FloatArray, IntArray


def run(problem: Problem, options: Options) -> Candidate:
    """Shift, then merge; O((n + m) log(n + m)) time and O(n + m) memory."""
    del options
    circle = problem.geometry
    assert isinstance(circle, Circle)
    by_x, by_y = circle.by_x, circle.by_y
    x, y = circle.x[by_x], circle.y[by_y]
    masses = quantise(problem.a[by_x], problem.b[by_y])
    level_a, level_b = np.cumsum(masses.a), np.cumsum(masses.b)
    if circle.p == 1:
        shift = _median_shift(x, y, level_a, level_b, circle.period)
    else:
        shift = best_shift(x, y, level_a, level_b, circle.period, circle.p)
    below, above = np.empty((2, len(x)))
    steps_at(x, y, level_a, level_b, shift, circle.period, circle.p, below, above)
    rows, columns, flow = _coupling(masses, level_a, shift)
    mass = np.asarray(flow * masses.unit, dtype=np.float64)
    plan = Arcs(by_x[rows], by_y[columns], mass)
    if not masses.is_exact:
        plan = fitted(plan, problem.a, problem.b)
    f, g = np.empty(len(x)), np.empty(len(y))
    f[by_x] = _closed(below, above)
    # Arcs with mass are tight, and every column has one.
    g[plan.columns] = circle.pairs(plan.rows, plan.columns) - f[plan.rows]
    return Candidate(plan=plan, f=f, g=g, n_iter=len(rows), finished=True)


def _median_shift(
    x: FloatArray,
    y: FloatArray,
    level_a: IntArray,
    level_b: IntArray,
    period: float,
) -> int:
    """Return minus the median of the levels' difference, weighted by arc length."""
    ends = np.concatenate([x, y])
    order = np.argsort(ends, kind="stable")
    ends = ends[order]
    mass = np.concatenate([np.diff(level_a, prepend=0), -np.diff(level_b, prepend=0)])
    ahead = np.cumsum(mass[order])
    length = np.append(
        np.diff(ends), (0.5 * period - ends[-1]) + (ends[0] + 0.5 * period)
    )
    by_level = np.argsort(ahead)
    passed = np.cumsum(length[by_level])
    middle = np.searchsorted(passed, 0.5 * passed[-1])
    return -int(ahead[by_level[middle]])


def _coupling(
    masses: IntegerMasses, level_a: IntArray, shift: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Couple in order, x rotated by the shift; the x that the cut divides is in twice."""
    n, total = len(level_a), int(level_a[-1])
    shift %= total
    first = int(np.searchsorted(level_a, total - shift, side="right"))
    order, mass = np.arange(n), masses.a
    if first < n:
        order = np.concatenate([order[first:], order[: first + 1]])
        mass = masses.a[order]
        mass[0] = level_a[first] - (total - shift)
        mass[-1] -= mass[0]
    rows, columns, flow = northwest(mass, masses.b)
    return order[rows], columns, flow


def _closed(below: FloatArray, above: FloatArray) -> FloatArray:
    """Sum steps of a potential around the circle, mixed so that it comes back to 0."""
    steps = np.stack([below, above]).astype(np.longdouble)
    rise, fall = steps.sum(axis=1)
    part = float(np.clip(rise / (rise - fall), 0, 1)) if rise != fall else 0.0
    mixed = (1 - part) * steps[0] + part * steps[1]
    return np.concatenate([[0.0], np.cumsum(mixed[:-1])]).astype(np.float64)
