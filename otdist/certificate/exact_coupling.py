"""A coupling with exact marginals along the arcs of a plan, in whole numbers.

A plan in float64 misses its marginals by some part of the *whole* mass, and that much mass times
a large cost may exceed the value. Here masses are whole numbers of a common unit. On a spanning
forest of the arcs the marginals leave one choice of the flows; what is left then is what the
parts of the forest have to exchange. Where mass may be left, an atom outside on each side takes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otdist.geometry.outside import Extended
from otdist.geometry.protocol import Geometry
from otdist.plans.plans import Arcs
from otdist.problem.marginals import Balanced, LeaveAtPrice, MoveMass
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

#: Atoms and arcs up to which the time, some microseconds for each, is spent.
LARGEST = 400_000
# Parts up to which all pairs of them are looked at for the cheapest arcs.
_MOST_PARTS = 300
# Flows that would have to be negative are left out, so many times, or more often where few arcs
# take little time.
_TRIES, _ARCS_TRIED = 20, 100_000
# Unit in which the sums of the parts that forbidden arcs separate may differ, for each atom.
_ROUNDING = 4 * float(np.finfo(float).eps)


class Exact(NamedTuple):
    """A coupling, its masses rounded once, and mass that no allowed arc can move.

    Where mass may be left, arcs to and from the atoms outside are among the arcs.
    """

    arcs: Arcs
    geometry: Geometry
    stranded: float


class _Masses(NamedTuple):
    """Weights and masses of arcs, ``whole * 2**exponent / over``; b has the sum of a."""

    a: list[int]
    b: list[int]
    arcs: list[int]
    exponent: int
    over: int

    def number(self, whole: int) -> float:
        """Return a mass as a float."""
        shift = whole.bit_length() - self.over.bit_length() - 64
        whole = whole >> shift if shift > 0 else whole << -shift
        return math.ldexp(whole / self.over, shift + self.exponent)


def exact_coupling(problem: Problem, arcs: Arcs) -> Exact | None:
    """Return a coupling near a plan; None where none is found, or it would take long."""
    n, m = problem.shape
    if len(arcs.mass) + n + m > LARGEST:
        return None
    masses, geometry = _masses_of(problem, arcs.mass), _with_outside(problem)
    rows, columns, whole = arcs.rows.tolist(), arcs.columns.tolist(), masses.arcs
    if problem.is_partial:
        may_idle = isinstance(problem.marginals, LeaveAtPrice)
        for i, j, left in _left(masses, rows, columns, may_idle=may_idle):
            rows.append(i)
            columns.append(j)
            whole.append(left)
        n, m = n + 1, m + 1
    ends = [(i, n + j) for i, j in zip(rows, columns, strict=True)]
    flows = dict(enumerate(whole))
    for _ in range(max(_TRIES, _ARCS_TRIED // max(len(flows), 1))):
        needs = masses.a + masses.b
        for k, flow in flows.items():
            needs[ends[k][0]] -= flow
            needs[ends[k][1]] -= flow
        _fit(flows, needs, ends, n)
        negative = [k for k, flow in flows.items() if flow < 0]
        if not negative:
            break
        for k in negative:
            del flows[k]
    else:
        return None
    more_rows, more_columns, moved, stranded = _exchange(geometry, needs)
    found = [masses.number(each) for each in (*flows.values(), *moved)]
    joined = Arcs(
        np.array([rows[k] for k in flows] + more_rows, np.int64),
        np.array([columns[k] for k in flows] + more_columns, np.int64),
        np.array(found, np.float64),
    )
    lost = masses.number(stranded)
    is_rounding = lost <= (n + m) * _ROUNDING * problem.mass
    return Exact(joined, geometry, lost) if is_rounding else None


def _with_outside(problem: Problem) -> Geometry:
    """Return the costs, with those of the atoms outside where mass may be left."""
    marginals = problem.marginals
    if isinstance(marginals, LeaveAtPrice):
        return Extended(problem.geometry, marginals.price, 0.0)
    if isinstance(marginals, MoveMass):
        return Extended(problem.geometry, 0.0, math.inf)
    return problem.geometry


def _left(
    masses: _Masses, rows: list[int], columns: list[int], *, may_idle: bool
) -> list[tuple[int, int, int]]:
    """Return arcs to and from the atoms outside for what the given arcs leave."""
    n, m = len(masses.a) - 1, len(masses.b) - 1
    left_a, left_b = masses.a[:n], masses.b[:m]
    for i, j, mass in zip(rows, columns, masses.arcs, strict=True):
        left_a[i] -= mass
        left_b[j] -= mass
    outside = [(i, m, left) for i, left in enumerate(left_a) if left > 0]
    outside += [(n, j, left) for j, left in enumerate(left_b) if left > 0]
    idle = masses.a[n] - sum(left for left in left_b if left > 0)
    return outside + [(n, m, idle)] * (may_idle and idle > 0)


def _masses_of(problem: Problem, mass: FloatArray) -> _Masses:
    """Write all masses in one unit; the ratio of the sums brings factors on both sides."""
    marginals = problem.marginals
    moved = marginals.mass if isinstance(marginals, MoveMass) else 0.0
    fractions, exponents = np.frexp(np.concatenate([problem.a, problem.b, mass, [moved]]))
    exponents = np.where(fractions == 0, exponents.max(), exponents) - 53
    least = int(exponents.min())
    whole = [
        int(digits) << shift
        for digits, shift in zip(
            np.ldexp(fractions, 53).tolist(), (exponents - least).tolist(), strict=True
        )
    ]
    n, m = problem.shape
    a, b, arcs = whole[:n], whole[n : n + m], whole[n + m : -1]
    of_a, of_b = sum(a), sum(b)
    if not isinstance(marginals, Balanced):
        of_outside = marginals.outside(of_a, of_b, whole[-1])
        return _Masses([*a, of_outside[0]], [*b, of_outside[1]], arcs, least, 1)
    common = math.gcd(of_a, of_b)
    of_a, of_b = of_a // common, of_b // common
    if of_b > 1:
        a, arcs = [value * of_b for value in a], [value * of_b for value in arcs]
    if of_a > 1:
        b = [value * of_a for value in b]
    return _Masses(a, b, arcs, least, of_b)


def forest(
    arcs: Iterable[int], ends: Sequence[tuple[int, int]], n_nodes: int
) -> tuple[list[list[tuple[int, int]]], Callable[[int], int]]:
    """Return the neighbours of each node in a spanning forest, and a node that stands for a part.

    Neighbours are pairs of a node and the arc that leads to it; the first arcs are preferred.
    """
    part = list(range(n_nodes))

    def part_of(node: int) -> int:
        while part[node] != node:
            part[node] = part[part[node]]
            node = part[node]
        return node

    neighbours: list[list[tuple[int, int]]] = [[] for _ in part]
    for k in arcs:
        row, column = ends[k]
        first, second = part_of(row), part_of(column)
        if first != second:
            part[first] = second
            neighbours[row].append((column, k))
            neighbours[column].append((row, k))
    return neighbours, part_of


def _fit(flows: dict[int, int], needs: list[int], ends: list[tuple[int, int]], n: int) -> None:
    """Change flows on a spanning forest so that needs are 0, but for one atom of each part.

    Arcs with much mass are in the forest, since the others keep theirs. The atom that is left has
    something to give or to take: it is a row or a column accordingly.
    """
    by_mass = sorted(flows, key=flows.__getitem__, reverse=True)
    neighbours, part_of = forest(by_mass, ends, len(needs))
    surplus = [0] * len(needs)
    for node, need in enumerate(needs):
        surplus[part_of(node)] += need if node < n else -need
    is_placed = [False] * len(needs)
    for root in range(len(needs)):
        of_root = part_of(root)
        if is_placed[root] or (root < n) != (surplus[of_root] >= 0):
            continue
        order, above = [root], {root: (-1, -1)}
        for node in order:
            is_placed[node] = True
            for other, k in neighbours[node]:
                if other not in above:
                    above[other] = (node, k)
                    order.append(other)
        for node in reversed(order[1:]):
            parent, k = above[node]
            flows[k] += needs[node]
            needs[parent] -= needs[node]
            needs[node] = 0


def _exchange(geometry: Geometry, needs: list[int]) -> tuple[list[int], list[int], list[int], int]:
    """Move what parts have to give to those that take it: rows, columns, masses, and the rest.

    The cheapest arcs come first, or with many parts the order of the atoms decides.
    """
    n = geometry.shape[0]
    gives = [i for i in range(n) if needs[i] > 0]
    takes = [j for j in range(n, len(needs)) if needs[j] > 0]
    if len(gives) * len(takes) <= _MOST_PARTS**2:
        rows = np.repeat(np.array(gives, np.int64), len(takes))
        columns = np.tile(np.array(takes, np.int64) - n, len(gives))
        cost = geometry.pairs(rows, columns) if len(rows) else np.empty(0)
        by_cost = np.argsort(cost, kind="stable")
        by_cost = by_cost[np.isfinite(cost[by_cost])]
        pairs = list(zip(rows[by_cost].tolist(), columns[by_cost].tolist(), strict=True))
    else:
        pairs = [(i, j - n) for i, j in _in_order(needs, gives, takes)]
    found: tuple[list[int], list[int], list[int]] = ([], [], [])
    for i, j in pairs:
        moved = min(needs[i], needs[n + j])
        if moved > 0:
            needs[i] -= moved
            needs[n + j] -= moved
            for values, value in zip(found, (i, j, moved), strict=True):
                values.append(value)
    return *found, sum(needs[i] for i in gives)


def _in_order(needs: list[int], gives: list[int], takes: list[int]) -> list[tuple[int, int]]:
    """Return the pairs of the north-west corner rule."""
    pairs, i, j = [], 0, 0
    left_i, left_j = needs[gives[0]], needs[takes[0]]
    while i < len(gives) and j < len(takes):
        pairs.append((gives[i], takes[j]))
        moved = min(left_i, left_j)
        left_i, left_j = left_i - moved, left_j - moved
        if left_i == 0:
            i += 1
            left_i = needs[gives[i]] if i < len(gives) else 0
        if left_j == 0:
            j += 1
            left_j = needs[takes[j]] if j < len(takes) else 0
    return pairs
