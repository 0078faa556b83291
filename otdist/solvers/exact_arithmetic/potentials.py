"""Potentials as small as the costs that are paid.

Optimal potentials are unique up to a shift of each connected part of the plan. Parts that are far
from each other can give them the size of the largest cost. Float64 rounds in that unit, which
may exceed the value, so it is small potentials that prove a small value. Within a part they are
half of the costs paid there, on average. The shifts are the largest that are feasible and not
above 0: shortest paths between the parts.
"""

from __future__ import annotations

import heapq
import time
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otdist.geometry.protocol import Geometry
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.solvers.exact_arithmetic.tree import Tree, spanning
from otdist.solvers.exact_arithmetic.whole import as_whole, rounded, unit_of
from otdist.typing import FloatArray, IntArray

# Pairs up to which shifts are whole numbers; beyond that they are floats.
_MOST_WHOLE = 1 << 18
# Shifts of floats are off by no more than this part of their terms.
_ROUNDING = 2.0**-50
# Pairs looked at before the search ends, as a multiple of all pairs.
_MOST_PASSES = 30
# Pairs of one call of a kernel, so that Ctrl-C is heard.
_PAIRS_AT_ONCE = 1 << 26

#: Whole numbers, or floats.
Numbers: TypeAlias = NDArray[Any]


def small_potentials(
    problem: Problem, arcs: Arcs, g: FloatArray | None = None, deadline: float = np.inf
) -> tuple[FloatArray, FloatArray]:
    """Return small potentials that are optimal if the plan is.

    Parameters
    ----------
    problem : Problem
        A balanced problem of a finite p.
    arcs : Arcs
        An optimal plan.
    g : ndarray (m,), optional
        Potentials of any size that are nearly optimal: they save time.
    deadline : float, default inf
        When to end the search, by ``time.monotonic()``.

    Returns
    -------
    f, g : ndarray (n,), (m,)
        Not feasible if the plan is not optimal, or the search ends early.
    """
    n, m = problem.shape
    order = np.argsort(-arcs.mass, kind="stable")
    rows, columns = arcs.rows[order], arcs.columns[order]
    kept = spanning(n, n + m, rows, columns)
    rows, columns = rows[kept], columns[kept]
    cost = problem.geometry.pairs(rows, columns)
    unit = unit_of(problem.geometry.dense() if n * m <= _MOST_WHOLE else cost)
    plan = Tree(n + m, rows.tolist(), (n + columns).tolist(), as_whole(cost, unit))
    guess = [0] * m if g is None else as_whole(g, unit)
    return potentials_of(problem, plan, unit, guess, deadline)


def potentials_of(
    problem: Problem, plan: Tree, unit: int, guess: list[int], deadline: float
) -> tuple[FloatArray, FloatArray]:
    """Return `small_potentials` of arcs that do not hang yet.

    Costs, and the guess of g, are multiples of the unit, which divides all costs if the
    potentials are to be exact (and then rounded once).
    """
    n, m = problem.shape
    part, last = _balance(plan, np.concatenate([problem.a, problem.b]))
    is_whole = n * m <= _MOST_WHOLE
    terms: _Whole | _Floats = (_Whole if is_whole else _Floats)(
        problem.geometry, plan.potential, unit, deadline
    )
    # The shift that would lead to the guess.
    guessed = [plan.potential[k] - guess[k - n] if k >= n else 0 for k in last]
    potential = terms.rounded(terms.values - _shifts(terms, part, guessed, deadline)[part])
    return -potential[:n], potential[n:]


def _balance(plan: Tree, weights: FloatArray) -> tuple[IntArray, list[int]]:
    """Make the weighted mean of the potentials 0 in each part.

    Returns the part of each node, and the last node of each part.
    """
    part, last = np.empty(len(weights), np.int64), []
    masses = as_whole(weights, unit_of(weights))
    for k, nodes in enumerate(plan.parts()):
        part[nodes] = k
        last.append(max(nodes))
        total = sum(masses[node] for node in nodes)
        mean = sum(masses[node] * plan.potential[node] for node in nodes) // max(total, 1)
        for node in nodes:
            plan.potential[node] -= mean
    return part, last


class _Whole:
    """Potentials in units, for problems with few pairs."""

    def __init__(
        self, geometry: Geometry, potential: list[int], unit: int, deadline: float
    ) -> None:
        self.unit = unit
        self.values: Numbers = np.array(potential, object)
        cost = geometry.dense()
        allowed = np.isfinite(cost)
        whole = as_whole(cost[allowed], unit)
        # A forbidden pair costs more than any path.
        longest = 4 * sum(cost.shape) * max(map(abs, whole), default=1)
        self.cost = np.full(cost.shape, longest, object)
        self.cost[allowed] = whole

    def row_minimum(self, columns: IntArray, g: Numbers) -> Numbers:
        """Return ``min_j c[i, j] - g[j]`` over the listed columns, for every row."""
        return np.asarray((self.cost[:, columns] - g).min(axis=1))

    def least_falls(self, size: Numbers) -> Numbers:
        """Return 0: nothing is rounded."""
        return np.zeros(len(size), object)

    def whole(self, shifts: Numbers) -> list[int]:
        """Return shifts in units."""
        return list(shifts)

    def rounded(self, values: Numbers) -> FloatArray:
        """Return potentials as floats."""
        return rounded(values, self.unit)


class _Floats:
    """Potentials as floats."""

    def __init__(
        self, geometry: Geometry, potential: list[int], unit: int, deadline: float
    ) -> None:
        self.geometry, self.unit, self.deadline = geometry, unit, deadline
        self.values: Numbers = rounded(potential, unit)

    def row_minimum(self, columns: IntArray, g: Numbers) -> Numbers:
        """Return ``min_j c[i, j] - g[j]`` over the listed columns, for every row."""
        n, _ = self.geometry.shape
        facts, points = self.geometry.facts, self.geometry.as_points()
        if points is None or facts.order is not None or not facts.is_compiled:
            return self.geometry.restrict(np.arange(n), columns).row_minimum(g)
        from otdist.compiled.costs import least_slacks, read_only

        # The kernel looks for the minima of columns, so that the sides are exchanged.
        costs = points.restrict(np.arange(n), columns).transposed().costs()
        low, slacks = np.full(n, np.inf), np.empty(len(columns))
        length = max(1, _PAIRS_AT_ONCE // len(columns))
        for start in range(0, n, length):
            if time.monotonic() < self.deadline:
                part = slice(start, start + length)
                some = costs._replace(y=read_only(costs.y[:, part]))
                least_slacks(some, g, slacks, low[part])
        return low

    def least_falls(self, size: Numbers) -> Numbers:
        """Return how far parts fall at least, so that rounding lowers none for ever.

        Of two that touch, the larger one is not lowered by the rounding of their terms.
        """
        return np.asarray(_ROUNDING * size)

    def whole(self, shifts: Numbers) -> list[int]:
        """Return shifts in units, truncated."""
        return as_whole(shifts, self.unit)

    def rounded(self, values: Numbers) -> FloatArray:
        """Return potentials as floats."""
        return values


def _shifts(
    terms: _Whole | _Floats, part: IntArray, guessed: list[int], deadline: float
) -> Numbers:
    """Return the largest feasible shifts <= 0 of the parts, added to f and taken from g.

    They are shortest paths. The part farthest below its guess is the next to lower others:
    if the guess is feasible, that is the order of Dijkstra (1959), and each part is next once.
    """
    n, m = terms.geometry.shape if isinstance(terms, _Floats) else terms.cost.shape
    f, g = -terms.values[:n], terms.values[n:]
    of_row, n_parts = part[:n], len(guessed)
    shift = np.zeros(n_parts, f.dtype)
    if n_parts == 1:
        return shift
    size = np.zeros(n_parts, f.dtype)
    np.maximum.at(size, part, np.abs(terms.values))
    by_part = np.argsort(part[n:], kind="stable")
    columns = np.split(by_part, np.cumsum(np.bincount(part[n:], minlength=n_parts))[:-1])
    waiting = [(-x, k) for k, x in enumerate(guessed)]
    heapq.heapify(waiting)
    left = _MOST_PASSES * m
    while waiting and left > 0 and time.monotonic() < deadline:
        key, k = heapq.heappop(waiting)
        some = columns[k]
        if key != terms.whole(shift[k : k + 1])[0] - guessed[k] or len(some) == 0:
            continue  # it fell again, and was lowered from there
        left -= len(some)
        most = terms.row_minimum(some, g[some] - shift[k]) - f
        least = terms.least_falls(size - shift)
        falls = np.flatnonzero(shift[of_row] - most > least[of_row])
        np.minimum.at(shift, of_row[falls], most[falls])
        fell = np.unique(of_row[falls])
        for j, x in zip(fell.tolist(), terms.whole(shift[fell]), strict=True):
            heapq.heappush(waiting, (x - guessed[j], j))
    return shift
