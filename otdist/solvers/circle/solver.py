"""Transport on a circle, reduced to the line by the best cut.

Some optimal coupling keeps the order of the circle: it is the coupling on a line of the two
cumulative distributions, one of them shifted (Delon, Salomon, Sobolevski, *Fast transport
optimization for Monge costs on the circle*, 2010). The cost is a convex, piecewise linear
function of the shift. For p = 1 its minimum is a weighted median of the differences of levels
(Cabrelli and Molter, 1995); otherwise a search on its slope finds the minimum. Potentials are
sums of cost differences around the circle. Where two levels meet, either side gives a
difference, and a mixture of both closes the circle.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from otdist.geometry.circle import Circle
from otdist.plans.integer_masses import fitted
from otdist.plans.plans import Arcs
from otdist.plans.staircase import is_resolved
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.circle.kernels.cut import PARTS, couple_around
from otdist.solvers.circle.kernels.levels import Levels
from otdist.solvers.registry import Options


def run(problem: Problem, options: Options) -> Candidate:
    """Shift and merge the levels; O((n + m) log(n + m)) time and O(n + m) memory."""
    del options
    circle = cast("Circle", problem.geometry)
    (n, m), by_x, by_y = circle.shape, circle.by_x, circle.by_y
    a, b = problem.a[by_x], problem.b[by_y]
    levels = Levels(*(np.empty(size, np.int64) for size in (n, m, n, m)))
    rows, columns = np.empty((2, 1, n + m), np.int32)
    mass, along, n_arcs = np.empty((1, n + m)), np.empty((1, n)), np.empty(1, np.int64)
    with np.errstate(all="ignore"):  # for where compilation is off
        couple_around(
            circle.x[None, by_x],
            circle.y[None, by_y],
            a[None],
            b[None],
            np.zeros((4, 1), np.int64),
            np.ones(1),
            circle.p,
            circle.period,
            levels,
            np.empty((2, n + m), np.int64),
            np.empty(5 * n + m + PARTS),
            rows,
            columns,
            mass,
            n_arcs,
            along,
        )
    used = slice(0, int(n_arcs[0]))
    plan = Arcs(by_x[rows[0, used]], by_y[columns[0, used]], mass[0, used])
    if not is_resolved(problem.a, problem.b):
        plan = fitted(plan, problem.a, problem.b)
    f, g = np.empty(n), np.full(m, -np.inf)
    f[by_x] = along[0]
    # Arcs with mass are tight; columns below the last digits of levels have none.
    g[plan.columns] = circle.pairs(plan.rows, plan.columns) - f[plan.rows]
    if np.isinf(g).any():
        g = np.where(np.isinf(g), circle.column_minimum(f), g)
    return Candidate(plan=plan, f=f, g=g, n_iter=len(plan.mass))
