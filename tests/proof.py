"""Answers proved again from the problem alone, in NumPy: no code of otdist's own.

`proved` takes a result and leaves nothing to trust; the others compare its value
with HiGHS and with rational arithmetic. That they fail on planted errors is tested
in test_proof.py.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import oracles
import pytest
from checks import cost_of, scale_of
from scipy.optimize import linprog
from scipy.sparse import csr_array

from otdist import Status, solve

EPS = float(np.finfo(float).eps)


def proved(result):
    """Prove a result optimal from its problem alone, in NumPy; return its value.

    The plan is a coupling that pays the value. The potentials are feasible, and those
    of the rows with the best ones of the columns pay the same: weak duality.
    """
    assert result.status is Status.OPTIMAL, result.message
    problem, plan, cost = result.problem, result.plan, cost_of(result.problem)
    a, b, mass = problem.a, problem.b, math.fsum(problem.a)
    assert plan.shape == cost.shape == (len(a), len(b))
    assert (plan.data >= 0).all(), "negative mass"
    off_a, off_b = -a, -b
    np.add.at(off_a, plan.row, plan.data)
    np.add.at(off_b, plan.col, plan.data)
    assert np.abs(off_a).max() <= 1e-12 * mass, "wrong row sums"
    assert np.abs(off_b).max() <= 1e-12 * mass, "wrong column sums"
    paid = plan.data * cost[plan.row, plan.col]
    assert np.isfinite(paid).all(), "mass on a forbidden arc"
    value, size = math.fsum(paid), math.fsum(np.abs(paid))
    assert abs(result.value - value) <= 1e-14 * size, "the plan pays another value"

    f, g = result.potentials
    assert np.isfinite(f).all(), "potentials f are not finite"
    assert np.isfinite(g).all(), "potentials g are not finite"
    scale = scale_of(cost)
    excess = float((f[:, None] + g - cost).max())
    assert excess <= 1e-9 * scale, f"potentials are infeasible by {excess}"
    held = float(a @ np.abs(f) + b @ np.abs(g))
    # Potentials are defined up to a constant; the balanced choice rounds least.
    shift = (math.fsum(a * f) - math.fsum(b * g)) / (2 * mass)
    f, used = (f - shift)[a > 0], b > 0
    best = (cost[np.ix_(a > 0, used)] - f[:, None]).min(axis=0)
    terms = np.concatenate([a[a > 0] * f, b[used] * best])
    lower = math.fsum(terms)
    if cost.min() >= 0:
        lower = max(lower, 0.0)  # by potentials that are zero
    # Potentials held in float64 and their sums may be off by this, and so may a plan
    # whose marginals are.
    rounding = 8 * EPS * (math.fsum(np.abs(terms)) + size) + 4 * EPS * held
    rounding += float(np.abs(f) @ np.abs(off_a[a > 0]))
    rounding += float(np.abs(best) @ np.abs(off_b[used]))
    assert rounding <= 1e-12 * scale * mass, "rounding hides too much"
    gap = value - lower
    assert -rounding <= gap <= max(1e-9 * abs(value), rounding), f"gap {gap}"
    return result.value


def prove(problem):
    """Solve a problem by the network simplex method and return the proved value."""
    return proved(solve(problem, method="network_simplex"))


def highs_bound(cost, a, b):
    """Return a lower bound of the optimum, from the multipliers HiGHS ends with.

    Their best partners are taken anew, so that the bound holds whatever HiGHS
    tolerates, and is the optimum itself if its last basis is optimal.
    """
    n = len(cost)
    rows, columns = np.nonzero(np.isfinite(cost))
    arcs = np.arange(len(rows))
    ends = np.concatenate([rows, n + columns])
    incidence = csr_array((np.ones(len(ends)), (ends, np.tile(arcs, 2))))
    unit, mass = scale_of(cost) or 1.0, math.fsum(a)
    tolerances = ("primal_feasibility_tolerance", "dual_feasibility_tolerance")
    solution = linprog(
        cost[rows, columns] / unit,
        A_eq=incidence,
        b_eq=np.concatenate([a, b]) / mass,
        method="highs-ds",
        options=dict.fromkeys(tolerances, 1e-10),
    )
    assert solution.status == 0, solution.message
    f = solution.eqlin.marginals[:n] * unit
    f -= np.median(f)
    g = (cost - f[:, None]).min(axis=0)
    return math.fsum(np.concatenate([a * f, b * g]))


def assert_agrees_with_highs(value, problem):
    """Compare to 1e-12; float64 masses and sums move it by a few units of scale."""
    cost = cost_of(problem)
    truth = highs_bound(cost, problem.a, problem.b)
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


def random_weights(rng, n):
    weights = rng.random(n) + 0.01
    return weights / math.fsum(weights)


def same(value):
    return pytest.approx(value, rel=1e-12, abs=0)
