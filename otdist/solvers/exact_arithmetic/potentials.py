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
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otdist.plans.plans import Arcs
from otdist.solvers.exact_arithmetic.tree import Tree, spanning
from otdist.solvers.exact_arithmetic.whole import as_whole, rounded, unit_of
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

# Pairs up to which exact shifts are whole numbers; beyond that they are floats.
_MOST_WHOLE = 1 << 18
# Shifts of floats are off by this part of their terms, times one more than the order p: powers
# that two kernels compute differ by so much.
_ROUNDING = 2.0**-50
# Pairs looked at before the search ends, as a multiple of all pairs.
_MOST_PASSES = 200
# Turns of each part in the order of a guess: more show that the guess is bad.
_MOST_TURNS = 2
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
    allowed = np.isfinite(cost)
    rows, columns, cost = rows[allowed], columns[allowed], cost[allowed]
    unit = unit_of(cost)
    plan = Tree(n + m, rows.tolist(), (n + columns).tolist(), as_whole(cost, unit))
    guess = as_whole(g, unit) if g is not None and np.isfinite(g).all() else None
    part, shifts = _balance(plan, np.concatenate([problem.a, problem.b]), guess)
    terms = _Floats(problem, plan.potential, unit, deadline)
    return _shifted(terms, (n, m), part, shifts, deadline)


def exact_potentials(
    problem: Problem, plan: Tree, unit: int, guess: list[int], deadline: float
) -> tuple[FloatArray, FloatArray]:
    """Return `small_potentials` of arcs that do not hang yet, exact and rounded once.

    The unit divides all costs; costs and the guess of g are multiples of it. With more than
    `_MOST_WHOLE` pairs shifts are floats.
    """
    n, m = problem.shape
    part, shifts = _balance(plan, np.concatenate([problem.a, problem.b]), guess)
    kind = _Whole if n * m <= _MOST_WHOLE else _Floats
    terms = kind(problem, plan.potential, unit, deadline)
    return _shifted(terms, (n, m), part, shifts, deadline)


def _shifted(
    terms: _Whole | _Floats,
    shape: tuple[int, int],
    part: IntArray,
    guess: list[int] | None,
    deadline: float,
) -> tuple[FloatArray, FloatArray]:
    """Return f and g after the parts are shifted."""
    shift = _shifts(_Parts(terms, part, shape), guess, deadline)
    potential = terms.rounded(terms.values - shift[part])
    return -potential[: shape[0]], potential[shape[0] :]


def _balance(
    plan: Tree, weights: FloatArray, guess: list[int] | None
) -> tuple[IntArray, list[int] | None]:
    """Make the weighted mean of the potentials 0 in each part.

    Returns the part of each node, and the shifts of the parts that lead to a guess of g.
    """
    n = len(weights) - len(guess or ())
    part, shifts = np.empty(len(weights), np.int64), []
    masses = as_whole(weights, unit_of(weights))
    for k, nodes in enumerate(plan.parts()):
        part[nodes] = k
        total = sum(masses[node] for node in nodes)
        mean = sum(masses[node] * plan.potential[node] for node in nodes) // max(total, 1)
        for node in nodes:
            plan.potential[node] -= mean
        last = max(nodes)  # a column, but for a row alone
        shifts.append(plan.potential[last] - guess[last - n] if guess and last >= n else 0)
    return part, None if guess is None else shifts


class _Whole:
    """Potentials in units, for problems with few pairs."""

    def __init__(self, problem: Problem, potential: list[int], unit: int, deadline: float) -> None:
        self.unit = unit
        self.values: Numbers = np.array(potential, object)
        cost = problem.geometry.dense()
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

    def __init__(self, problem: Problem, potential: list[int], unit: int, deadline: float) -> None:
        geometry = problem.geometry
        self.geometry, self.unit, self.deadline = geometry, unit, deadline
        self.rounding = _ROUNDING * (1 + problem.p)
        self.values: Numbers = rounded(potential, unit)
        self.costs = geometry.costs() if geometry.facts.is_compiled else None

    def row_minimum(self, columns: IntArray, g: Numbers) -> Numbers:
        """Return ``min_j c[i, j] - g[j]`` over the listed columns, for every row."""
        n, _ = self.geometry.shape
        if self.costs is None:
            return self.geometry.restrict(np.arange(n), columns).row_minimum(g)
        if len(self.costs.matrix) > 0:
            return np.asarray((self.costs.matrix[:, columns] - g).min(axis=1))
        from otdist.compiled.costs import least_slacks, read_only

        low, slacks = np.full(n, np.inf), np.empty(len(columns))
        length = max(1, _PAIRS_AT_ONCE // len(columns))
        for start in range(0, n, length):
            if time.monotonic() < self.deadline:
                # The kernel looks for the minima of columns, so that the sides are exchanged.
                x, y = self.costs.y[:, columns], self.costs.x[:, start : start + length]
                some = self.costs._replace(x=read_only(x), y=read_only(y))
                least_slacks(some, g, slacks, low[start : start + length])
        return low

    def least_falls(self, size: Numbers) -> Numbers:
        """Return how far parts fall at least, so that rounding lowers none for ever.

        Of two that touch, the larger one is not lowered by the rounding of their terms.
        """
        return np.asarray(self.rounding * size)

    def whole(self, shifts: Numbers) -> list[int]:
        """Return shifts in units, truncated."""
        return as_whole(shifts, self.unit)

    def rounded(self, values: Numbers) -> FloatArray:
        """Return potentials as floats."""
        return values


class _Parts:
    """The parts of a plan, and shifts that are added to f and taken from g of each."""

    def __init__(self, terms: _Whole | _Floats, part: IntArray, shape: tuple[int, int]) -> None:
        n, m = shape
        self.terms = terms
        self.f, self.g = -terms.values[:n], terms.values[n:]
        self.of_row, self.of_column = part[:n], part[n:]
        self.number = int(part.max()) + 1
        self.size = np.zeros(self.number, terms.values.dtype)
        np.maximum.at(self.size, part, np.abs(terms.values))
        self.shift = np.zeros_like(self.size)
        #: Columns that may still be looked at.
        self.left = _MOST_PASSES * m

    def lower_by(self, columns: IntArray) -> IntArray:
        """Lower shifts to what the listed columns allow; return the parts that fell."""
        self.left -= len(columns)
        if len(columns) == 0:  # an atom of the other side that no arc of the plan meets
            return columns
        g = self.g[columns] - self.shift[self.of_column[columns]]
        most = self.terms.row_minimum(columns, g) - self.f
        least = self.terms.least_falls(self.size - self.shift)
        falls = np.flatnonzero(self.shift[self.of_row] - most > least[self.of_row])
        np.minimum.at(self.shift, self.of_row[falls], most[falls])
        return np.unique(self.of_row[falls])


def _shifts(parts: _Parts, guess: list[int] | None, deadline: float) -> Numbers:
    """Return the largest feasible shifts <= 0: shortest paths.

    Rounds in which all parts that fell lower the others (Bellman, 1958) may be many. The
    order of a guess saves them.
    """
    fell = np.arange(parts.number if parts.number > 1 else 0)
    if guess is not None and len(fell) > 0:
        fell = _lower_in_order(parts, guess, deadline)
    while len(fell) > 0 and parts.left > 0 and time.monotonic() < deadline:
        fell = parts.lower_by(np.flatnonzero(np.isin(parts.of_column, fell)))
    return parts.shift


def _lower_in_order(parts: _Parts, guess: list[int], deadline: float) -> IntArray:
    """Let the part that is farthest below its guess lower the others, again and again.

    If the guess is feasible, that is the order of Dijkstra (1959): each part is next once.
    Returns the parts that are still to lower others.
    """
    whole, by_part = parts.terms.whole, np.argsort(parts.of_column, kind="stable")
    number = np.bincount(parts.of_column, minlength=parts.number)
    columns = np.split(by_part, np.cumsum(number)[:-1])
    heap = [(-x, k) for k, x in enumerate(guess)]
    heapq.heapify(heap)
    waits = np.ones(parts.number, bool)
    for _ in range(_MOST_TURNS * parts.number):
        # Entries of parts that fell again later are left in the heap.
        while heap and not waits[heap[0][1]]:
            heapq.heappop(heap)
        if not heap or time.monotonic() > deadline:
            break
        _, k = heapq.heappop(heap)
        waits[k] = False
        fell = parts.lower_by(columns[k])
        waits[fell] = True
        for j, x in zip(fell.tolist(), whole(parts.shift[fell]), strict=True):
            heapq.heappush(heap, (x - guess[j], j))
    return np.flatnonzero(waits)
