"""Prove how far a plan and potentials are from optimal, trusting nobody.

Weak duality does all the work. Any coupling costs at least the optimum, and for
any f the pair (f, g) with ``g[j] = min_i c[i, j] - f[i]`` is dual feasible, so
``sum a f + sum b g`` is at most the optimum. Nothing here comes from a solver or
its kernels: costs are read from the problem, in blocks, with NumPy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from otdist._bottleneck import certify_bottleneck
from otdist._errors import InputError
from otdist._geometry.dense import Dense
from otdist._geometry.grid import Grid
from otdist._geometry.line import Line
from otdist._marginals import Sums, grid_sums, scaled_sums
from otdist._plan import Arcs, Flow, GridPlan
from otdist._problem import Problem
from otdist._result import Certificate
from otdist._steepness import flow_sums, roundings, slope_to_trust
from otdist._transform import column_minimum, row_minimum
from otdist._typing import ArrayLike, FloatArray, Function, IntArray
from otdist._validate import (
    as_float64,
    as_jobs,
    as_values,
    first_index,
    require_finite,
)

# A plan is a coupling if its marginals are off by no more than this of the mass:
# sums of float64 are not exact. Beyond, it is repaired before it counts.
_COUPLING_TOLERANCE = 1e-13
# The same for each atom: masses are rounded to 2**-61 of the total by the solvers.
_ATOM_TOLERANCE = 2.0**-60
# Marginals known less well than this are repaired, whatever their rounding.
_LARGEST_BLUR = 1e-9
# Rounding may hide no more of a gap than this part of the largest cost of all mass.
_LARGEST_ROUNDING = 1e-12
# Size up to which a compiled pass is used: NumPy is as fast on larger matrices.
_COMPILED_ENTRIES = 1 << 27
_EPS = float(np.finfo(float).eps)


def certify(
    problem: Problem,
    plan: Any,
    f: ArrayLike | Function,
    g: ArrayLike | Function | None = None,
    *,
    n_jobs: int = 1,
) -> Certificate:
    """Bound the optimal value of a problem by anybody's plan and potentials.

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
        such as a critic. Any finite numbers will do: `lower` is what they prove.
    g : array_like (m,) or callable, optional
        The same of the second (minus a critic), for `dual_violation`; where f leaves a
        gap, `lower` is the better one of what f and what g prove.
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

    For p = inf on the line the potentials are not used: the lower bound is
    Strassen's, a set whose mass does not fit into its neighbourhood.

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
    n, m = problem.shape
    arcs = plan if isinstance(plan, Arcs) else _as_arcs(plan, (n, m))
    is_flow = isinstance(plan, Flow)
    if problem.is_bottleneck:
        if arcs is None:
            raise InputError("for p=inf the plan must be sparse or a dense array")
        _require_masses(arcs)
        return certify_bottleneck(problem, arcs)
    x, y = (getattr(problem.geometry, side, None) for side in "xy")
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
    if is_flow:
        primal = _upper_from_flow(problem, plan)
    elif arcs is not None:
        primal = _upper_from_arcs(problem, arcs)
    elif isinstance(plan, GridPlan) and plan.geometry.equals(problem.geometry):
        primal = _upper_from_sums(problem, *grid_sums(plan))
    else:
        sums = partial(scaled_sums, problem.geometry, plan.rows, n_jobs)
        primal = _upper_from_sums(problem, sums)
    dual = _lower_bound(problem, f, g, n_jobs, is_flow=is_flow)
    if (
        g is not None
        and not is_flow
        and primal.value - dual.value > 2 * _EPS * dual.size
    ):
        dual = _other_lower_bound(problem, g, dual, n_jobs)
    hidden, most = _hidden(dual, primal), _most_hidden(problem)
    if most < hidden < math.inf:
        zero = _lower_bound(problem, np.zeros(n), None, n_jobs)
        dual = dual._replace(value=max(dual.value - hidden, zero.value))
        hidden = most
    hidden += 2 * _EPS * primal.size
    if primal.relative > 0:
        size = float(problem.a @ np.abs(dual.f) + problem.b @ np.abs(dual.g))
        size = min(size, 2 * problem.mass * problem.geometry.largest)
        hidden += primal.relative * (primal.size + size)
    error = float(np.abs(primal.off_a).sum() + np.abs(primal.off_b).sum())
    return _bracket(dual.value, primal.value, error, dual.violation, hidden)


def _hidden(dual: _Dual, primal: _Primal) -> float:
    """Return what a dual value may be off by: its rounding, and that of marginals."""
    hidden = 2 * _EPS * dual.size
    if primal.is_coupling:
        hidden += float(np.abs(dual.f) @ np.abs(primal.off_a))
        hidden += float(np.abs(dual.g) @ np.abs(primal.off_b))
    return hidden


def _most_hidden(problem: Problem) -> float:
    """Return what rounding may hide of a gap: potentials may be larger than all costs."""
    return _LARGEST_ROUNDING * problem.mass * problem.geometry.largest


class _Dual(NamedTuple):
    """A feasible pair of potentials, balanced and 0 where there is no mass."""

    value: float
    f: FloatArray
    g: FloatArray
    violation: float  # of the pair as given
    size: float  # sum of the absolute terms of the value


class _Primal(NamedTuple):
    """The cost of a coupling, and what the plan as given missed of the marginals."""

    value: float
    off_a: FloatArray
    off_b: FloatArray
    size: float
    is_coupling: bool  # as given, up to rounding; else it was repaired
    relative: float = 0.0  # rounding of the plan's entries, as a part of them


def _lower_bound(
    problem: Problem,
    f: FloatArray,
    g: FloatArray | None,
    n_jobs: int,
    *,
    is_flow: bool = False,
) -> _Dual:
    """Return the dual value of f and its c-transform."""
    slope = slope_to_trust(problem, f, is_flow=is_flow)
    if slope is not None:
        # f and -f are feasible, or would be if f were less by that factor.
        off = 0.0 if g is None else max(float(np.max(g + f)), 0.0)
        f = f / max(slope, 1.0)
        return _dual_value(problem, f, -f, off, by_row=False)
    best = column_minimum(problem.geometry, f, n_jobs)
    violation = 0.0 if g is None else max(float(np.max(g - best)), 0.0)
    carries = problem.a > 0
    if not carries.all():
        # Atoms without mass constrain nothing.
        known = np.where(carries, f, -np.inf)
        best = column_minimum(problem.geometry, known, n_jobs)
    return _dual_value(problem, f, best, violation, by_row=False)


def _other_lower_bound(
    problem: Problem, g: FloatArray, dual: _Dual, n_jobs: int
) -> _Dual:
    """Return the dual value of g and its c-transform, or `dual` if that is larger.

    The potential of an atom far away is large, and so is its rounding. As f, that
    costs every column it is nearest to; as a c-transform, only its own mass.
    """
    known = np.where(problem.b > 0, g, -np.inf)
    f = row_minimum(problem.geometry, known, n_jobs)
    other = _dual_value(problem, f, g, dual.violation, by_row=True)
    return other if other.value > dual.value else dual


def _dual_value(
    problem: Problem, f: FloatArray, g: FloatArray, violation: float, *, by_row: bool
) -> _Dual:
    """Return the value of a potential and its c-transform, which is f if `by_row`."""
    a, b = problem.a, problem.b
    carries, used = a > 0, b > 0
    f, g = np.where(carries, f, 0.0), np.where(used, g, 0.0)
    if not (np.isfinite(f).all() and np.isfinite(g).all()):
        return _Dual(math.inf, np.zeros(len(a)), np.zeros(len(b)), violation, math.inf)
    # A c-transform is rounded in units of its own size, before it is balanced.
    size = float(a @ np.abs(f)) if by_row else float(b @ np.abs(g))
    if isinstance(problem.geometry, Line):
        # On the line it compares sums of coordinates, or relies on their order.
        size += problem.mass * problem.geometry.largest
    if isinstance(problem.geometry, Grid):
        # Each axis adds its cost to what the axes before left, which may be negative.
        size = len(problem.geometry.axes) * (
            size + problem.mass * problem.geometry.largest
        )
    # Potentials are defined up to a constant; the balanced choice rounds least.
    shift = float(a @ f - b @ g) / (2 * problem.mass)
    f, g = np.where(carries, f - shift, 0.0), np.where(used, g + shift, 0.0)
    terms = np.concatenate([a * f, b * g])
    return _Dual(_total(terms), f, g, violation, size + float(np.abs(terms).sum()))


def _small_bounds(
    problem: Problem, arcs: Arcs, f: FloatArray, g: FloatArray | None
) -> Certificate | None:
    """Do everything in one compiled pass; None where that pass does not apply.

    It is for the small matrices, where NumPy's calls cost more than the sums. Bad
    masses and potentials are among what it leaves to others.
    """
    matrix = problem.geometry
    if not isinstance(matrix, Dense) or matrix.cost.size > _COMPILED_ENTRIES:
        return None
    n, m = matrix.cost.shape
    best, work = np.empty(m), np.empty(n + m + len(arcs.mass))
    f, g = _plain(f), best if g is None else _plain(g)
    lower, upper, terms, error, weighted, violation = _kernel()(
        matrix.cost,
        problem.a,
        problem.b,
        f,
        g,
        *arcs,
        best,
        work,
    )
    hidden = 2 * _EPS * terms + weighted
    if not _is_rounding(problem, error) or hidden > _most_hidden(problem):
        return None
    return _bracket(lower, upper, error, violation, hidden)


def _plain(potential: FloatArray) -> FloatArray:
    """Return an array as kernels are compiled for: others would compile them anew."""
    return potential if potential.flags.carray else potential.copy()


@functools.cache
def _kernel() -> Callable[..., tuple[float, float, float, float, float, float]]:
    """Return the compiled pass; to import it in every call takes time."""
    from otdist._kernels.certificate import dense_bounds

    kernel: Callable[..., tuple[float, float, float, float, float, float]]
    kernel = dense_bounds
    return kernel


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


def _upper_from_arcs(problem: Problem, arcs: Arcs) -> _Primal:
    """Return the cost of the arcs, repaired to exact marginals if need be."""
    n, m = problem.shape
    rows, columns, mass = arcs
    off_a = _sums(rows, mass, n) - problem.a
    off_b = _sums(columns, mass, m) - problem.b
    cost = problem.geometry.pairs(rows, columns)
    if _is_coupling(problem, off_a, off_b):
        terms = _times(mass, cost)
        size = roundings(problem.geometry) * float(np.abs(terms).sum())
        return _Primal(_total(terms), off_a, off_b, size, True)
    mass = mass * _shrink(problem.a, problem.a + off_a)[rows]
    mass = mass * _shrink(problem.b, _sums(columns, mass, m))[columns]
    terms = _times(mass, cost)
    rest = _rest_cost(problem, _sums(rows, mass, n), _sums(columns, mass, m))
    size = roundings(problem.geometry) * (float(np.abs(terms).sum()) + abs(rest))
    return _Primal(_total(terms) + rest, off_a, off_b, size, False)


def _upper_from_flow(problem: Problem, flow: Flow) -> _Primal:
    """Return the cost of a flow, and of what its divergence leaves to move."""
    off, lengths = flow_sums(problem, flow)
    terms, nothing = _times(flow.amounts, lengths), np.zeros(len(off))
    size = float(terms.sum())
    if _is_coupling(problem, off, nothing):
        return _Primal(_total(terms), off, nothing, size, True)
    sums_a = problem.a - np.maximum(-off, 0.0)
    rest = _rest_cost(problem, sums_a, problem.b - np.maximum(off, 0.0))
    return _Primal(_total(terms) + rest, off, nothing, size + rest, False)


def _upper_from_sums(
    problem: Problem,
    sums: Callable[[FloatArray | None, FloatArray | None], Sums],
    relative: float = 0.0,
) -> _Primal:
    """Do the same for a plan of which sums are known: by rows and columns, and of cost.

    `sums` takes scales of rows and columns; `relative` is the rounding of the entries.
    """
    a, b = problem.a, problem.b
    given = sums(None, None)
    off_a, off_b = given.rows - a, given.columns - b
    error = float(np.abs(off_a).sum() + np.abs(off_b).sum())
    blur = min(relative, _LARGEST_BLUR) * problem.mass
    if _is_rounding(problem, error) or error <= blur:
        return _Primal(given.cost, off_a, off_b, given.size, True, relative)
    scale_a = _shrink(a, given.rows)
    scale_b = _shrink(b, sums(scale_a, None).columns)
    left = sums(scale_a, scale_b)
    rest = _rest_cost(problem, left.rows, left.columns)
    size = left.size + abs(rest)
    return _Primal(left.cost + rest, off_a, off_b, size, False, relative)


def _times(mass: FloatArray, cost: FloatArray) -> FloatArray:
    """Multiply, where a forbidden arc that carries nothing costs nothing."""
    terms = np.zeros(len(mass))
    np.multiply(mass, cost, out=terms, where=mass > 0)
    return terms


def _is_coupling(problem: Problem, off_a: FloatArray, off_b: FloatArray) -> bool:
    return _is_rounding(problem, float(np.abs(off_a).sum() + np.abs(off_b).sum()))


def _is_rounding(problem: Problem, error: float) -> bool:
    """Whether a marginal error is no more than sums of float64 must have."""
    n_atoms = len(problem.a) + len(problem.b)
    allowed = max(_COUPLING_TOLERANCE, _ATOM_TOLERANCE * n_atoms)
    return error <= allowed * problem.mass


def _rest_cost(problem: Problem, sums_a: FloatArray, sums_b: FloatArray) -> float:
    """Return the cost of moving what is missing, coupled in order; O(n + m).

    Any coupling of the two rests makes an upper bound. On the line the order is
    that of the points, elsewhere that of the atoms.
    """
    rest_a = np.maximum(problem.a - sums_a, 0.0)
    rest_b = np.maximum(problem.b - sums_b, 0.0)
    if not rest_a.any() or not rest_b.any():
        return 0.0
    rows, columns = np.flatnonzero(rest_a), np.flatnonzero(rest_b)
    if isinstance(problem.geometry, Line):
        by_x, by_y = problem.geometry.by_x, problem.geometry.by_y
        rows, columns = by_x[rest_a[by_x] > 0], by_y[rest_b[by_y] > 0]
    level_a, level_b = np.cumsum(rest_a[rows]), np.cumsum(rest_b[columns])
    total = float(max(level_a[-1], level_b[-1]))
    level_a, level_b = level_a / level_a[-1], level_b / level_b[-1]
    level = np.sort(np.concatenate([level_a, level_b]))
    share = np.diff(level, prepend=0.0)
    i = rows[np.searchsorted(level_a, level)]
    j = columns[np.searchsorted(level_b, level)]
    return total * _total(_times(share, problem.geometry.pairs(i, j)))


def _shrink(wanted: FloatArray, got: FloatArray) -> FloatArray:
    """Return the factors <= 1 that bring sums down to the wanted ones."""
    too_much = got > wanted
    factor = np.ones(len(wanted))
    factor[too_much] = wanted[too_much] / got[too_much]
    return factor


def _total(terms: FloatArray) -> float:
    """Sum exactly, or in extended precision where there are many terms."""
    if len(terms) <= 2000:
        return math.fsum(terms)
    return float(np.sum(terms, dtype=np.longdouble))


def _sums(index: IntArray, mass: FloatArray, size: int) -> FloatArray:
    """Add up masses by index; an empty plan sums to 0.0, not to integers."""
    return np.bincount(index, mass, size).astype(np.float64, copy=False)
