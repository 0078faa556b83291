"""Transport on the line in closed form: the sorted coupling.

For a cost that is convex in x - y the coupling that fills sorted points from
the north-west corner is optimal for every p >= 1 and for p = inf (Villani,
*Topics in Optimal Transportation*, 2003, 2.2). The staircase of its cells is a
basis, and potentials follow by summing cost differences along it; because the
costs of sorted points form a Monge matrix, they are feasible (Hoffman, 1963).

Where a row and a column of the staircase end at once, there is a choice of potentials. If the
usual ones are much larger than the costs that are paid, the smallest ones are chosen, which
have more digits.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from otdist.geometry.line import Line
from otdist.plans.integer_masses import fitted
from otdist.plans.plans import Arcs
from otdist.plans.staircase import is_resolved, staircase
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.registry import Options
from otdist.typing import FloatArray, IntArray, NDArray

# Potentials larger than the mean cost that is paid by this factor hide digits of the value.
_LARGE = 1e4


def run(problem: Problem, options: Options) -> Candidate:
    """Merge the sorted supports; O((n + m) log(n + m)) time, O(n + m) memory."""
    del options
    line = cast("Line", problem.geometry)
    by_x, by_y = line.by_x, line.by_y
    n, m = line.shape
    by_x, by_y = line.by_x, line.by_y
    a, b = problem.a[by_x], problem.b[by_y]
    rows, columns, mass = staircase(a, b)
    cost = line.pairs(by_x[rows], by_y[columns])
    by_arc = _potentials(line, rows, columns, cost)
    if (mass * np.abs(by_arc)).sum() > _LARGE * (mass * cost).sum():
        by_arc = _small_potentials(line, rows, columns, cost)
    f, g = np.full(n, -np.inf), np.full(m, -np.inf)
    f[by_x[rows]], g[by_y[columns]] = by_arc, cost - by_arc
    if np.isinf(f).any() or np.isinf(g).any():
        # Masses below the last digits of levels have no arc.
        g = np.where(np.isinf(g), line.column_minimum(f), g)
        f = np.where(np.isinf(f), line.row_minimum(g), f)
    plan = Arcs(by_x[rows], by_y[columns], mass)
    if not is_resolved(a, b):
        plan = fitted(plan, problem.a, problem.b)
    return Candidate(plan=plan, f=f, g=g, n_iter=len(rows))


def _potentials(
    line: Line, rows: IntArray, columns: IntArray, cost: FloatArray
) -> NDArray[np.longdouble]:
    """Return potentials of the rows of all arcs: sums of cost differences down the staircase.

    Where a row and a column end at once the staircase goes down first.
    """
    before = line.pairs(line.by_x[rows[1:]], line.by_y[columns[:-1]])
    steps = before.astype(np.longdouble) - cost[:-1]
    # In extended precision, where the machine has it.
    return np.cumsum(np.concatenate([0.5 * cost[:1], steps]))


def _small_potentials(
    line: Line, rows: IntArray, columns: IntArray, cost: FloatArray
) -> NDArray[np.longdouble]:
    """Return potentials of the size of the costs that are paid, where that is possible.

    Where a row and a column end at once, any step between two corners of the staircase is
    feasible. Half the cost of the next arc is chosen, or what is nearest.
    """
    x, y = line.by_x[rows], line.by_y[columns]
    most = line.pairs(x[1:], y[:-1]).astype(np.longdouble) - cost[:-1]
    least = cost[1:] - line.pairs(x[:-1], y[1:]).astype(np.longdouble)
    is_corner = (np.diff(rows) > 0) & (np.diff(columns) > 0)
    # Elsewhere there is one step, along a column or a row.
    least = np.where(is_corner, least, most)
    value = np.longdouble(0.5) * cost[0]
    found = [value]
    for low, high, wanted in zip(least, most, 0.5 * cost[1:], strict=True):
        value = min(max(wanted, value + low), value + high)
        found.append(value)
    return np.array(found)
