"""Transport on the line in closed form: the sorted coupling.

For a cost that is convex in x - y the coupling that fills sorted points from
the north-west corner is optimal for every p >= 1 and for p = inf (Villani,
*Topics in Optimal Transportation*, 2003, 2.2). The staircase of its cells is a
basis, and potentials follow by summing cost differences along it; because the
costs of sorted points form a Monge matrix, they are feasible (Hoffman, 1963).
"""

from __future__ import annotations

from typing import cast

import numpy as np

from otdist.geometry.line import Line
from otdist.plans.integer_masses import IntegerMasses, fitted, northwest, quantise
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.registry import Options
from otdist.typing import FloatArray


def run(problem: Problem, options: Options) -> Candidate:
    """Merge the sorted supports; O((n + m) log(n + m)) time, O(n + m) memory."""
    del options
    line = cast("Line", problem.geometry)
    by_x, by_y = line.by_x, line.by_y
    masses = quantise(problem.a[by_x], problem.b[by_y])
    rows, columns, flow = northwest(masses.a, masses.b)
    mass = np.asarray(flow * masses.unit, dtype=np.float64)
    plan = Arcs(by_x[rows], by_y[columns], mass)
    if not masses.is_exact:
        plan = fitted(plan, problem.a, problem.b)
    f, g = np.empty(len(by_x)), np.empty(len(by_y))
    f[by_x], g[by_y] = _potentials(line, masses)
    return Candidate(plan=plan, f=f, g=g, n_iter=len(rows))


def _potentials(line: Line, masses: IntegerMasses) -> tuple[FloatArray, FloatArray]:
    """Sum cost differences down and along the staircase of sorted points.

    Row i ends inside column j(i), so that ``f[i+1] - f[i] = c[i+1, j] - c[i, j]``; columns
    are treated likewise. Where a row and a column end at once the staircase goes down first.
    """
    (n, m), by_x, by_y = line.shape, line.by_x, line.by_y
    level_a, level_b = np.cumsum(masses.a), np.cumsum(masses.b)
    i, j = np.arange(n - 1), np.searchsorted(level_b, level_a[:-1], side="left")
    steps_f = line.pairs(by_x[i + 1], by_y[j]) - line.pairs(by_x[i], by_y[j])
    j, i = np.arange(m - 1), np.searchsorted(level_a, level_b[:-1], side="right")
    steps_g = line.pairs(by_x[i], by_y[j + 1]) - line.pairs(by_x[i], by_y[j])
    f = _running_sum(0.0, steps_f)
    g = _running_sum(float(line.pairs(by_x[:1], by_y[:1])[0]), steps_g)
    return f, g


def _running_sum(first: float, steps: FloatArray) -> FloatArray:
    """Sum up in extended precision, where the machine has it."""
    terms = np.concatenate([[first], steps]).astype(np.longdouble)
    return np.cumsum(terms).astype(np.float64)
