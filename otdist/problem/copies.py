"""Equal points of one side as a single point with all their weight.

Copies of a point are ties in every comparison, and solvers spend their time on these. Merged
points have the same optimal value; the plan is divided among the copies in their order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.geometry.points import may_repeat
from otdist.plans.integer_masses import exact_sums, fitted, northwest, quantise
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.typing import FloatArray, IntArray


class Merged(NamedTuple):
    """A problem of distinct points, and where the points of the whole problem are in it."""

    whole: Problem
    problem: Problem
    #: The first point of each kind, in the order of the whole problem.
    rows: IntArray
    columns: IntArray
    #: The kind of each point.
    of_row: IntArray
    of_column: IntArray

    def undone(self, claim: Candidate) -> Candidate:
        """Return a claim about all points: copies have the same potential."""
        assert isinstance(claim.plan, Arcs)
        plan = self._divided(claim.plan)
        return claim._replace(plan=plan, f=claim.f[self.of_row], g=claim.g[self.of_column])

    def _divided(self, plan: Arcs) -> Arcs:
        """Divide the mass of each arc among copies, in whole numbers."""
        a, b, unit, _ = quantise(self.whole.a, self.whole.b)
        amount = np.rint(plan.mass / unit).astype(np.int64)
        arc, row, amount = _divided(plan.rows, amount, self.of_row, a)
        columns = plan.columns[arc]
        arc, column, amount = _divided(columns, amount, self.of_column, b)
        mass = np.multiply(amount, unit, dtype=np.float64)
        return fitted(Arcs(row[arc], column, mass), self.whole.a, self.whole.b)


def merged(problem: Problem) -> Merged | None:
    """Return the problem of distinct points; None without copies."""
    points = problem.geometry.as_points()
    if points is None:
        return None
    sides = _kinds(points.x), _kinds(points.y)
    if all(side is None for side in sides):
        return None
    (rows, of_row), (columns, of_column) = (
        side or (np.arange(n), np.arange(n)) for side, n in zip(sides, points.shape, strict=True)
    )
    a, b = exact_sums(of_row, problem.a, len(rows)), exact_sums(of_column, problem.b, len(columns))
    part = problem.on(points).restrict(rows, columns, a, b)
    return Merged(problem, part, rows, columns, of_row, of_column)


def _kinds(points: FloatArray) -> tuple[IntArray, IntArray] | None:
    """Return the first point of each kind, and the kind of each; None if all differ."""
    if not may_repeat(points):
        return None
    _, index, kind = np.unique(points + 0.0, axis=0, return_index=True, return_inverse=True)
    if len(index) == len(points):
        return None
    # In the order of the points, which may be a good one.
    order = np.argsort(index)
    place = np.empty(len(index), np.int64)
    place[order] = np.arange(len(index))
    return index[order], place[kind.ravel()]


def _divided(
    end: IntArray, amount: IntArray, kind: IntArray, mass: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Divide arcs that end at kinds of points among the points of each kind.

    Returns the arc, the point and the amount of each part.
    """
    arcs, points = np.argsort(end, kind="stable"), np.argsort(kind, kind="stable")
    end, amount, mass = end[arcs], amount[arcs], mass[points]
    sums = [
        _whole_sums(*pair, int(kind.max()) + 1) for pair in ((end, amount), (kind[points], mass))
    ]
    # Amounts were rounded to float64. Each arc of a kind takes its part of what is missing.
    before = np.cumsum(sums[0]) - sums[0]
    share = (np.cumsum(amount) - before[end]) / sums[0][end]
    shift = np.rint((sums[1] - sums[0])[end] * share).astype(np.int64)
    is_first = np.diff(end, prepend=-1) > 0
    amount = amount + shift - np.where(is_first, 0, np.roll(shift, 1))
    i, j, part = northwest(amount, mass)
    return arcs[i], points[j], part


def _whole_sums(index: IntArray, amount: IntArray, size: int) -> IntArray:
    sums = np.zeros(size, np.int64)
    np.add.at(sums, index, amount)
    return sums
