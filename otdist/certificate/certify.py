"""Prove how far a plan and potentials are from optimal, whatever made them.

Weak duality does all the work. Any coupling costs at least the optimum, and for
any f the pair (f, g) with ``g[j] = min_i c[i, j] - f[i]`` is dual feasible, so
``sum a f + sum b g`` is at most the optimum. Nothing here comes from a solver or
its kernels: costs are read from the problem, in blocks, with NumPy.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from otdist.certificate.bottleneck import certify_bottleneck
from otdist.certificate.checkers import checker_of
from otdist.certificate.lower_bound import Dual, lower_bound, other_lower_bound
from otdist.certificate.marginals import grid_sums, scaled_sums
from otdist.certificate.partial import outer_arcs, outer_potential
from otdist.certificate.upper_bound import (
    Primal,
    is_rounding,
    upper_from_arcs,
    upper_from_flow,
    upper_from_sums,
)
from otdist.errors import InputError
from otdist.inputs.validate import (
    as_float64,
    as_jobs,
    as_values,
    first_index,
    require_finite,
)
from otdist.plans.plans import Arcs, Flow, GridPlan
from otdist.problem.problem import Problem
from otdist.problem.result import LARGEST_ROUNDING, Certificate
from otdist.typing import ArrayLike, FloatArray, Function

_EPS = float(np.finfo(float).eps)


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
