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
from otdist.plans.integer_masses import fitted, quantise
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.circle.kernels.cut import PARTS, Pair, couple_levels
from otdist.solvers.registry import Options


def run(problem: Problem, options: Options) -> Candidate:
    """Shift and merge the levels; O((n + m) log(n + m)) time and O(n + m) memory."""
    del options
    circle = cast("Circle", problem.geometry)
    (n, m), by_x, by_y = circle.shape, circle.by_x, circle.by_y
    masses = quantise(problem.a[by_x], problem.b[by_y])
    rows, columns, ahead = np.empty((3, n + m), np.int64)
    mass, spare, along = np.empty(n + m), np.empty(n + m + PARTS), np.empty(n)
    level_a, level_b = np.cumsum(masses.a), np.cumsum(masses.b)
    pair = Pair(circle.x[by_x], circle.y[by_y], level_a, level_b, circle.p, circle.period)
    n_arcs = couple_levels(pair, masses.unit, ahead, spare, rows, columns, mass, along)
    plan = Arcs(by_x[rows[:n_arcs]], by_y[columns[:n_arcs]], mass[:n_arcs])
    if not masses.is_exact:
        plan = fitted(plan, problem.a, problem.b)
    f, g = np.empty(n), np.empty(m)
    f[by_x] = along
    # Arcs with mass are tight, and every column has one.
    g[plan.columns] = circle.pairs(plan.rows, plan.columns) - f[plan.rows]
    return Candidate(plan=plan, f=f, g=g, n_iter=n_arcs)
