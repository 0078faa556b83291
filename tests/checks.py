"""Independent checks of a result, in plain NumPy: no code of otdist's certificate."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import oracles
import pytest
from oracles import scale_of
from scipy.spatial.distance import cdist

from otdist import Status, solve

EPS = float(np.finfo(float).eps)


def cost_of(problem):
    """Return the cost matrix, computed here from what the problem holds."""
    geometry = problem.geometry
    if hasattr(geometry, "lengths"):
        between = shortest_paths(geometry.lengths.toarray(), geometry.lengths.tocoo())
        return between[np.ix_(geometry.sources, geometry.sinks)]
    if hasattr(geometry, "cost"):
        return np.asarray(geometry.cost)
    if hasattr(geometry, "axes"):
        pixels = np.stack(np.meshgrid(*geometry.axes, indexing="ij"), axis=-1)
        x = pixels.reshape(-1, len(geometry.axes))
        return cdist(x, x, geometry.metric) ** geometry.p
    if hasattr(geometry, "period"):
        apart = np.abs(np.subtract.outer(geometry.x, geometry.y))
        # Around the other way, from the two ends: exact where that is short.
        end_x, end_y = (0.5 * geometry.period - np.abs(z) for z in (geometry.x, geometry.y))
        opposite = np.multiply.outer(geometry.x, geometry.y) <= 0
        around = np.where(opposite, np.add.outer(end_x, end_y), geometry.period - apart)
        return np.minimum(apart, around) ** geometry.p
    if np.ndim(geometry.x) == 1:
        return np.abs(np.subtract.outer(geometry.x, geometry.y)) ** geometry.p
    return cdist(geometry.x, geometry.y, geometry.metric) ** geometry.p


def shortest_paths(matrix, edges):
    """Return all distances by Floyd and Warshall; edges of length 0 are stored ones."""
    between = np.full(matrix.shape, np.inf)
    between[edges.row, edges.col] = edges.data
    np.fill_diagonal(between, 0.0)
    for k in range(len(between)):
        between = np.minimum(between, between[:, k, None] + between[k])
    return between


def plan_of(result):
    """Return the plan as a dense matrix."""
    return np.asarray(result.plan.toarray())


def assert_coupling(plan, problem, tol=1e-12):
    """Check that a dense plan is >= 0 with marginals a and b, to tol * mass."""
    mass = math.fsum(problem.a)
    assert plan.shape == (len(problem.a), len(problem.b))
    assert (plan >= 0).all(), "negative mass in the plan"
    assert np.abs(plan.sum(axis=1) - problem.a).max() <= tol * mass, "row sums"
    assert np.abs(plan.sum(axis=0) - problem.b).max() <= tol * mass, "column sums"


def assert_proved(result, tol=1e-9, *, as_exact_as_input=False):
    """Prove a result optimal from its problem alone, in NumPy; return its value.

    The plan is a coupling that pays the value. The potentials are feasible, and those of
    the rows with their c-transform pay the same: weak duality. With `as_exact_as_input` the
    bracket may instead be as narrow as the last digits of the input allow.
    """
    if as_exact_as_input and result.status is Status.AS_EXACT_AS_INPUT:
        assert result.certificate.bracket().is_as_exact_as_input(), "the bracket is wide"
        tol = max(tol, result.certificate.relative_gap * (1 + 4 * EPS))
    else:
        assert result.status is Status.OPTIMAL, result.message
    assert result.success
    problem, plan, cost = result.problem, plan_of(result), cost_of(result.problem)
    assert_coupling(plan, problem)
    used = plan > 0
    assert np.isfinite(cost[used]).all(), "mass on a forbidden arc"
    if math.isinf(problem.p):
        # A distance is rounded one way or another; nothing else may differ.
        assert math.isclose(result.value, cost[used].max(), rel_tol=4 * EPS)
        assert result.lower <= result.value
        assert result.gap <= tol * abs(result.value)
        return result.value
    value = math.fsum(plan[used] * cost[used])
    mass, scale = math.fsum(problem.a), scale_of(cost)
    f, g = result.potentials
    # Sums of about n + m cost differences, each right to one unit in the last place.
    size = max(scale, float(np.abs(f).max()), float(np.abs(g).max()))
    slack = 4 * (len(f) + len(g)) * EPS * size
    assert np.isfinite(f).all(), "potential f"
    assert np.isfinite(g).all(), "potential g"
    excess = float((f[:, None] + g - cost).max())
    assert excess <= slack, f"dual infeasible by {excess}"
    dual = math.fsum(np.concatenate([problem.a * f, problem.b * g]))
    assert value - dual <= tol * abs(value) + slack * mass, f"gap {value - dual}"
    lower, rounding = lower_bound(problem, plan, cost, f, g)
    rounding += 8 * EPS * math.fsum(np.abs(plan[used] * cost[used]))
    assert rounding <= 1e-12 * scale * mass, "rounding hides too much"
    gap = value - lower
    assert -rounding <= gap <= max(tol * abs(value), rounding), f"gap {gap}"
    _assert_recorded(result, value, excess, scale * mass, slack, tol)
    return result.value


def lower_bound(problem, plan, cost, f, g):
    """Return the dual value of f and its c-transform, and how far rounding reaches.

    Potentials held in float64 and their sums are rounded, and so are the marginals of
    the plan that the value belongs to.
    """
    a, b = problem.a, problem.b
    held = float(a @ np.abs(f) + b @ np.abs(g))
    # Potentials are defined up to a constant; the balanced choice rounds least.
    shift = (math.fsum(a * f) - math.fsum(b * g)) / (2 * math.fsum(a))
    rows, columns = a > 0, b > 0
    f = (f - shift)[rows]
    best = (cost[np.ix_(rows, columns)] - f[:, None]).min(axis=0)
    terms = np.concatenate([a[rows] * f, b[columns] * best])
    lower = math.fsum(terms)
    if cost.min() >= 0:
        lower = max(lower, 0.0)  # by potentials that are zero
    rounding = 8 * EPS * math.fsum(np.abs(terms)) + 4 * EPS * held
    rounding += float(np.abs(f) @ np.abs(plan.sum(axis=1) - a)[rows])
    rounding += float(np.abs(best) @ np.abs(plan.sum(axis=0) - b)[columns])
    return lower, rounding


def prove(problem, **options):
    """Solve a problem by the network simplex method and return the proved value."""
    return assert_proved(solve(problem, method="network_simplex"), **options)


def paid(result):
    """Return what the plan pays as it is held.

    The value counts what its rounding leaves out as well, at the cost of any arc.
    """
    plan, cost = plan_of(result), cost_of(result.problem)
    return math.fsum(plan[plan > 0] * cost[plan > 0])


def _assert_recorded(result, value, excess, size, slack, tol):
    """Check that the result says what was found."""
    certificate = result.certificate
    assert abs(result.value - value) <= 1e-14 * size, "value is not the plan's cost"
    assert result.value == certificate.value
    assert (result.lower, result.upper) == (certificate.lower, certificate.upper)
    assert result.gap == certificate.gap == result.upper - result.lower
    assert result.lower <= result.value <= result.upper, "the value is not in the bracket"
    assert certificate.is_coupling
    assert certificate.proves(tol)
    assert result.gap <= max(tol, EPS) * abs(result.upper), "the bracket is wide"
    mass = math.fsum(result.problem.a)
    assert 0 <= certificate.marginal_error <= 1e-12 * mass, "marginal error"
    assert abs(certificate.dual_violation - max(excess, 0.0)) <= slack, "violation"
    power = 1 / max(result.problem.p, 1)  # concave costs have no root
    assert math.isclose(
        result.distance,
        value if power == 1 else max(value, 0.0) ** power,
        rel_tol=1e-13,
        abs_tol=(1e-14 * size) ** power,
    )


def assert_brackets(result, truth):
    """Check lower <= truth <= upper in exact arithmetic.

    Takes a Result or a Certificate; `truth` is a float, which is itself rounded, or a Fraction.
    """
    certificate = getattr(result, "certificate", result)
    rounding = Fraction(0)
    if not isinstance(truth, Fraction):
        rounding = 4 * Fraction(EPS) * abs(Fraction(truth))
    assert not math.isnan(certificate.lower)
    assert not math.isnan(certificate.upper)
    truth = Fraction(truth)
    if math.isfinite(certificate.lower):
        assert Fraction(certificate.lower) - rounding <= truth, (
            f"lower={certificate.lower!r} is above the truth {float(truth)!r}"
        )
    else:
        assert certificate.lower < 0, "lower is inf for a feasible problem"
    if math.isfinite(certificate.upper):
        assert truth <= Fraction(certificate.upper) + rounding, (
            f"upper={certificate.upper!r} is below the truth {float(truth)!r}"
        )
    else:
        assert certificate.upper > 0


def assert_narrow(result, truth, tol=1e-14):
    """Check that a bracket holds the truth, and is about as narrow as float64 allows."""
    assert result.lower <= truth <= result.upper
    assert result.upper - result.lower <= tol * abs(truth)


def assert_agrees_with_highs(value, problem):
    """Compare to 1e-12; float64 masses and sums move it by a few units of scale."""
    cost = cost_of(problem)
    truth = oracles.highs_bound(cost, problem.a, problem.b)
    slack = 1e-12 * abs(truth) + 8 * EPS * scale_of(cost) * problem.mass
    assert abs(value - truth) <= slack, f"{value!r} is not HiGHS's {truth!r}"


def assert_exact(value, problem, truth=None, *, exact_masses=False):
    """Compare with rational arithmetic to 1e-12.

    Masses of float64 have sums that differ by rounding, and a plan cannot have
    both: the value may be off by that at the largest cost. Exact masses, counts or
    uniform ones, have no such excuse.
    """
    cost = cost_of(problem)
    if truth is None:
        truth = oracles.exact(cost, problem.a, problem.b)
    slack = 1e-12 * abs(float(truth))
    if not exact_masses:
        slack += 4 * EPS * scale_of(cost) * problem.mass
    error = abs(Fraction(value) - truth)
    assert error <= slack, f"{value!r} is not the exact {float(truth)!r}"


def assert_same_plan(first, second):
    """Compare the arcs and their masses, to the last bit."""
    first, second = first.plan, second.plan
    assert np.array_equal(first.row, second.row)
    assert np.array_equal(first.col, second.col)
    assert np.array_equal(first.data, second.data)


def same(value):
    return pytest.approx(value, rel=1e-12, abs=0)
