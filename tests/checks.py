"""Independent checks of a result, in plain NumPy: no code of otdist's certificate."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from scipy.spatial.distance import cdist

from otdist import Status

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


def scale_of(cost):
    """Return the largest finite cost in absolute value."""
    finite = cost[np.isfinite(cost)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def assert_coupling(plan, problem, tol=1e-12):
    """Check that a dense plan is >= 0 with marginals a and b, to tol * mass."""
    mass = math.fsum(problem.a)
    assert plan.shape == (len(problem.a), len(problem.b))
    assert (plan >= 0).all(), "negative mass in the plan"
    assert np.abs(plan.sum(axis=1) - problem.a).max() <= tol * mass, "row sums"
    assert np.abs(plan.sum(axis=0) - problem.b).max() <= tol * mass, "column sums"


def assert_proved(result, tol=1e-9):
    """Check optimality from scratch: both feasibilities, the gap, the record of it."""
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
        return
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
    _assert_recorded(result, value, excess, scale * mass, slack)


def _assert_recorded(result, value, excess, size, slack):
    """Check that the result says what was found."""
    certificate = result.certificate
    assert abs(result.value - value) <= 1e-14 * size, "value is not the plan's cost"
    assert result.value == result.upper == certificate.upper
    assert result.lower == certificate.lower
    assert result.gap == certificate.gap == result.upper - result.lower
    assert result.lower <= result.upper, "the bracket is empty"
    assert certificate.proves(tol=1e-9)
    assert 0 <= certificate.rounding <= 1e-12 * size, "rounding hides too much"
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
    """Check lower <= truth <= upper in exact arithmetic, up to the stated rounding.

    Takes a Result or a Certificate; `truth` is a float or a Fraction.
    """
    certificate = getattr(result, "certificate", result)
    rounding = Fraction(certificate.rounding)
    if not isinstance(truth, Fraction):
        # A float truth is itself rounded.
        rounding += 4 * Fraction(EPS) * abs(Fraction(truth))
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
