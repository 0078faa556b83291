"""Upper bounds of the optimum: costs of plans, repaired to couplings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otdist.certificate.checkers import checker_of
from otdist.errors import InputError
from otdist.plans.plans import Arcs, Flow
from otdist.problem.result import coupling_tolerance
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.certificate.marginals import Sums
    from otdist.problem.problem import Problem

# Marginals known less well than this are always repaired.
_LARGEST_BLUR = 1e-9
# Masses from which on a sum of them is worth two passes.
_LONG_SUM = 1000


class Primal(NamedTuple):
    """The cost of a coupling, and how far the marginals of the given plan were off."""

    value: float
    off_a: FloatArray
    off_b: FloatArray
    size: float
    is_coupling: bool  # as given, up to rounding; else it was repaired
    relative: float = 0.0  # rounding of the plan's entries, as a part of them


def upper_from_arcs(problem: Problem, arcs: Arcs) -> Primal:
    """Return the cost of the arcs, repaired to exact marginals if need be."""
    n, m = problem.shape
    rows, columns, mass = arcs
    off_a = _sums(rows, mass, n) - problem.a
    off_b = _sums(columns, mass, m) - problem.b
    cost = problem.geometry.pairs(rows, columns)
    if _is_coupling(problem, off_a, off_b):
        terms = _times(mass, cost)
        size = problem.geometry.facts.roundings * float(np.abs(terms).sum())
        return Primal(total(terms), off_a, off_b, size, True)
    mass = mass * _shrink(problem.a, problem.a + off_a)[rows]
    mass = mass * _shrink(problem.b, _sums(columns, mass, m))[columns]
    terms = _times(mass, cost)
    rest = _rest_cost(problem, _sums(rows, mass, n), _sums(columns, mass, m))
    size = problem.geometry.facts.roundings * (float(np.abs(terms).sum()) + abs(rest))
    return Primal(total(terms) + rest, off_a, off_b, size, False)


def upper_from_flow(problem: Problem, flow: Flow) -> Primal:
    """Return the cost of a flow, and of moving the mass that its divergence leaves."""
    off, lengths = flow_sums(problem, flow)
    terms, nothing = _times(flow.amounts, lengths), np.zeros(len(off))
    size = float(terms.sum())
    if _is_coupling(problem, off, nothing):
        return Primal(total(terms), off, nothing, size, True)
    sums_a = problem.a - np.maximum(-off, 0.0)
    rest = _rest_cost(problem, sums_a, problem.b - np.maximum(off, 0.0))
    return Primal(total(terms) + rest, off, nothing, size + rest, False)


def flow_sums(problem: Problem, flow: Flow) -> tuple[FloatArray, FloatArray]:
    """Return how far a flow's divergence exceeds a - b (N,), and its edges' lengths.

    Divergences are sums of whole numbers. Lengths come from the problem, not from the
    flow.
    """
    _require_flow(problem, flow)
    out: IntArray = np.zeros(flow.n_nodes, np.int64)
    np.add.at(out, flow.tails, flow.units)
    np.subtract.at(out, flow.heads, flow.units)
    off = out * flow.unit - (problem.a - problem.b)
    return off, checker_of(problem.geometry).lengths(flow.tails, flow.heads)


def _require_flow(problem: Problem, flow: Flow) -> None:
    """Raise for an invalid flow, and where a flow is no plan."""
    facts = problem.geometry.facts
    if not (facts.is_metric and facts.same_atoms):
        raise InputError(
            "plan is a Flow, which costs what a coupling does on graphs and grids with a"
            " metric and p=1 only; pass a coupling"
        )
    ends = np.concatenate([flow.tails, flow.heads])
    if not ((ends >= 0) & (ends < flow.n_nodes)).all() or (flow.units < 0).any():
        raise InputError("plan is a Flow with negative amounts, or nodes that are none")
    through = np.bincount(ends, np.tile(flow.units, 2), flow.n_nodes)
    if through.max() >= 2.0**63:
        raise InputError("plan is a Flow with more units at a node than 64 bits hold")


def upper_from_sums(
    problem: Problem,
    sums: Callable[[FloatArray | None, FloatArray | None], Sums],
    relative: float = 0.0,
) -> Primal:
    """Return the cost of a plan that is known by its sums, repaired if need be.

    `sums` takes scales of rows and columns; `relative` is the rounding of the entries.
    """
    a, b = problem.a, problem.b
    given = sums(None, None)
    off_a, off_b = given.rows - a, given.columns - b
    error = float(np.abs(off_a).sum() + np.abs(off_b).sum())
    blur = min(relative, _LARGEST_BLUR) * problem.mass
    if is_rounding(problem, error) or error <= blur:
        return Primal(given.cost, off_a, off_b, given.size, True, relative)
    scale_a = _shrink(a, given.rows)
    scale_b = _shrink(b, sums(scale_a, None).columns)
    left = sums(scale_a, scale_b)
    rest = _rest_cost(problem, left.rows, left.columns)
    size = left.size + abs(rest)
    return Primal(left.cost + rest, off_a, off_b, size, False, relative)


def _times(mass: FloatArray, cost: FloatArray) -> FloatArray:
    """Multiply, where a forbidden arc that carries nothing costs nothing."""
    terms = np.zeros(len(mass))
    np.multiply(mass, cost, out=terms, where=mass > 0)
    return terms


def _is_coupling(problem: Problem, off_a: FloatArray, off_b: FloatArray) -> bool:
    return is_rounding(problem, float(np.abs(off_a).sum() + np.abs(off_b).sum()))


def is_rounding(problem: Problem, error: float) -> bool:
    """Whether a marginal error is no more than sums of float64 must have."""
    n_atoms = len(problem.a) + len(problem.b)
    return error <= coupling_tolerance(n_atoms) * problem.mass


def _rest_cost(problem: Problem, sums_a: FloatArray, sums_b: FloatArray) -> float:
    """Return the cost of moving the missing mass, coupled in order; O(n + m).

    Any coupling of the two rests makes an upper bound. On the line the order is
    that of the points, elsewhere that of the atoms.
    """
    rest_a = np.maximum(problem.a - sums_a, 0.0)
    rest_b = np.maximum(problem.b - sums_b, 0.0)
    if not rest_a.any() or not rest_b.any():
        return 0.0
    rows, columns = np.flatnonzero(rest_a), np.flatnonzero(rest_b)
    order = problem.geometry.facts.order
    if order is not None:
        by_x, by_y = order
        rows, columns = by_x[rest_a[by_x] > 0], by_y[rest_b[by_y] > 0]
    level_a, level_b = np.cumsum(rest_a[rows]), np.cumsum(rest_b[columns])
    mass = float(max(level_a[-1], level_b[-1]))
    level_a, level_b = level_a / level_a[-1], level_b / level_b[-1]
    level = np.sort(np.concatenate([level_a, level_b]))
    share = np.diff(level, prepend=0.0)
    i = rows[np.searchsorted(level_a, level)]
    j = columns[np.searchsorted(level_b, level)]
    return mass * total(_times(share, problem.geometry.pairs(i, j)))


def _shrink(wanted: FloatArray, got: FloatArray) -> FloatArray:
    """Return the factors <= 1 that bring sums down to the wanted ones."""
    too_much = got > wanted
    factor = np.ones(len(wanted))
    factor[too_much] = wanted[too_much] / got[too_much]
    return factor


def total(terms: FloatArray) -> float:
    """Sum exactly, or in extended precision where there are many terms."""
    if len(terms) <= 2000:
        return math.fsum(terms)
    return float(np.sum(terms, dtype=np.longdouble))


def _sums(index: IntArray, mass: FloatArray, size: int) -> FloatArray:
    """Add up masses by index; an empty plan sums to 0.0, not to integers.

    Of many masses, parts that are multiples of 2**-52 of the total, and add up exactly,
    are summed apart from the remainders: equal masses would all round in one direction.
    """
    if len(mass) < _LONG_SUM:
        return np.bincount(index, mass, size).astype(np.float64, copy=False)
    shift = math.ldexp(1.5, math.frexp(float(mass.sum()))[1])
    high = (mass + shift) - shift
    sums = np.bincount(index, high, size) + np.bincount(index, mass - high, size)
    return sums.astype(np.float64, copy=False)
