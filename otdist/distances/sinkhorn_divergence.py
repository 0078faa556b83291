"""Debiased entropic divergences: a cross term, minus half of each symmetric term.

What a symmetric term and the cross term have of the entropic blur in common cancels,
so that the divergence of a measure and itself is 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from otdist.errors import InputError, NotCertifiedError
from otdist.inputs.validate import (
    as_epsilon,
    as_float64,
    as_jobs,
    as_number,
    as_points,
    as_tolerance,
)
from otdist.pipeline import outcome_for, solve
from otdist.plans.plans import EntropicPlan
from otdist.problem.gradients import Gradients, filled, point_gradients
from otdist.problem.problem import Problem
from otdist.typing import FloatArray, Metric

# Masses and prices that leave room for products of them.
_SMALLEST, _LARGEST = 1e-100, 1e100
_LONGEST_LOG = 600.0

_Slopes = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


class Options(NamedTuple):
    """What all terms have in common."""

    metric: Metric
    p: float
    epsilon: float
    reach: float | None
    tol: float
    n_jobs: int
    gradients: bool


class _Measure(NamedTuple):
    """Points and their masses."""

    points: FloatArray
    masses: FloatArray

    def in_order(self) -> _Measure:
        """Return the atoms with mass in an order that does not depend on this one."""
        kept = self.masses > 0
        points, masses = self.points[kept], self.masses[kept]
        order = np.lexsort((masses, *points.T))
        return _Measure(points[order], masses[order])

    def is_same(self, other: _Measure) -> bool:
        """Whether both have the same atoms, in whatever order."""
        pairs = zip(self.in_order(), other.in_order(), strict=True)
        return all(np.array_equal(mine, others) for mine, others in pairs)

    def key(self) -> tuple[int, bytes, bytes]:
        """Return what pairs are ordered by, so that both orders are solved alike."""
        return len(self.points), self.points.tobytes(), self.masses.tobytes()


class _Term(NamedTuple):
    """A regularized value, and its derivatives in x, a, y and b if asked for."""

    value: float
    slopes: _Slopes | None


def divergence(x: Any, y: Any, a: Any, b: Any, options: Options) -> tuple[float, Gradients | None]:
    """Return the divergence and, if asked for, its derivatives."""
    first, second = _validated(x, y, a, b, options)
    if first.is_same(second):
        zeros = [np.zeros_like(each) for each in (*first, *second)]
        return 0.0, _as_gradients(*zeros) if options.gradients else None
    if first.key() <= second.key():
        return _combined(first, second, options)
    value, found = _combined(second, first, options)
    if found is None:
        return value, None
    return value, Gradients(a=found.b, b=found.a, x=found.y, y=found.x, cost=None)


def _validated(x: Any, y: Any, a: Any, b: Any, options: Options) -> tuple[_Measure, _Measure]:
    """Return both measures, and raise for any argument that is not usable."""
    is_relaxed = options.reach is not None
    problem = Problem(x, y, a, b, metric=options.metric, p=options.p, normalize=is_relaxed)
    if problem.is_bottleneck:
        raise InputError("p=inf has no entropic divergence; use a large finite p")
    as_epsilon(options.epsilon, problem.geometry.largest)
    as_tolerance(options.tol)
    as_jobs(options.n_jobs)
    if is_relaxed:
        _require_reach(options)
    masses = []
    for name, given, own in (("a", a, problem.a), ("b", b, problem.b)):
        if is_relaxed and given is not None:
            # Not normalised, as those of the problem are.
            own = as_float64(name, given)
            if not _SMALLEST < own.sum() < _LARGEST:
                raise InputError(
                    f"{name} sums to {own.sum():.3g}, too near the limits of float64;"
                    " divide all masses by a constant"
                )
        masses.append(own)
    first = _Measure(as_points("x", x), masses[0])
    return first, _Measure(as_points("y", y), masses[1])


def _require_reach(options: Options) -> None:
    reach = as_number("reach", options.reach, "a positive length, or None")
    if not 0 < reach < math.inf:
        raise InputError(
            f"reach must be a positive length, got {options.reach!r}; None is for"
            " measures of one mass, all of which is moved"
        )
    if not abs(math.log(reach) * _power(options)) < _LONGEST_LOG:
        raise InputError(
            f"reach={reach:g} to the power {_power(options):g} leaves float64; multiply"
            " points and reach by a constant"
        )


def _combined(
    first: _Measure, second: _Measure, options: Options
) -> tuple[float, Gradients | None]:
    term = _balanced if options.reach is None else _unbalanced
    cross = term(first, second, options)
    own_a, own_b = term(first, first, options), term(second, second, options)
    value = cross.value - 0.5 * own_a.value - 0.5 * own_b.value
    if cross.slopes is None or own_a.slopes is None or own_b.slopes is None:
        return value, None
    x, a, y, b = cross.slopes
    own_x, own_mass = _of_both_sides(own_a.slopes)
    x, a = x - own_x, a - own_mass
    own_y, own_mass = _of_both_sides(own_b.slopes)
    y, b = y - own_y, b - own_mass
    return value, _as_gradients(x, a, y, b)


def _of_both_sides(slopes: _Slopes) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives of half a symmetric term, whose sides move together."""
    x, a, y, b = slopes
    return 0.5 * (x + y), 0.5 * (a + b)


def _as_gradients(x: FloatArray, a: FloatArray, y: FloatArray, b: FloatArray) -> Gradients:
    return Gradients(a=a, b=b, x=x, y=y, cost=None)


def _balanced(first: _Measure, second: _Measure, options: Options) -> _Term:
    """Solve with exact masses; the value is the dual one, a lower bound.

    It is at most ``|column sums - b|_1`` times the mean of the ranges of g and of the
    optimal g below the optimum; the latter range is no larger than that of the costs.
    """
    problem = _problem(first, second, options)
    result = solve(
        problem,
        method="sinkhorn",
        epsilon=options.epsilon,
        tol=options.tol,
        n_jobs=options.n_jobs,
    )
    value = result.regularized_value
    spread = np.ptp(result.potentials[1][problem.b > 0])
    is_bounded = math.isfinite(value) and spread <= 3 * problem.geometry.largest
    if not (result.success and is_bounded):
        raise NotCertifiedError(
            "a term of the divergence did not converge:"
            f" {outcome_for(result, frozenset({'tol', 'epsilon'}))}",
            result,
        )
    if not options.gradients:
        return _Term(value, None)
    found = result.gradients()
    assert found.x is not None
    assert found.y is not None
    return _Term(value, (found.x, found.a, found.y, found.b))


def _unbalanced(first: _Measure, second: _Measure, options: Options) -> _Term:
    """Solve with relaxed masses; the value is the dual one, less ``ε m(a) m(b)``.

    Over all three terms that product cancels with the term of the masses in the
    divergence of Séjourné et al. (2019).
    """
    from otdist.solvers.sinkhorn.unbalanced import Relaxed

    assert options.reach is not None
    epsilon, rho = options.epsilon, _price(options)
    rows, columns = np.flatnonzero(first.masses), np.flatnonzero(second.masses)
    geometry = _problem(first, second, options).geometry
    there, back = geometry.restrict(rows, columns), None
    if first is not second:
        turned = _problem(second, first, options).geometry
        back = turned.restrict(columns, rows)
    a, b = first.masses[rows], second.masses[columns]
    relaxed = Relaxed(there, back, a, b, rho, as_jobs(options.n_jobs))
    state, is_proved = relaxed.solve(epsilon, options.tol)
    if not is_proved:
        raise NotCertifiedError(
            f"a term of the divergence did not converge: its gap is {state.gap:.3g} and"
            f" its marginal error {state.error:.3g}; raise tol or epsilon",
            None,
        )
    if not options.gradients:
        return _Term(state.value, None)
    f, g = np.zeros(len(first.masses)), np.zeros(len(second.masses))
    f[rows], g[columns] = state.f, state.g
    damping = rho / (rho + epsilon)
    f, g = filled(geometry, first.masses, second.masses, f, g, epsilon, damping)
    # Constants that cancel in the divergence are left out here as well.
    by_a, by_b = (-(rho + epsilon) * np.expm1(-each / rho) for each in (f, g))
    by_x, by_y = np.zeros_like(first.points), np.zeros_like(second.points)
    f, g = state.f + epsilon * np.log(a), state.g + epsilon * np.log(b)
    plan = EntropicPlan(there, f, g, epsilon, 0 * f + 1, 0 * g + 1, 0 * f, 0 * g)
    by_x[rows], by_y[columns] = point_gradients(there, plan)
    return _Term(state.value, (by_x, by_a, by_y, by_b))


def _problem(first: _Measure, second: _Measure, options: Options) -> Problem:
    return Problem(
        *(first.points, second.points, first.masses, second.masses),
        metric=options.metric,
        p=options.p,
        normalize=options.reach is not None,
    )


def _price(options: Options) -> float:
    """Return what a unit of mass may cost that is neither moved nor missed, in cost units."""
    assert options.reach is not None
    return float(options.reach ** _power(options))


def _power(options: Options) -> float:
    """Return the power of lengths that costs are."""
    return 2.0 if options.metric == "sqeuclidean" else float(options.p)
