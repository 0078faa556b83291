"""Prove how far a plan and potentials are from optimal, whatever made them.

Weak duality does all the work. Any coupling costs at least the optimum, and for
any f the pair (f, g) with ``g[j] = min_i c[i, j] - f[i]`` is dual feasible, so
``sum a f + sum b g`` is at most the optimum. Nothing here comes from a solver or
its kernels: costs are read from the problem, in blocks, with NumPy.

All rounding is folded in, outward: see `certificate.rounding`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from otdist.certificate.bottleneck import certify_bottleneck
from otdist.certificate.checkers import PairwiseChecker, checker_of
from otdist.certificate.exact_coupling import LARGEST, Exact, exact_coupling
from otdist.certificate.exact_dual import along, exact_lower, exact_partial_lower
from otdist.certificate.marginals import Sums, grid_sums, scaled_sums
from otdist.certificate.partial import partial_lower, partial_upper
from otdist.certificate.rounding import (
    EPS,
    ROUNDING,
    SPARE,
    TINY,
    UNDERFLOW,
    Dual,
    Primal,
    U,
    balance,
    charged,
    marginal_errors,
    paid,
    times,
    total,
)
from otdist.errors import InputError
from otdist.inputs.convert import first_index
from otdist.inputs.validate import (
    as_float64,
    as_values,
    require_finite,
)
from otdist.plans.plans import Arcs, Flow, GridPlan
from otdist.problem.marginals import LeaveAtPrice
from otdist.problem.result import COUPLING, EXACT_TOL, SPECK, Certificate
from otdist.typing import ArrayLike, FloatArray, Function, IntArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem


def certified(
    problem: Problem,
    plan: Any,
    f: ArrayLike | Function | None,
    g: ArrayLike | Function | None,
    n_jobs: int,
    tol: float = EXACT_TOL,
) -> Certificate:
    """Return the certificate of a plan and potentials: see `otdist.certify`.

    More digits are looked for until the bracket is as narrow as `tol`, relative.
    """
    n, m = problem.shape
    arcs = plan if isinstance(plan, Arcs) else _as_arcs(plan, (n, m))
    x, y = problem.positions
    if problem.is_partial or problem.is_bottleneck:
        return _certify_arcs(problem, arcs, f, n_jobs, tol)
    f = np.zeros(n) if f is None else as_values("f", f, n, x)
    g = None if g is None else as_values("g", g, m, y)
    if arcs is not None:
        small = _small_bounds(problem, arcs, f, g, tol)
        if small is not None:
            return small
        _require_masses(arcs)
    require_finite("f", f)
    if g is not None:
        require_finite("g", g)
    primal = _primal(problem, plan, arcs, n_jobs)
    of_f = lower_bound(problem, f, g, n_jobs, is_flow=isinstance(plan, Flow))
    dual = _at_least_zero(problem, of_f)
    if arcs is not None and not _is_narrow(primal, dual, tol):
        primal = _repaired(problem, arcs, primal)
    if not _is_narrow(primal, dual, tol) and not isinstance(plan, Flow):
        dual = better_lower_bound(problem, f, g, primal.value, dual, n_jobs)
    exact = None
    if arcs is not None and not _is_narrow(primal, dual, tol):
        exact = _with_exact_masses(problem, arcs, primal)
        primal = _or_exact(problem, primal, exact)
    if not (_is_narrow(primal, dual, tol) or isinstance(plan, Flow)) and _is_rounded(primal, of_f):
        dual = dual.or_better(exact_lower(problem, f))
        if exact is not None and not _is_narrow(primal, dual, tol):
            dual = dual.or_better(exact_lower(problem, *along(exact, f)))
    return _certificate(problem, primal, dual)


def _certify_arcs(
    problem: Problem, arcs: Arcs | None, f: Any, n_jobs: int, tol: float
) -> Certificate:
    """Certify a plan where p = inf, or where mass may be left."""
    if arcs is None:
        kind = "a partial problem" if problem.is_partial else "p=inf"
        raise InputError(f"for {kind} the plan must be sparse or a dense array")
    _require_masses(arcs)
    n = problem.shape[0]
    is_read = f is not None and not (problem.is_bottleneck and problem.is_line)
    f = as_values("f", f, n, problem.positions[0]) if is_read else np.zeros(n)
    if problem.is_bottleneck:
        return certify_bottleneck(problem, arcs, f, n_jobs)
    require_finite("f", f)
    primal, dual = partial_upper(problem, arcs), partial_lower(problem, f, n_jobs)
    if not _is_narrow(primal, dual, tol):
        # Potentials of both sides that share the value are the smallest, and round least.
        shift = (float(problem.a @ f) - 0.5 * primal.value) / (problem.mass or 1.0)
        dual = max(dual, partial_lower(problem, f - shift, n_jobs))
    if not _is_narrow(primal, dual, tol) and _is_rounded(primal, dual):
        dual = dual.or_better(exact_partial_lower(problem, f))
    if not _is_narrow(primal, dual, tol):
        exact = _with_exact_masses(problem, arcs, primal)
        primal = _or_exact(problem, primal, exact)
        if exact is not None and not _is_narrow(primal, dual, tol):
            dual = dual.or_better(exact_partial_lower(problem, *along(exact, f)))
    if not _is_narrow(primal, dual, tol):
        # Costs that are never negative pay at least nothing, as potentials of 0 prove.
        dual = dual.or_better(partial_lower(problem, np.zeros(n), n_jobs))
    return _certificate(problem, primal, dual)


def _or_exact(problem: Problem, primal: Primal, exact: Exact | None) -> Primal:
    """Return the cost of a coupling with exact masses, if that is lower."""
    better = exact_upper(problem, exact)
    if better is not None and not isinstance(problem.marginals, LeaveAtPrice):
        # What the plan as given pays for its rounding is no rounding of the costs.
        primal = primal._replace(size=min(primal.size, better.size))
    return primal.or_better(better)


def _is_narrow(primal: Primal, dual: Dual, tol: float) -> bool:
    return primal.upper - dual.value <= tol * abs(primal.upper) < math.inf


def _is_rounded(primal: Primal, dual: Dual) -> bool:
    """Whether the bracket is wide for no small part by the rounding of the lower end."""
    return not dual.rounding < 0.1 * (primal.upper - dual.value)


def _certificate(problem: Problem, primal: Primal, dual: Dual) -> Certificate:
    """Join both ends."""
    lower = _at_least_zero(problem, dual).value
    resolution, order = _resolution(problem, primal.size)
    return Certificate(
        lower=lower,
        upper=primal.upper,
        value=min(max(primal.value, lower), primal.upper),
        is_coupling=primal.is_coupling,
        marginal_error=primal.error,
        dual_violation=dual.violation,
        resolution=resolution,
        order=order,
    )


def _at_least_zero(problem: Problem, dual: Dual) -> Dual:
    """Return a lower bound that is not negative, where no cost is."""
    is_below = dual.value < 0 and problem.geometry.facts.is_positive
    return dual._replace(value=0.0) if is_below else dual


def _resolution(problem: Problem, paid: float) -> tuple[float, float]:
    """Return how much units in the last place of the input decide, and the order of its root.

    A matrix has no coordinates: there it is the rounding of the costs `paid`, and no root.
    """
    found = problem.geometry.resolution()
    if found is None:
        return 2 * EPS * paid, 1.0
    unit, order = found
    if order < 1:
        return problem.mass * unit**order, 1.0
    return unit * (1.0 if math.isinf(order) else problem.mass ** (1 / order)), order


def _primal(problem: Problem, plan: Any, arcs: Arcs | None, n_jobs: int) -> Primal:
    """Return the cost of a plan in whatever form it is."""
    if isinstance(plan, Flow):
        return upper_from_flow(problem, plan)
    if arcs is not None:
        return _as_given(problem, arcs)
    if isinstance(plan, GridPlan) and plan.geometry.equals(problem.geometry):
        return upper_from_sums(problem, *grid_sums(plan))
    if problem.geometry.facts.has_forbidden and math.prod(problem.shape) <= LARGEST:
        # Missing mass may need other mass to make way, which takes the arcs.
        block = as_float64("plan", plan.rows(0, len(problem.a)))
        if (block >= 0).all():
            arcs = _arcs_of(block)
            return _repaired(problem, arcs, _as_given(problem, arcs))
    sums = partial(scaled_sums, problem.geometry, plan.rows, n_jobs)
    return upper_from_sums(problem, sums)


def _small_bounds(
    problem: Problem, arcs: Arcs, f: FloatArray, g: FloatArray | None, tol: float
) -> Certificate | None:
    """Do everything in one compiled pass; None where that pass does not prove the value.

    It is for the small matrices, where NumPy's calls cost more than the sums. Bad
    masses and potentials are left to the other checks.
    """
    bounds = checker_of(problem.geometry).at_once(problem, arcs, f, g)
    if bounds is None:
        return None
    *numbers, is_coupling, violation = bounds
    lower, upper, value, error = map(float, numbers)  # where compilation is off
    primal = Primal(value, upper, abs(value), error, is_coupling)
    dual = _at_least_zero(problem, Dual(lower, 0.0, violation))
    return _certificate(problem, primal, dual) if _is_narrow(primal, dual, tol) else None


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
        return _arcs_of(matrix)
    used = mass > 0
    if not used.all():
        rows, columns, mass = rows[used], columns[used], mass[used]
    return Arcs(rows.astype(np.int64), columns.astype(np.int64), mass)


def _arcs_of(matrix: FloatArray) -> Arcs:
    """Return the arcs of a matrix of masses."""
    rows, columns = map(np.ascontiguousarray, np.nonzero(matrix))
    return Arcs(rows, columns, matrix[rows, columns])


def _require_masses(arcs: Arcs) -> None:
    """Raise for a mass that is negative, NaN or infinite."""
    mass = arcs.mass
    if not mass.min(initial=0.0) >= 0 or not math.isfinite(mass.sum()):
        _refuse_entry("", float(mass.min()))


def _refuse_entry(where: str, value: float) -> None:
    raise InputError(f"plan{where} is {value}; a plan holds masses, finite and >= 0")


class Off(NamedTuple):
    """By how much the marginals of a plan exceed the weights."""

    a: FloatArray
    b: FloatArray
    error: float  # of all, with the rounding of the sums

    def is_coupling(self, problem: Problem) -> bool:
        """Whether no marginal is off by more than 1e-9 of its weight."""
        speck = SPECK * problem.mass
        fits_a = np.abs(self.a) <= COUPLING * problem.a + speck
        fits_b = np.abs(self.b) <= COUPLING * problem.b + speck
        return bool(fits_a.all() and fits_b.all())


def _off(problem: Problem, arcs: Arcs) -> Off:
    """Compare the marginals of arcs with the weights."""
    n = problem.shape[0]
    apart, noise = balance(problem)
    off, rounded = marginal_errors(problem, arcs)
    off[n:] -= apart * problem.b
    error = float(np.abs(off).sum()) * (1 + 2 * EPS) + noise * problem.mass + rounded
    return Off(off[:n], off[n:], error)


def _repaired(problem: Problem, arcs: Arcs, found: Primal) -> Primal:
    """Return the cost of the plan scaled down to fit, with the rest coupled, if that is less.

    Where the rest is rounding, so is what it pays: the value is then that of the plan as given.
    """
    completed = _completed(problem, arcs)
    better = found.or_better(_as_given(problem, completed))
    is_rounding = found.error <= 4 * sum(problem.shape) * EPS * problem.mass
    found = better._replace(value=found.value) if is_rounding else better
    if problem.geometry.facts.has_forbidden:
        # What is missing may have no allowed arc to go along, unless other mass makes way.
        rows, columns, mass = completed
        used = np.flatnonzero(mass[: len(arcs.mass)])
        exact = exact_coupling(problem, Arcs(rows[used], columns[used], mass[used]))
        found = found.or_better(exact_upper(problem, exact))
    return found


def _with_exact_masses(problem: Problem, arcs: Arcs, found: Primal) -> Exact | None:
    """Return the coupling with exact marginals along the arcs, if these nearly have them."""
    return exact_coupling(problem, arcs) if found.error <= EXACT_TOL * problem.mass else None


def exact_upper(problem: Problem, exact: Exact | None) -> Primal | None:
    """Return the cost of a coupling with exact marginals, if there is one."""
    if exact is None:
        return None
    value, size, is_tiny = paid(exact.geometry, exact.arcs)
    upper = charged(problem, value, size, 0.0, is_tiny=is_tiny)
    if exact.stranded > 0:
        # Mass that is rounding goes along paths of at most n + m arcs.
        upper += SPARE * exact.stranded * sum(exact.geometry.shape) * exact.geometry.largest
    return Primal(value, upper, size, exact.stranded, True)


def _as_given(problem: Problem, arcs: Arcs) -> Primal:
    """Return the cost of the arcs, and the most that the errors of their marginals may add."""
    off = _off(problem, arcs)
    value, size, is_tiny = paid(problem.geometry, arcs)
    upper = charged(problem, value, size, off.error, is_tiny=is_tiny)
    return Primal(value, upper, size, off.error, off.is_coupling(problem))


def _is_dear(primal: Primal) -> bool:
    """Whether the errors of the marginals may add much to the cost."""
    return not primal.upper - primal.value <= 0.1 * EXACT_TOL * abs(primal.value)


def _completed(problem: Problem, arcs: Arcs) -> Arcs:
    """Return a plan scaled down to fit, and arcs for the mass that is missing then."""
    rows, columns, mass = arcs
    b = problem.b * (1 + balance(problem)[0])
    for index, wanted in ((rows, problem.a), (columns, b)):
        got = np.bincount(index, mass, len(wanted)).astype(np.float64, copy=False)
        mass = np.asarray(mass * _shrink(wanted, got)[index])
    off = _off(problem, Arcs(rows, columns, mass))
    i, j, left = rest_arcs(problem, np.maximum(-off.a, 0.0), np.maximum(-off.b, 0.0))
    return Arcs(np.append(rows, i), np.append(columns, j), np.append(mass, left))


def upper_from_flow(problem: Problem, flow: Flow) -> Primal:
    """Return the cost of a flow, and of moving the mass that its divergence leaves."""
    off, lengths, rounded = flow_sums(problem, flow)
    apart, noise = balance(problem)
    off = off + apart * problem.b
    rounded += 3 * U * float(np.abs(off).sum()) + noise * problem.mass
    terms = times(flow.amounts, lengths)
    value, size = total(terms), float(terms.sum())
    error = float(np.abs(off).sum()) + rounded
    facts, largest = problem.geometry.facts, problem.geometry.largest
    relative = ROUNDING + facts.roundings * EPS
    fits = np.abs(off) <= COUPLING * np.maximum(problem.a, problem.b) + SPECK * problem.mass
    found = Primal(
        value,
        value + relative * size + SPARE * error * largest,
        size,
        error,
        bool(fits.all()),
    )
    if not _is_dear(found):
        return found
    i, j, mass = rest_arcs(problem, np.maximum(-off, 0.0), np.maximum(off, 0.0))
    more = times(mass, problem.geometry.pairs(i, j))
    left = np.bincount(i, mass, len(off)) - np.bincount(j, mass, len(off)) + off
    value, size = value + total(more), size + float(more.sum())
    left_over = float(np.abs(left).sum()) + 2 * rounded
    upper = value + relative * size + SPARE * left_over * largest
    return found.or_better(Primal(value, upper, size, 0.0, False))


def flow_sums(problem: Problem, flow: Flow) -> tuple[FloatArray, FloatArray, float]:
    """Return how far a flow's divergence exceeds a - b (N,), its edges' lengths, and a rounding.

    The rounding is that of whole numbers of units as floats. Divergences are sums of whole
    numbers. Lengths come from the problem, not from the flow.
    """
    _require_flow(problem, flow)
    out: IntArray = np.zeros(flow.n_nodes, np.int64)
    np.add.at(out, flow.tails, flow.units)
    np.subtract.at(out, flow.heads, flow.units)
    a, b = problem.a, problem.b
    change = a - b
    back = change - a
    lost = (a - (change - back)) - (b + back)
    gained = out * flow.unit
    off = (gained - change) - lost
    is_rounded = out.astype(np.float64).astype(np.int64) != out
    if math.frexp(flow.unit)[0] != 0.5:
        is_rounded[:] = True
    rounded = 2 * U * float(np.abs(gained[is_rounded]).sum())
    return off, checker_of(problem.geometry).lengths(flow.tails, flow.heads), rounded


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
    """Return the cost of a plan that is known by its sums, of a coupling made of it if need be.

    `sums` takes scales of rows and columns; `relative` is the rounding of the entries.
    """
    a, b = problem.a, problem.b * (1 + balance(problem)[0])
    # Sums of entries are rounded once for each of them, in the worst case; those along the axes
    # of a grid are part of the rounding of its entries.
    rounded = 2 * (relative or (len(a) + len(b)) * U) * problem.mass

    def bounded(found: Sums, off_a: FloatArray, off_b: FloatArray, more: FloatArray) -> Primal:
        error = float(np.abs(off_a).sum() + np.abs(off_b).sum()) + rounded
        if not found.size < math.inf:
            return Primal(math.inf, math.inf, math.inf, error, False)
        size = found.size * (1 + relative) + float(np.abs(more).sum())
        value = found.cost + total(more)
        upper = charged(problem, value + relative * found.size, size, error)
        off, weights = np.abs(np.append(off_a, off_b)), np.append(a, b)
        fits = bool((off <= COUPLING * weights + SPECK * problem.mass).all())
        return Primal(value, upper, size, float(off.sum()), fits)

    given = sums(None, None)
    found = bounded(given, given.rows - a, given.columns - b, np.empty(0))
    if not _is_dear(found):
        return found
    scale_a = _shrink(a, given.rows)
    scale_b = _shrink(b, sums(scale_a, None).columns)
    left = sums(scale_a, scale_b)
    off_a, off_b = left.rows - a, left.columns - b
    i, j, mass = rest_arcs(problem, np.maximum(-off_a, 0.0), np.maximum(-off_b, 0.0))
    off_a += np.bincount(i, mass, len(a))
    off_b += np.bincount(j, mass, len(b))
    more = times(mass, problem.geometry.pairs(i, j))
    return found.or_better(bounded(left, off_a, off_b, more))


def rest_arcs(
    problem: Problem, rest_a: FloatArray, rest_b: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Couple masses that are left on both sides: rows, columns and masses; O(n + m).

    Any coupling of the two rests makes an upper bound; this one is in order. On the line
    the order is that of the points, elsewhere that of the atoms.
    """
    rows, columns = np.flatnonzero(rest_a), np.flatnonzero(rest_b)
    if not len(rows) or not len(columns):
        nothing: IntArray = np.empty(0, np.int64)
        return nothing, nothing, np.empty(0)
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
    return i, j, mass * share


def _shrink(wanted: FloatArray, got: FloatArray) -> FloatArray:
    """Return the factors <= 1 that bring sums down to the wanted ones."""
    too_much = got > wanted
    factor = np.ones(len(wanted))
    factor[too_much] = wanted[too_much] / got[too_much]
    return factor


def lower_bound(
    problem: Problem,
    f: FloatArray,
    g: FloatArray | None,
    n_jobs: int,
    *,
    is_flow: bool = False,
) -> Dual:
    """Return the dual value of a feasible pair made of f."""
    with np.errstate(over="ignore", invalid="ignore"):  # potentials may be of any size
        checker = checker_of(problem.geometry)
        pair = checker.feasible(problem, f, g, n_jobs, is_flow=is_flow)
        return _dual_value(problem, checker, *pair)


def better_lower_bound(
    problem: Problem, f: FloatArray, g: FloatArray | None, value: float, dual: Dual, n_jobs: int
) -> Dual:
    """Return the largest of what other potentials prove that can be made of f and g.

    The potential of an atom far away is large, and so is its rounding. As f, that
    costs every column it is nearest to; as a c-transform, only its own mass.
    """
    checker = checker_of(problem.geometry)
    found = [dual]
    with np.errstate(over="ignore", invalid="ignore"):
        known = checker.known_bound(problem)
        if known is not None:
            found.append(Dual(*known))
        is_rounded = not dual.rounding < 0.25 * (value - dual.value)
        if is_rounded:
            checker = checker.careful()
            # First potentials of 0, which prove all where the cheapest arcs suffice.
            given = checker.feasible(problem, np.zeros(len(f)), None, n_jobs, is_flow=False)
            found.append(_dual_value(problem, checker, *given))
            if found[-1].value >= value:
                return found[-1]._replace(violation=dual.violation)
        if g is not None:
            pair = checker.feasible_from_g(problem, f, g, n_jobs)
            found.append(_dual_value(problem, checker, *pair))
        if is_rounded:
            # Potentials of both sides that share the value are the smallest, and round least.
            shift = (float(problem.a @ f) - 0.5 * value) / problem.mass
            for each in (f, f - shift):
                if np.isfinite(each).all():
                    given = checker.feasible(problem, each, None, n_jobs, is_flow=False)
                    found.append(_dual_value(problem, checker, *given))
    return max(found)._replace(violation=dual.violation)


def _dual_value(
    problem: Problem,
    checker: PairwiseChecker[Any],
    f: FloatArray,
    g: FloatArray,
    violation: float = 0.0,
) -> Dual:
    """Return the value of a potential and its c-transform, rounded down."""
    a, b, facts = problem.a, problem.b, problem.geometry.facts
    f, g = np.where(a > 0, f, 0.0), np.where(b > 0, g, 0.0)
    if facts.has_forbidden and np.isfinite(f).all() and (g == np.inf).any():
        return Dual(math.inf, 0.0, violation)  # no coupling exists
    terms = np.concatenate([a * f, b * g])
    sizes = np.abs(terms)
    size, size_b = float(sizes.sum()), float(sizes[len(a) :].sum())
    if not size < math.inf:
        return Dual(-math.inf, math.inf, violation)
    apart, noise = balance(problem)
    is_small = sizes < TINY
    is_tiny = is_small.any() and (
        (is_small & (terms != 0)).any()
        or np.count_nonzero(terms) < np.count_nonzero(f) + np.count_nonzero(g)
    )
    value = total(terms) + apart * float(terms[len(a) :].sum())
    rounding = ROUNDING * size + (noise + EPS * abs(apart) * len(b)) * size_b
    rounding += checker.transform_error(problem, f, g)
    rounding += facts.roundings * EPS * abs(value) + facts.least * problem.mass
    rounding += UNDERFLOW if is_tiny else 0.0
    return Dual(value - rounding, rounding, violation)
