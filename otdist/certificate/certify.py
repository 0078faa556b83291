"""Prove how far a plan and potentials are from optimal, whatever made them.

Weak duality does all the work. Any coupling costs at least the optimum, and for
any f the pair (f, g) with ``g[j] = min_i c[i, j] - f[i]`` is dual feasible, so
``sum a f + sum b g`` is at most the optimum. Nothing here comes from a solver or
its kernels: costs are read from the problem, in blocks, with NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from otdist.certificate.bottleneck import certify_bottleneck
from otdist.certificate.checkers import checker_of
from otdist.certificate.marginals import Sums, grid_sums, scaled_sums
from otdist.errors import InputError
from otdist.inputs.validate import (
    as_float64,
    as_jobs,
    as_values,
    first_index,
    require_finite,
)
from otdist.plans.plans import Arcs, Flow, GridPlan
from otdist.problem.marginals import MoveMass, rest, unmatched
from otdist.problem.problem import Problem
from otdist.problem.result import LARGEST_ROUNDING, Certificate, coupling_tolerance
from otdist.typing import ArrayLike, FloatArray, Function, IntArray

_EPS = float(np.finfo(float).eps)
# Potentials in a unit are no larger, so that sums of them do not overflow.
_MOST = 2.0**980
# What is in costs, or costs × mass, in a certificate.
_COSTS = ("lower", "upper", "dual_violation", "rounding")
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


class Dual(NamedTuple):
    """A feasible pair of potentials, balanced and 0 where there is no mass."""

    value: float
    f: FloatArray
    g: FloatArray
    violation: float  # of the pair as given
    size: float  # sum of the absolute terms of the value


def certify(
    problem: Problem,
    plan: Any,
    f: ArrayLike | Function,
    g: ArrayLike | Function | None = None,
    *,
    n_jobs: int = 1,
) -> Certificate:
    """Bound the optimal value of a problem from a plan and potentials.

    Parameters
    ----------
    problem : Problem
        The problem that plan and potentials claim to solve.
    plan : array_like (n, m), scipy.sparse (n, m), ``Flow``, or an object with ``rows``
        Mass moved from i to j, >= 0. Whatever its marginals are, `upper` is the
        cost of a coupling: if they are off by more than rounding, the plan is
        scaled down to fit and the rest is coupled in order.
    f : array_like (n,) or callable
        Potential of the first measure, cost units, or a function of points (n, d),
        such as a critic. Any finite numbers are allowed and prove some `lower`.
    g : array_like (m,) or callable, optional
        Potential of the second measure (minus a critic). It is needed for
        `dual_violation`; where f leaves a gap, `lower` is the larger of the bounds that f
        and g prove.
    n_jobs : int, default 1
        Threads for many points; -1 for one on each processor. The result does not
        depend on it.

    Returns
    -------
    Certificate
        With ``lower <= optimum <= upper`` up to `rounding`.

    Raises
    ------
    InputError
        Negative, NaN or infinite entries, or shapes that do not fit the problem.

    Notes
    -----
    O(nm) time (O((n + m) log n) for points on the line and a sparse plan), and
    O(n + m) memory beyond the plan. The lower bound is Kantorovich duality; the
    repair follows Algorithm 2 of Altschuler, Weed and Rigollet (2017).

    For p = inf the lower bound is Strassen's, a set whose mass does not fit into its
    neighbourhood: the atoms with f > 0, and on the line, where f is not read, intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist import Problem, certify
    >>> problem = Problem.from_cost([[0, 2], [1, 1]])
    >>> certify(problem, np.eye(2) / 2, f=[0.0, 0.0])
    Certificate(lower=0.5, upper=0.5, gap=0, marginal_error=0, dual_violation=0)

    Half of the first row's mass is lost; the bracket still holds:

    >>> lost = certify(problem, [[0.25, 0], [0, 0.5]], f=[0.0, 0.0])
    >>> lost.marginal_error, lost.lower, lost.upper
    (0.5, 0.5, 0.5)
    """
    if not isinstance(problem, Problem):
        raise InputError(f"problem must be a Problem, got {type(problem).__name__}")
    n_jobs = as_jobs(n_jobs)
    k = problem.geometry.exponent
    if k != 0:
        f, g = (_in_unit(problem, each, side, k) for each, side in ((f, 0), (g, 1)))
        return from_unit(certify(problem.in_unit(k), plan, f, g, n_jobs=n_jobs), k)
    if problem.is_partial:
        problem, plan, f, g = _with_outside(problem, plan, f)
    n, m = problem.shape
    arcs = plan if isinstance(plan, Arcs) else _as_arcs(plan, (n, m))
    x, y = _positions(problem)
    is_flow = isinstance(plan, Flow)
    if problem.is_bottleneck:
        if arcs is None:
            raise InputError("for p=inf the plan must be sparse or a dense array")
        _require_masses(arcs)
        f = np.zeros(n) if problem.is_line else as_values("f", f, n, x)
        return certify_bottleneck(problem, arcs, f, n_jobs)
    f = as_values("f", f, n, x)
    g = None if g is None else as_values("g", g, m, y)
    if arcs is not None:
        small = _small_bounds(problem, arcs, f, g)
        if small is not None and small.gap <= small.rounding:
            return small
        _require_masses(arcs)
    require_finite("f", f)
    if g is not None:
        require_finite("g", g)
    primal = _primal(problem, plan, arcs, n_jobs)
    dual = lower_bound(problem, f, g, n_jobs, is_flow=is_flow)
    leaves_gap = primal.value - dual.value > 2 * _EPS * dual.size
    if g is not None and not is_flow and leaves_gap:
        dual = other_lower_bound(problem, f, g, dual, n_jobs)
    hidden, most = _rounding_error(dual, primal), _most_rounding(problem)
    if most < hidden < math.inf:
        zero = lower_bound(problem, np.zeros(n), None, n_jobs)
        dual = dual._replace(value=max(dual.value - hidden, zero.value))
        hidden = most
    hidden += 2 * _EPS * primal.size
    if primal.relative > 0:
        size = float(problem.a @ np.abs(dual.f) + problem.b @ np.abs(dual.g))
        size = min(size, 2 * problem.mass * problem.geometry.largest)
        hidden += primal.relative * (primal.size + size)
    error = float(np.abs(primal.off_a).sum() + np.abs(primal.off_b).sum())
    return _bracket(dual.value, primal.value, error, dual.violation, hidden)


def in_costs(problem: Problem, potential: FloatArray, k: int) -> FloatArray:
    """Return a potential in costs of the unit 2**k of length; those of p = inf are no costs.

    Numbers near the overflow become smaller ones: any finite potential will do.
    """
    if k == 0 or problem.is_bottleneck:
        return potential
    with np.errstate(over="ignore"):
        return np.clip(np.ldexp(potential, -k), -_MOST, _MOST)


def from_unit(certificate: Certificate, k: int) -> Certificate:
    """Return a certificate of a problem in the unit 2**k of length in units of the user."""
    with np.errstate(over="ignore"):
        costs: dict[str, Any] = {
            name: float(np.ldexp(getattr(certificate, name), k)) for name in _COSTS
        }
    return replace(certificate, **costs)


def _in_unit(problem: Problem, potential: Any, side: int, k: int) -> Any:
    """Return a potential, values or a function of points, in costs of the unit 2**k."""
    if potential is None:
        return None
    name, n = "fg"[side], problem.shape[side]
    values = as_values(name, potential, n, _positions(problem)[side])
    require_finite(name, values)
    return in_costs(problem, values, k)


def _positions(problem: Problem) -> list[FloatArray | None]:
    """Return the arguments of functions: points, or numbers (n,) on the line."""
    sides = [getattr(problem.geometry, side, None) for side in "xy"]
    if isinstance(problem.metric, str):
        return [x[:, 0] if x is not None and x.shape[1:] == (1,) else x for x in sides]
    return sides


def _primal(problem: Problem, plan: Any, arcs: Arcs | None, n_jobs: int) -> Primal:
    """Return the cost of a plan in whatever form it is."""
    if isinstance(plan, Flow):
        return upper_from_flow(problem, plan)
    if arcs is not None:
        return upper_from_arcs(problem, arcs)
    if isinstance(plan, GridPlan) and plan.geometry.equals(problem.geometry):
        return upper_from_sums(problem, *grid_sums(plan))
    sums = partial(scaled_sums, problem.geometry, plan.rows, n_jobs)
    return upper_from_sums(problem, sums)


def _with_outside(problem: Problem, plan: Any, f: Any) -> tuple[Problem, Arcs, FloatArray, None]:
    """Return the balanced problem with the atoms outside, plan and potential completed.

    A potential g of the atoms proper adds nothing to f and is left out.
    """
    n, m = problem.shape
    arcs = _as_arcs(plan, (n, m))
    if arcs is None:
        raise InputError("of a partial problem the plan must be sparse or an array")
    f = as_values("f", f, n, getattr(problem.geometry, "x", None))
    require_finite("f", f)
    whole = problem.with_outside()
    return whole, outer_arcs(arcs, whole), outer_potential(f, problem, whole), None


def _rounding_error(dual: Dual, primal: Primal) -> float:
    """Return how far a dual value may be off by its own rounding and that of marginals."""
    hidden = 2 * _EPS * dual.size
    if primal.is_coupling:
        hidden += float(np.abs(dual.f) @ np.abs(primal.off_a))
        hidden += float(np.abs(dual.g) @ np.abs(primal.off_b))
    return hidden


def _most_rounding(problem: Problem) -> float:
    """Return how much of a gap rounding may hide: potentials may be larger than all costs."""
    return LARGEST_ROUNDING * problem.mass * problem.geometry.largest


def _small_bounds(
    problem: Problem, arcs: Arcs, f: FloatArray, g: FloatArray | None
) -> Certificate | None:
    """Do everything in one compiled pass; None where that pass does not apply.

    It is for the small matrices, where NumPy's calls cost more than the sums. Bad
    masses and potentials are left to the other checks.
    """
    bounds = checker_of(problem.geometry).at_once(problem, arcs, f, g)
    if bounds is None:
        return None
    lower, upper, terms, error, weighted, violation = bounds
    hidden = 2 * _EPS * terms + weighted
    if not is_rounding(problem, error) or hidden > _most_rounding(problem):
        return None
    return _bracket(lower, upper, error, violation, hidden)


def _bracket(
    lower: float, upper: float, error: float, violation: float, hidden: float
) -> Certificate:
    """Make the certificate; bounds that cross by rounding are made to meet."""
    if lower > upper and lower - upper <= hidden:
        lower = upper
    return Certificate(
        lower=lower,
        upper=upper,
        marginal_error=error,
        dual_violation=violation,
        rounding=hidden,
    )


def _as_arcs(plan: Any, shape: tuple[int, int]) -> Arcs | None:
    """Return the arcs of a sparse or dense plan; None for one computed by rows."""
    if getattr(plan, "shape", None) is None:
        plan = as_float64("plan", plan)
    if tuple(plan.shape) != shape:
        raise InputError(f"plan must have shape {shape}, got {tuple(plan.shape)}")
    if isinstance(plan, Flow):
        return None
    if hasattr(plan, "tocoo"):
        coo = plan.tocoo()
        rows, columns, mass = coo.row, coo.col, as_float64("plan", coo.data)
        bad = ~(mass >= 0) | np.isinf(mass)
        if bad.any():
            k = int(np.argmax(bad))
            _refuse_entry(f"[{rows[k]}, {columns[k]}]", mass[k])
    elif callable(getattr(plan, "rows", None)):
        return None
    else:
        matrix = as_float64("plan", plan)
        bad = ~(matrix >= 0) | np.isinf(matrix)
        if bad.any():
            _refuse_entry(first_index(bad), matrix[bad][0])
        rows, columns = np.nonzero(matrix)
        mass = matrix[rows, columns]
    used = mass > 0
    if not used.all():
        rows, columns, mass = rows[used], columns[used], mass[used]
    return Arcs(rows.astype(np.int64), columns.astype(np.int64), mass)


def _require_masses(arcs: Arcs) -> None:
    """Raise for a mass that is negative, NaN or infinite."""
    mass = arcs.mass
    if not mass.min(initial=0.0) >= 0 or not math.isfinite(mass.sum()):
        _refuse_entry("", float(mass.min()))


def _refuse_entry(where: str, value: float) -> None:
    raise InputError(f"plan{where} is {value}; a plan holds masses, finite and >= 0")


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
    missing, size = _rest_cost(problem, _sums(rows, mass, n), _sums(columns, mass, m))
    size = problem.geometry.facts.roundings * (float(np.abs(terms).sum()) + size)
    return Primal(total(terms) + missing, off_a, off_b, size, False)


def upper_from_flow(problem: Problem, flow: Flow) -> Primal:
    """Return the cost of a flow, and of moving the mass that its divergence leaves."""
    off, lengths = flow_sums(problem, flow)
    terms, nothing = _times(flow.amounts, lengths), np.zeros(len(off))
    size = float(terms.sum())
    if _is_coupling(problem, off, nothing):
        return Primal(total(terms), off, nothing, size, True)
    sums_a = problem.a - np.maximum(-off, 0.0)
    missing, more = _rest_cost(problem, sums_a, problem.b - np.maximum(off, 0.0))
    return Primal(total(terms) + missing, off, nothing, size + more, False)


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
    missing, size = _rest_cost(problem, left.rows, left.columns)
    return Primal(left.cost + missing, off_a, off_b, left.size + size, False, relative)


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


def _rest_cost(problem: Problem, sums_a: FloatArray, sums_b: FloatArray) -> tuple[float, float]:
    """Return the cost of moving the missing mass, and the size of its terms; O(n + m).

    Any coupling of the two rests makes an upper bound; this one is in order. On the line
    the order is that of the points, elsewhere that of the atoms.
    """
    rest_a = np.maximum(problem.a - sums_a, 0.0)
    rest_b = np.maximum(problem.b - sums_b, 0.0)
    if not rest_a.any() or not rest_b.any():
        return 0.0, 0.0
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
    costs = problem.geometry.pairs(i, j)
    cost = mass * total(_times(share, costs))
    # The sums subtracted are rounded in units of the whole mass. A share is a difference
    # of two levels, each rounded in units of the mass that is missing.
    largest = float(np.abs(costs[np.isfinite(costs)]).max(initial=0.0))
    return cost, abs(cost) + (problem.mass + len(level) * mass) * largest


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


def lower_bound(
    problem: Problem,
    f: FloatArray,
    g: FloatArray | None,
    n_jobs: int,
    *,
    is_flow: bool = False,
) -> Dual:
    """Return the dual value of a feasible pair made of f."""
    pair = checker_of(problem.geometry).feasible(problem, f, g, n_jobs, is_flow=is_flow)
    return _dual_value(problem, *pair, by_row=False)


def other_lower_bound(
    problem: Problem, f: FloatArray, g: FloatArray, dual: Dual, n_jobs: int
) -> Dual:
    """Return the dual value of a feasible pair made of g, or `dual` if that is larger.

    The potential of an atom far away is large, and so is its rounding. As f, that
    costs every column it is nearest to; as a c-transform, only its own mass.
    """
    pair = checker_of(problem.geometry).feasible_from_g(problem, f, g, n_jobs)
    other = _dual_value(problem, *pair, dual.violation, by_row=True)
    return other if other.value > dual.value else dual


def _dual_value(
    problem: Problem, f: FloatArray, g: FloatArray, violation: float, *, by_row: bool
) -> Dual:
    """Return the value of a potential and its c-transform, which is f if `by_row`."""
    a, b = problem.a, problem.b
    carries, used = a > 0, b > 0
    f, g = np.where(carries, f, 0.0), np.where(used, g, 0.0)
    if not (np.isfinite(f).all() and np.isfinite(g).all()):
        return Dual(math.inf, np.zeros(len(a)), np.zeros(len(b)), violation, math.inf)
    # A c-transform is rounded in units of its own size, before it is balanced.
    checker = checker_of(problem.geometry)
    size = checker.rounded_size(problem, f, g, by_row=by_row)
    # Potentials are defined up to a constant; the balanced choice rounds least.
    shift = float(a @ f - b @ g) / (2 * problem.mass)
    f, g = np.where(carries, f - shift, 0.0), np.where(used, g + shift, 0.0)
    terms = np.concatenate([a * f, b * g])
    return Dual(total(terms), f, g, violation, size + float(np.abs(terms).sum()))


def outer_arcs(arcs: Arcs, whole: Problem) -> Arcs:
    """Add the arcs to outside, of the mass that a plan of the atoms proper leaves.

    `whole` is the problem with outside as the last atom of each side.
    """
    n, m = (size - 1 for size in whole.shape)
    left_a, left_b = unmatched(arcs, whole.a[:n], whole.b[:m])
    idle = rest(whole.b[m:], left_a.sum(keepdims=True))
    return Arcs(
        np.concatenate([arcs.rows, np.arange(n), np.full(m + 1, n)]),
        np.concatenate([arcs.columns, np.full(n, m), np.arange(m + 1)]),
        np.concatenate([arcs.mass, left_a, left_b, idle]),
    )


def outer_potential(f: FloatArray, problem: Problem, whole: Problem) -> FloatArray:
    """Return a potential of the atoms proper with the best one for outside.

    For a price that is 0. For a given mass, moving some more of it costs as much as the
    most expensive column of that mass, and outside is worth as much less.
    """
    if not isinstance(problem.marginals, MoveMass):
        return np.append(f, 0.0)
    best = checker_of(problem.geometry).column_minimum(f, 1)
    by_cost = np.argsort(best)
    moved = np.cumsum(problem.b[by_cost])
    # All columns but the part that outside gives.
    marginal = np.searchsorted(moved, moved[-1] - whole.a[-1])
    return np.append(f, -best[by_cost[min(int(marginal), len(best) - 1)]])
